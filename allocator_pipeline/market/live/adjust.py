"""Prices adjusted for dividends and splits, forwards: nothing that happens later changes an earlier value."""

from __future__ import annotations

import pandas as pd

from allocator_pipeline.errors import MarketDataError


def adjusted(bars: pd.DataFrame, actions: pd.DataFrame) -> pd.DataFrame:
    """Add the adjusted close to bars as traded.

    The first bar's adjusted close is its close; from then on its changes are total returns: the dividend is bought for
    at the previous close. Vendors adjust backwards instead, so that each dividend rewrites the whole history; levels
    differ from theirs, returns do not.

    Parameters
    ----------
    bars : DataFrame
        Of one symbol, rising in ``date``; ``close`` as traded, USD.
    actions : DataFrame
        `schemas.CORPORATE_ACTIONS` of the same symbol. Those on days without a bar count for nothing.

    Returns
    -------
    DataFrame
        ``bars`` with ``adj_close``.

    Raises
    ------
    MarketDataError
        If a dividend is not less than the price of the day before.

    Notes
    -----
    ``adj_close(t) = close(t) * product over s <= t of split(s) / (1 - dividend(s) * split(s) / close(s - 1))``. A
    dividend is in USD for each share held on its own day, of which a split on that day has made ``split(s)``.
    """
    table = bars.set_index("date")
    for kind, nothing in (("dividend", 0.0), ("split", 1.0)):
        told = actions[actions["kind"] == kind].set_index("date")["value"]
        table[kind] = told.astype("float64").reindex(table.index, fill_value=nothing)
    source, symbol = actions[["source", "symbol"]].iloc[0] if len(actions) else (None, None)
    return bars.assign(adj_close=(table["close"] * growth(table, source, symbol).cumprod()).to_numpy())


def growth(sessions: pd.DataFrame, source: str | None = None, symbol: str | None = None) -> pd.Series:
    """Return what one share becomes on each day by its split, and by its dividend spent on shares; 1 on the first.

    Parameters
    ----------
    sessions : DataFrame
        By date: ``close`` (USD, as traded), ``dividend`` (USD a share) and ``split`` (new shares for one old one).
    source, symbol : str, optional
        For errors.

    Raises
    ------
    MarketDataError
        If a dividend is not less than the price of the day before; it names source, symbol and day.
    """
    paid = sessions["dividend"] * sessions["split"] / sessions["close"].shift()
    if (paid >= 1).any():
        raise MarketDataError(
            "A dividend is not less than the price of the day before.",
            todo="compare both with another source; what is kept of them is asked for again once the records of that "
            "symbol have been removed from the raw data.",
            source=source,
            symbol=symbol,
            week=str(paid.index[paid >= 1][0].date()),
        )
    return (sessions["split"] / (1 - paid)).fillna(1.0)
