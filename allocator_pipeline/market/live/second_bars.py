"""Daily closes from a second source, to hold our prices against; never traded on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date

import pandas as pd

from allocator_pipeline.errors import IncompleteDataError
from allocator_pipeline.market.live.alpaca import ALPACA, alpaca_ticker, bars_in
from allocator_pipeline.market.live.settled import listed
from allocator_pipeline.market.membership import Listing
from allocator_pipeline.market.raw import RawKey, RawStore


def second_bars(store: RawStore, symbol: str, listings: Sequence[Listing]) -> pd.DataFrame:
    """Return Alpaca's closes, adjusted for all corporate actions, and their daily total returns.

    Adjusted levels are rewritten by every dividend, so answers of different days are joined where they overlap: a day
    keeps the return that was first fetched.

    Parameters
    ----------
    store : RawStore
    symbol : str
    listings : sequence of Listing
        Of this symbol.

    Returns
    -------
    DataFrame
        ``date`` (datetime64[us]), ``symbol``, ``close`` (USD, up to a factor), ``total_return`` (simple, since the row
        before; NaN on the first day and where two answers do not overlap), by date.

    Raises
    ------
    CorruptArtifactError, VendorError, IncompleteDataError
        If what is stored cannot be read.
    """
    closes: dict[pd.Timestamp, float] = {}
    returns: dict[pd.Timestamp, float] = {}
    for record, body in store.bodies(RawKey(ALPACA, "bars", symbol)):
        ticker = record.request["symbols"]
        spans = [one for one in listings if alpaca_ticker(one.ticker) == ticker]
        found = pd.Series(bars_in(body, ticker), dtype="float64").sort_index()
        found = found[
            [any(one.first <= day and (one.last is None or day <= one.last) for one in spans) for day in found.index]
        ]
        for day, close, change in zip(found.index, found, found.pct_change(fill_method=None), strict=True):
            closes.setdefault(pd.Timestamp(day), close)
            if math.isnan(returns.get(pd.Timestamp(day), math.nan)):
                returns[pd.Timestamp(day)] = change
    return _table(
        symbol, pd.Series(closes, dtype="float64").sort_index(), pd.Series(returns, dtype="float64").sort_index()
    )


def require_begun(body: bytes, symbol: str, ticker: str, ours: pd.DatetimeIndex, first: date, last: date) -> None:
    """Refuse an answer that lacks a session for which the first source has a bar, before it is kept.

    Parameters
    ----------
    body : bytes
    symbol, ticker : str
    ours : DatetimeIndex
        Sessions with a bar of the first source; none where it has not been asked yet.
    first, last : date
        Days that the answer is to hold, both included.

    Raises
    ------
    IncompleteDataError
        Naming symbol and dates.
    """
    due = ours[(ours >= pd.Timestamp(first)) & (ours <= pd.Timestamp(last))]
    lacking = due.difference(pd.DatetimeIndex(sorted(bars_in(body, alpaca_ticker(ticker)))))
    if len(lacking):
        raise IncompleteDataError(
            f"Alpaca has no bar for {len(lacking)} of {len(due)} sessions that Yahoo has: {listed(lacking)}.",
            todo="run it again later; if it stays, correct the days of that ticker, or do without the second source.",
            source="alpaca bars",
            symbol=symbol,
            week=f"{first} to {last}",
        )


def _table(symbol: str, closes: pd.Series, returns: pd.Series) -> pd.DataFrame:
    piece = returns.isna().cumsum()
    level = (1.0 + returns.fillna(0.0)).groupby(piece).cumprod() * closes.groupby(piece).transform("first")
    return pd.DataFrame(
        {
            "date": pd.DatetimeIndex(level.index).as_unit("us"),
            "symbol": pd.Series(symbol, index=range(len(level)), dtype="str"),
            "close": level.to_numpy(),
            "total_return": returns.to_numpy(),
        }
    )
