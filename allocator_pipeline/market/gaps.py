"""What a year lacks though nothing failed: stocks without news or quarters, series without values, days not there.

Vendors answer with nothing about what they do not know, and such an answer is whole. Whether that can be true is for
the user to say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from datetime import date
from typing import TYPE_CHECKING

import pandas as pd

from allocator_pipeline.config import RATIOS
from allocator_pipeline.market.live.macro import SERIES_KINDS, due_values, spare

if TYPE_CHECKING:
    from allocator_pipeline.market.live.needs import Need

DUE = 120
"""Days of a year that must be needed of a stock before its silence means something: a quarter, and the month in which
that is filed."""


def silent_stocks(sentiment: pd.DataFrame, stocks: Collection[str], needs: Iterable[Need]) -> list[str]:
    """Return the stocks without an article in a year.

    Parameters
    ----------
    sentiment : DataFrame
        `schemas.SENTIMENT` of the year.
    stocks : collection of str
        Those of the year's universe; of others silence is not told, unless nothing is said about anybody.
    needs : iterable of Need
        Of news in the year.

    Returns
    -------
    list of str
        A sentence each; one if there is no article at all.
    """
    due = _due(needs)
    if due and sentiment.empty:
        return [f"There is no article about any of {len(due)} stocks."]
    return [f"{symbol} has no article." for symbol in sorted((due & set(stocks)) - set(sentiment["symbol"]))]


def without_quarters(fundamentals: pd.DataFrame, needs: Iterable[Need]) -> list[str]:
    """Return the candidates of which no quarter with a ratio became known in a year.

    Parameters
    ----------
    fundamentals : DataFrame
        `schemas.FUNDAMENTALS` of the year.
    needs : iterable of Need
        Of filings or statements in the year.

    Returns
    -------
    list of str
        A sentence each.
    """
    told = fundamentals.loc[fundamentals[list(RATIOS)].notna().any(axis=1), "symbol"]
    return [f"No quarter of {symbol} became known." for symbol in sorted(_due(needs) - set(told))]


def thin_series(macro: pd.DataFrame, needs: Iterable[Need], today: date) -> list[str]:
    """Return the series that lack values on more sessions of a year than their completeness tolerates.

    Parameters
    ----------
    macro : DataFrame
        `schemas.MACRO` of the year.
    needs : iterable of Need
        Of daily series in the year.
    today : date
        Decides which values are still to come, and which days a vendor shows no longer (`live.macro.due_values`).

    Returns
    -------
    list of str
        A sentence each, with the sessions that have a value and those that there are.
    """
    days = {str(name): pd.DatetimeIndex(group) for name, group in macro.groupby("series")["date"]}
    found = []
    for need in needs:
        valued = days.get(need.key.name, pd.DatetimeIndex([]))
        due = due_values(need.key.name, need.first, need.last, valued, today)
        there = len(due.intersection(valued))
        if len(due) - there > spare(len(due)):
            found.append(f"{need.key.name} has a value on {there} of {len(due)} sessions.")
    return found


def not_there(downloads: pd.DataFrame) -> list[str]:
    """Return what is due of a vendor in a year and not there; a series may lack what its completeness tolerates.

    Parameters
    ----------
    downloads : DataFrame
        `schemas.DOWNLOADS` of the year.

    Returns
    -------
    list of str
        A sentence for each symbol or series and kind.
    """
    most = downloads["due"].map(spare).where(downloads["kind"].isin(SERIES_KINDS), 0.0)
    lacking = downloads[downloads["due"] - downloads["there"] > most]
    columns = ("name", "kind", "asked", "first", "last", "due", "there")
    return [
        f"{name} lacks {due - there} of {due} due from {first:%Y-%m-%d} to {last:%Y-%m-%d} "
        f"({kind}{_unnumbered(kind, asked)})."
        for name, kind, asked, first, last, due, there in zip(*(lacking[one] for one in columns), strict=True)
    ]


def _unnumbered(kind: str, asked: str) -> str:
    """Return what there was to ask by, of a company whose number is not in the list of candidates."""
    if not asked:
        return "; nobody is asked by the ticker of a listing that has ended"
    return (
        f"; the candidates give no cik, and {asked} was asked for" if kind == "facts" and not asked.isdecimal() else ""
    )


def _due(needs: Iterable[Need]) -> set[str]:
    """Return the names of which enough days are needed; a company may have several spans."""
    days: Counter[tuple[str, str]] = Counter()
    for need in needs:
        days[need.key.name, need.key.kind] += (need.last - need.first).days + 1
    return {name for (name, _), count in days.items() if count >= DUE}
