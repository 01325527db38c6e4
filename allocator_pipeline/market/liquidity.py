"""How liquid a stock is: dollar volume where there is volume, and a measure from closes alone where there is none."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd

from allocator_pipeline.config import N_STOCKS
from allocator_pipeline.errors import MarketDataError, NotEnoughDataError

TRAILING_SESSIONS = 252
MIN_SESSIONS = 126
"""A ranking reads a year of sessions, and half a year at least."""

MIN_PRESENCE = 0.95
"""Share of those sessions on which a stock must have traded."""

DOLLAR_VOLUME, ROLL_SPREAD = "dollar_volume", "roll_spread"


def roll_spread(returns: np.ndarray) -> float:
    """Return the effective spread implied by the bounce between bid and ask.

    ``2 sqrt(-cov(r_t, r_{t-1}))``; 0 where the covariance is not negative.

    Parameters
    ----------
    returns : ndarray, shape (n,)
        Daily returns.

    Returns
    -------
    float
        Spread as a share of the price.

    References
    ----------
    Roll (1984), "A Simple Implicit Measure of the Effective Bid-Ask Spread in an Efficient Market".
    """
    covariance = float(np.cov(returns[1:], returns[:-1])[0, 1])
    return 2.0 * float(np.sqrt(-covariance)) if covariance < 0 else 0.0


def rank_by_liquidity(prices: pd.DataFrame, allowed: Collection[str] | None = None) -> pd.DataFrame:
    """Rank the stocks that can be held after the last session of some prices.

    A stock is eligible if it traded in the last session and in 95 % of the trailing 252. With volumes, the mean dollar
    volume ranks, the greatest first. Without, the Roll spread ranks, the smallest first, then the share of days
    without a price change. The symbol breaks ties.

    Parameters
    ----------
    prices : DataFrame
        `schemas.PRICES`, at least 126 sessions.
    allowed : collection of str, optional
        Rank these stocks only.

    Returns
    -------
    DataFrame
        Columns ``symbol``, ``rank`` (from 1), ``liquidity`` (USD a day, or the spread) and ``measure``, by rank.

    Raises
    ------
    NotEnoughDataError
        If there are fewer than 126 sessions or fewer than 15 eligible stocks.
    MarketDataError
        If only some of the bars have a volume.
    """
    days = np.unique(prices["date"].to_numpy())[-TRAILING_SESSIONS:]
    if len(days) < MIN_SESSIONS:
        raise NotEnoughDataError(
            f"A liquidity ranking needs {MIN_SESSIONS} sessions; there are {len(days)}.",
            todo="start a year later, or bring earlier prices.",
        )
    window = prices[prices["date"] >= days[0]]
    volumes = window["volume"].notna()
    if volumes.any() and not volumes.all():
        bar = window[~volumes].iloc[0]
        raise MarketDataError(
            f"Only some bars have a volume; the bar of {bar['date'].date()} has none.",
            todo="give every bar a volume, or drop the column.",
            source=str(bar["source"]),
            symbol=str(bar["symbol"]),
        )
    traded = window[window["volume"] > 0] if volumes.all() else window
    presence = traded.groupby("symbol")["date"].count() / len(days)
    last = set(traded.loc[traded["date"] == days[-1], "symbol"])
    eligible = [symbol for symbol in presence.index[presence >= MIN_PRESENCE] if symbol in last]
    if allowed is not None:
        eligible = [symbol for symbol in eligible if symbol in allowed]
    if len(eligible) < N_STOCKS:
        screened = "" if allowed is None else " and passed the lists of who may be chosen"
        raise NotEnoughDataError(
            f"{len(eligible)} stocks traded steadily up to {pd.Timestamp(days[-1]).date()}{screened}; "
            f"{N_STOCKS} are needed.",
            todo="bring prices of more stocks, or start in a later year.",
        )
    window = window[window["symbol"].isin(eligible)]
    return _by_dollar_volume(window) if volumes.all() else _by_spread(window)


def _by_dollar_volume(window: pd.DataFrame) -> pd.DataFrame:
    dollars = (window["close"] * window["volume"]).groupby(window["symbol"]).mean()
    table = pd.DataFrame({"symbol": dollars.index.to_numpy(), "liquidity": dollars.to_numpy()})
    return _ranked(table.sort_values(["liquidity", "symbol"], ascending=[False, True]), DOLLAR_VOLUME)


def _by_spread(window: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for symbol, bars in window.groupby("symbol"):
        closes = bars.sort_values("date")["adj_close"].to_numpy()
        returns = closes[1:] / closes[:-1] - 1.0
        rows.append((symbol, roll_spread(returns), float(np.mean(returns == 0.0))))
    table = pd.DataFrame(rows, columns=["symbol", "liquidity", "unchanged"])
    return _ranked(table.sort_values(["liquidity", "unchanged", "symbol"]), ROLL_SPREAD)


def _ranked(table: pd.DataFrame, measure: str) -> pd.DataFrame:
    table = table.reset_index(drop=True)
    ranks = np.arange(1, len(table) + 1, dtype=np.int64)
    ranked = table[["symbol"]].assign(rank=ranks, liquidity=table["liquidity"].astype("float64"), measure=measure)
    return ranked.astype({"symbol": "str", "measure": "str"})
