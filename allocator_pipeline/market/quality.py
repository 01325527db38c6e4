"""Whether a year of prices can be trusted: bad values, suspicious jumps, missing and doubled sessions."""

from __future__ import annotations

import numpy as np
import pandas as pd

from allocator_pipeline.market import calendar
from allocator_pipeline.market.source import MarketCoverage

JUMP = 0.40
"""Daily moves beyond this are worth a look; some are genuine."""

ROUNDING = 1e-3
"""Share by which a vendor's rounding may put a price outside the day's range."""

JUMPS = "Moves over 40 % that no dividend or split explains"
REWRITTEN = "Returns that a later answer of the vendor tells otherwise"
DISAGREES = "Returns more than 50 bp from the second source's"
LACKS = "Sessions that the second source lacks"
VOLUMES = "Years in which most sessions have no volume though prices move"
"""Kinds of doubts about bars (`schemas.DOUBTS`)."""

_SHOWN = 20
"""At most so many problems of a kind are spelled out."""


def price_problems(prices: pd.DataFrame, year: int, coverage: MarketCoverage) -> list[str]:
    """Return what is certainly wrong with the bars of a year.

    Parameters
    ----------
    prices : DataFrame
        `schemas.PRICES` of the year.
    year : int
    coverage : MarketCoverage

    Returns
    -------
    list of str
        Values that are not positive and finite, highs below lows, opens or closes outside the day's range,
        opens or volumes that the source promises and the bar lacks, a whole year without bars. Empty if all
        is well.
    """
    if prices.empty:
        return [f"{year} has no bars."]
    required = ["close", "adj_close"] + ["open"] * coverage.has_open
    problems: list[str] = []
    for column in required:
        values = prices[column]
        problems += _named(prices[~(np.isfinite(values) & (values > 0))], f"{column} is not a positive number")
    if coverage.has_volume:
        problems += _named(prices[~(prices["volume"] >= 0)], "there is no volume")
    problems += _named(prices[prices["high"] < prices["low"]], "the high is below the low")
    for column in ("open", "close"):
        outside = (prices[column] > prices["high"] * (1 + ROUNDING)) | (prices[column] < prices["low"] * (1 - ROUNDING))
        problems += _named(prices[outside], f"the {column} lies outside the day's range")
    return problems


def price_warnings(prices: pd.DataFrame) -> list[str]:
    """Return the daily moves of more than 40 %, with what the next session did: a bad print is mostly taken back.

    Parameters
    ----------
    prices : DataFrame
        `schemas.PRICES`.

    Returns
    -------
    list of str
    """
    bars = prices.sort_values(["symbol", "date"], ignore_index=True)
    move = bars["adj_close"] / bars.groupby("symbol")["adj_close"].shift(1) - 1
    after = move.groupby(bars["symbol"]).shift(-1)
    taken_back = ((1 + move) * (1 + after) - 1).abs() < 0.25 * move.abs()
    return [
        f"{bars['symbol'][row]} {bars['date'][row].date()}: moved {move[row]:+.0%}"
        + (", taken back in the next session." if taken_back[row] else ".")
        for row in np.flatnonzero(move.abs() > JUMP)
    ]


def session_problems(prices: pd.DataFrame, year: int, coverage: MarketCoverage) -> list[str]:
    """Compare the bars of a year with the sessions of the exchange.

    Parameters
    ----------
    prices : DataFrame
        `schemas.PRICES` of the year.
    year : int
    coverage : MarketCoverage

    Returns
    -------
    list of str
        Sessions without any bar, sessions that a stock lacks between its first and last bar of the year, doubled bars,
        and bars on days that are no session. Empty if all is well.
    """
    first = max(pd.Timestamp(coverage.first_session), pd.Timestamp(year, 1, 1))
    last = min(pd.Timestamp(coverage.last_session), pd.Timestamp(year, 12, 31))
    expected = calendar.sessions(first, last)
    present = pd.DatetimeIndex(prices["date"].unique())
    missing = expected.difference(present)
    problems = _dates(missing, "no stock has a bar")
    problems += _dates(present.difference(expected), "not a session, but there are bars")
    problems += _named(prices[prices.duplicated(["date", "symbol"])], "the bar is there twice")
    for symbol, days in prices.groupby("symbol")["date"]:
        due = expected[(expected >= days.min()) & (expected <= days.max())].difference(missing)
        problems += _dates(due.difference(pd.DatetimeIndex(days)), f"{symbol} lacks a bar")
    return problems


def coverage_table(prices: pd.DataFrame) -> pd.DataFrame:
    """Return what each symbol has.

    Parameters
    ----------
    prices : DataFrame
        `schemas.PRICES`.

    Returns
    -------
    DataFrame
        Columns ``symbol``, ``first``, ``last`` (dates as text), ``bars``, ``with_open`` and ``with_volume`` (counts),
        by symbol.
    """
    groups = prices.groupby("symbol")
    table = pd.DataFrame(
        {
            "first": groups["date"].min().dt.strftime("%Y-%m-%d"),
            "last": groups["date"].max().dt.strftime("%Y-%m-%d"),
            "bars": groups["close"].count(),
            "with_open": groups["open"].count(),
            "with_volume": groups["volume"].count(),
        }
    )
    return table.reset_index()


def monthly_shares(prices: pd.DataFrame) -> pd.DataFrame:
    """Return which share of the sessions of each month has a bar, by symbol.

    Parameters
    ----------
    prices : DataFrame
        `schemas.PRICES` of a year.

    Returns
    -------
    DataFrame
        Symbols as index, months (``"01"`` ...) as columns.
    """
    sessions = calendar.sessions(prices["date"].min(), prices["date"].max())
    due = pd.Series(1, index=sessions).groupby(sessions.strftime("%m")).sum()
    bars = prices.groupby(["symbol", prices["date"].dt.strftime("%m")])["date"].nunique().unstack(fill_value=0)
    return bars.reindex(columns=due.index, fill_value=0) / due


def _named(bars: pd.DataFrame, problem: str) -> list[str]:
    shown = [
        f"{symbol} {day.date()}: {problem}."
        for symbol, day in zip(bars["symbol"].head(_SHOWN), bars["date"].head(_SHOWN), strict=True)
    ]
    return shown + _rest(len(bars), problem)


def _dates(days: pd.DatetimeIndex, problem: str) -> list[str]:
    return [f"{day.date()}: {problem}." for day in days[:_SHOWN]] + _rest(len(days), problem)


def _rest(count: int, problem: str) -> list[str]:
    return [f"... and {count - _SHOWN} more: {problem}."] if count > _SHOWN else []
