"""Whether prices are whole and believable: sessions by the calendar, jumps by actions, one source by the other."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd

from allocator_pipeline.errors import IncompleteDataError, MarketDataError
from allocator_pipeline.market import calendar
from allocator_pipeline.market.live.chart import AGREEMENT, Chart
from allocator_pipeline.market.live.settled import listed
from allocator_pipeline.market.membership import Listing
from allocator_pipeline.market.quality import JUMP

SPLITS = (2, 3, 4, 5, 6, 7, 8, 10, 15, 20, 25, 30, 40, 50, 100)
"""Common ratios, forward or reverse. Halves are not among them: three for two moves a price by less than a jump, and
two for three by what a stock may well move (AMD on 2016-04-22)."""

RATIO = 0.02
"""How near to such a ratio, as a share, a move is taken for an unlisted split."""

TAKEN_BACK = 0.05
"""How near to the price before a jump, as a share, the price after it is taken for the same."""


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


def missing_sessions(days: pd.DatetimeIndex, listings: Sequence[Listing], last: date) -> pd.DatetimeIndex:
    """Return the sessions of some listings, up to ``last``, that are not among the days."""
    due = pd.DatetimeIndex([], dtype="datetime64[us]")
    for listing in listings:
        due = due.union(calendar.sessions(listing.first, min(last, listing.last or last)))
    return due.difference(days)


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
            todo="fetch these days again; if they stay missing, correct the days of the listing.",
            source=source,
            symbol=symbol,
        )


def jump_warnings(symbol: str, prices: pd.DataFrame, source: str, second: pd.DataFrame | None = None) -> list[str]:
    """Return the daily moves of more than 40 % that no action explains, and refuse those that cannot be believed.

    Parameters
    ----------
    symbol : str
    prices : DataFrame
        ``date`` and ``adj_close`` of the symbol, rising in date.
    source : str
    second : DataFrame, optional
        The same from another source. A move that it has too, within 50 basis points, is believed.

    Returns
    -------
    list of str
        One sentence a move: real ones exist.

    Raises
    ------
    MarketDataError
        If a move is that of a common split within 2 %, or is taken back within 5 % in the next session: naming source,
        symbol and date.
    """
    values = prices.set_index("date")["adj_close"]
    moves = values.pct_change()
    other = None if second is None else second.set_index("date")["adj_close"].reindex(values.index).pct_change()
    found = []
    for row in np.flatnonzero(moves.abs() > JUMP):
        day, move = values.index[int(row)], moves.iloc[row]
        confirmed = other is not None and abs(other.iloc[row] - move) <= AGREEMENT
        if not confirmed:
            _require_believable(symbol, values.iloc[row - 1 : row + 2], source)
        found.append(f"{symbol} {day.date()}: moved {move:+.0%}" + (", by both sources." if confirmed else "."))
    return found


def second_source_disagreements(prices: pd.DataFrame, second: pd.DataFrame, threshold_bp: float = 50.0) -> pd.DataFrame:
    """Compare daily total returns of two sources; levels mean nothing, since each adjusts its own way.

    Parameters
    ----------
    prices, second : DataFrame
        ``symbol``, ``date`` and ``adj_close``. Returns run between sessions that both have.
    threshold_bp : float
        Basis points.

    Returns
    -------
    DataFrame
        ``symbol, date, ours, theirs, difference_bp``, where the difference is greater, by symbol and date.
    """
    columns = ["symbol", "date", "adj_close"]
    both = prices[columns].merge(second[columns], on=["symbol", "date"], suffixes=("_ours", "_theirs"))
    both = both.sort_values(["symbol", "date"], ignore_index=True)
    returns = both.groupby("symbol")[["adj_close_ours", "adj_close_theirs"]].pct_change()
    table = both[["symbol", "date"]].assign(ours=returns["adj_close_ours"], theirs=returns["adj_close_theirs"])
    table["difference_bp"] = (table["ours"] - table["theirs"]).abs() * 1e4
    return table[table["difference_bp"] > threshold_bp].reset_index(drop=True)


def _require_believable(symbol: str, around: pd.Series, source: str) -> None:
    """Refuse a jump, given the values before, on and after it (if there is one)."""
    ratio = around.iloc[1] / around.iloc[0]
    split = next((k for k in SPLITS if abs(ratio * k - 1) <= RATIO or abs(ratio / k - 1) <= RATIO), None)
    why = ""
    if split is not None:
        parts = f"{split}:1" if ratio < 1 else f"1:{split}"
        why = f"moved {ratio - 1:+.0%}, which is a split of {parts} that is not listed"
    elif len(around) == 3 and abs(around.iloc[2] / around.iloc[0] - 1) <= TAKEN_BACK:
        why = f"moved {ratio - 1:+.0%} and back in the next session"
    if why:
        raise MarketDataError(
            f"A price cannot be believed: it {why}.",
            todo="compare it with another source; fetch it again once the vendor has mended it.",
            source=source,
            symbol=symbol,
            week=str(around.index[1].date()),
        )
