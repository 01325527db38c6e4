"""Daily closes from a second source, to hold our prices against; never traded on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd

from allocator_pipeline.errors import IncompleteDataError
from allocator_pipeline.market.live.alpaca import ALPACA, alpaca_ticker, bars_in
from allocator_pipeline.market.live.chart import AGREEMENT
from allocator_pipeline.market.live.settled import listed
from allocator_pipeline.market.membership import Listing
from allocator_pipeline.market.raw import RawKey, RawStore

_JOINT = 3
"""So many returns at least that two answers have in common have to agree before one tells a return for the other."""


def second_bars(store: RawStore, symbol: str, listings: Sequence[Listing]) -> pd.DataFrame:
    """Return Alpaca's closes, adjusted for all corporate actions, and their daily total returns.

    Adjusted levels are rewritten by every dividend, so answers of different days are joined where they overlap: a day
    keeps the return that was first fetched. Those of two tickers are joined by the days that the later one has from
    before its listing, where both tell the same returns of these.

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
        before; NaN on the first day and where two answers cannot be joined), ``scale`` (number of the run of rows that
        are joined: closes of two runs cannot be compared), by date.

    Raises
    ------
    CorruptArtifactError, VendorError, IncompleteDataError
        If what is stored cannot be read.
    """
    closes: dict[pd.Timestamp, float] = {}
    returns: dict[pd.Timestamp, float] = {}
    answers: list[tuple[pd.Series, pd.Index]] = []
    for record, body in store.bodies(RawKey(ALPACA, "bars", symbol)):
        ticker = record.request["symbols"]
        told = pd.Series(bars_in(body, ticker), dtype="float64").sort_index()
        found = _inside(told, [one for one in listings if alpaca_ticker(one.ticker) == ticker])
        answers.append((_changes(_inside(told, listings)), found.index))
        for day, close, change in zip(found.index, found, _changes(found), strict=True):
            closes.setdefault(day, close)
            if math.isnan(returns.get(day, math.nan)):
                returns[day] = change
    joined = pd.Series(returns, dtype="float64").sort_index()
    return _table(symbol, pd.Series(closes, dtype="float64").sort_index(), _across_tickers(joined, answers))


def _inside(told: pd.Series, listings: Sequence[Listing]) -> pd.Series:
    """Return the closes, by Timestamp, of the days of some listings."""
    days = [any(one.first <= day and (one.last is None or day <= one.last) for one in listings) for day in told.index]
    found = told[np.array(days, dtype=bool)]
    return found.set_axis(pd.DatetimeIndex(found.index))


def _changes(closes: pd.Series) -> pd.Series:
    return closes.pct_change(fill_method=None)


def _across_tickers(returns: pd.Series, answers: Sequence[tuple[pd.Series, pd.Index]]) -> pd.Series:
    """Fill in the first return under a ticker from an answer that has days of the company before it as well.

    They are taken for the company's where their returns agree with those known: a ticker may have been another's.

    Parameters
    ----------
    returns : Series
        By day.
    answers : sequence of (Series, Index)
        Returns of one answer on all days of the company, and the days for which its ticker was the company's.
    """
    joined = returns.copy()
    for row in np.flatnonzero(returns.isna())[1:]:  # before the first there is nothing
        before, day = returns.index[row - 1], returns.index[row]
        for told, own in answers:
            if day not in own or told.index[told.index.searchsorted(day) - 1] != before:
                continue
            apart = (told[:before] - returns[:before]).dropna().abs()
            if len(apart) >= _JOINT and (apart <= AGREEMENT).all():
                joined[day] = told[day]
                break
    return joined


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
    scale = returns.isna().cumsum()
    level = (1.0 + returns.fillna(0.0)).groupby(scale).cumprod() * closes.groupby(scale).transform("first")
    return pd.DataFrame(
        {
            "date": pd.DatetimeIndex(level.index).as_unit("us"),
            "symbol": pd.Series(symbol, index=range(len(level)), dtype="str"),
            "close": level.to_numpy(),
            "total_return": returns.to_numpy(),
            "scale": scale.to_numpy(),
        }
    )
