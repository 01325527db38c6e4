"""Whether prices are whole, sessions by the calendar, and agree, one source by the other."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import pandas as pd

from allocator_pipeline.errors import IncompleteDataError
from allocator_pipeline.market import calendar
from allocator_pipeline.market.live.chart import Chart
from allocator_pipeline.market.live.settled import listed
from allocator_pipeline.market.membership import Listing
from allocator_pipeline.market.raw import fetch_again


def require_whole(chart: Chart, first: date, last: date) -> None:
    """Refuse a chart that lacks a session from ``first``, or from its ticker's first trade if later, to ``last``.

    Raises
    ------
    IncompleteDataError
        Naming ticker and dates.
    """
    begin = max(first, chart.first_trade or first)
    if begin > last:
        raise IncompleteDataError(
            f"Yahoo has nothing up to {last}: its first trade of that ticker is of {begin}.",
            todo="correct the days of the listing: the ticker may have been given to another company.",
            source="yahoo",
            symbol=chart.ticker,
        )
    missing = calendar.sessions(begin, last).difference(pd.DatetimeIndex(chart.sessions.index))
    if len(missing):
        raise IncompleteDataError(
            f"Yahoo sends no usable bar for {listed(missing)}, asked for {first} to {last}.",
            todo="run it again later; if it stays, correct the days of the listing, or leave the symbol out.",
            source="yahoo",
            symbol=chart.ticker,
        )


def due_sessions(listings: Sequence[Listing], first: date, last: date) -> pd.DatetimeIndex:
    """Return the sessions of some listings from ``first`` to ``last``, both included."""
    due = pd.DatetimeIndex([], dtype="datetime64[us]")
    for listing in listings:
        due = due.union(calendar.sessions(max(first, listing.first), min(last, listing.last or last)))
    return due


def missing_sessions(days: pd.DatetimeIndex, listings: Sequence[Listing], last: date) -> pd.DatetimeIndex:
    """Return the sessions of some listings, up to ``last``, that are not among the days."""
    return due_sessions(listings, date.min, last).difference(days)


def require_sessions(symbol: str, days: pd.DatetimeIndex, listings: Sequence[Listing], last: date, source: str) -> None:
    """Refuse bars that lack a session of a symbol's listings up to ``last``.

    Raises
    ------
    IncompleteDataError
        Naming source, symbol and dates.
    """
    missing = missing_sessions(days, listings, last)
    if len(missing):
        raise IncompleteDataError(
            f"There is no bar for {listed(missing)}.",
            todo=f"{fetch_again([f'of these days of {symbol}'])}; if they stay missing, correct the listing's days.",
            source=source,
            symbol=symbol,
        )


def second_source_disagreements(prices: pd.DataFrame, second: pd.DataFrame, threshold_bp: float = 50.0) -> pd.DataFrame:
    """Compare daily total returns of two sources; levels mean nothing, since each adjusts its own way.

    Parameters
    ----------
    prices, second : DataFrame
        ``symbol``, ``date`` and ``adj_close``; of the second also ``scale``: levels on two scales make no return (as
        `second_bars` has it). Returns run between sessions that both have.
    threshold_bp : float
        Basis points.

    Returns
    -------
    DataFrame
        ``symbol, date, ours, theirs, difference_bp``, where the difference is greater, by symbol and date.
    """
    columns = ["symbol", "date", "adj_close"]
    both = prices[columns].merge(second[[*columns, "scale"]], on=["symbol", "date"], suffixes=("_ours", "_theirs"))
    both = both.sort_values(["symbol", "date"], ignore_index=True)
    returns = both.groupby(["symbol", "scale"])[["adj_close_ours", "adj_close_theirs"]].pct_change()
    table = both[["symbol", "date"]].assign(ours=returns["adj_close_ours"], theirs=returns["adj_close_theirs"])
    table["difference_bp"] = (table["ours"] - table["theirs"]).abs() * 1e4
    return table[table["difference_bp"] > threshold_bp].reset_index(drop=True)
