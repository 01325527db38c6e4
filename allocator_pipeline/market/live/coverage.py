"""What is there of a need, as counts: sessions with a bar or a value, quarters with figures, days asked about news."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import date

import pandas as pd

from allocator_pipeline.errors import AllocatorError
from allocator_pipeline.market.live.completeness import due_sessions
from allocator_pipeline.market.live.derived import index_closes
from allocator_pipeline.market.live.held import held_sessions
from allocator_pipeline.market.live.macro import SERIES_KINDS, due_values, macro_table
from allocator_pipeline.market.live.market import LiveMarket
from allocator_pipeline.market.live.needs import Need, missing
from allocator_pipeline.market.live.quarters import due_quarters, held_quarters, quarters_within
from allocator_pipeline.market.raw import RawKey, RawRecord
from allocator_pipeline.market.source import NEW_YORK

_FEWEST = 5
"""So many stocks without any article in a whole year are no accident; fewer may be small companies."""


def held(market: LiveMarket, key: RawKey, told: Callable[[str], None] = lambda line: None) -> pd.DatetimeIndex | None:
    """Return the days that the answers kept hold something of; None for news, of which any day may have none.

    Parameters
    ----------
    market : LiveMarket
    key : RawKey
    told : callable
        Receives a line about a company whose figures yield nothing.

    Returns
    -------
    DatetimeIndex or None
        Sessions with a bar, days with a value, or ends of quarters with figures; none of a company whose figures yield
        not one ratio in any quarter.

    Raises
    ------
    AllocatorError
        If what is kept cannot be read.
    """
    if key.kind == "bars":
        return held_sessions(market.raw, key, market.by_symbol[key.name])
    if key.kind in SERIES_KINDS:
        return pd.DatetimeIndex(macro_table(market.raw, (key.name,), index_closes)["date"])
    if key.kind == "news":
        return None
    quarters = held_quarters(market.raw, key)
    if len(quarters) and not market.has_ratios(key.name):
        told(f"The statements of {key.name} yield none of the five ratios in any quarter: no quarter counts as there.")
        return quarters[:0]
    return quarters


def counts(
    market: LiveMarket, need: Need, records: Sequence[RawRecord], days: pd.DatetimeIndex | None
) -> tuple[int, int]:
    """Return how much of a need is due, and how much of that is there.

    Parameters
    ----------
    market : LiveMarket
    need : Need
    records : sequence of RawRecord
        All of its key.
    days : DatetimeIndex or None
        As `held` returns them.
    """
    if need.reach is not None and days is not None:  # filings and statements: quarters, each ending about its own day
        until = min(need.reach, market.by_symbol[need.key.name][-1].last or need.reach)
        due = len(due_quarters(need.first, need.last, until))
        return due, min(due, quarters_within(days, need.first, need.last, until))
    if need.key.kind == "bars":
        wanted = due_sessions(market.by_symbol[need.key.name], need.first, need.last)
    elif need.key.kind in SERIES_KINDS:
        valued = pd.DatetimeIndex([]) if days is None else days
        wanted = due_values(need.key.name, need.first, need.last, valued, market.settled)
    else:
        wanted = pd.date_range(need.first, need.last)
    there = wanted.intersection(_recorded(need, records))
    return len(wanted), len(there if days is None else there.intersection(days))


def silent_years(market: LiveMarket, years: Collection[int]) -> list[str]:
    """Return a sentence about each whole year in which none of at least five stocks has any article.

    One stock without news may be a quiet one; all of them without are a vendor that answers with nothing.
    """
    found = []
    for year in sorted(years):
        first, last = date(year, 1, 1), date(year, 12, 31)
        whole = [
            need.key.name
            for need in market.needs("alpaca_news", first, last)
            if (need.first, need.last) == (first, last) and not missing(need, market.raw.records(need.key))
        ]
        if len(whole) >= _FEWEST and not any(_has_article(market, symbol, year) for symbol in whole):
            found.append(f"None of {len(whole)} stocks has any article in {year}: ask the vendor whether that is so.")
    return found


def _has_article(market: LiveMarket, symbol: str, year: int) -> bool:
    try:
        published = market.articles(symbol)["published_at"]
    except AllocatorError:
        return True  # what cannot be read is not silent; the table that reads it says what is wrong
    return bool((published.dt.tz_convert(NEW_YORK).dt.year == year).any())


def _recorded(need: Need, records: Sequence[RawRecord]) -> pd.DatetimeIndex:
    """Return the days of a need for which there is a whole answer."""
    days = pd.date_range(need.first, need.last)
    for first, last in missing(need, records):
        days = days[(days < pd.Timestamp(first)) | (days > pd.Timestamp(last))]
    return days
