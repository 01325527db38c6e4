"""The prices of one symbol from its first to its last covered session, and what casts doubt on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial

import pandas as pd

from allocator_pipeline.errors import IncompleteDataError
from allocator_pipeline.market.live.adjust import adjusted
from allocator_pipeline.market.live.bars import daily_bars, told_by
from allocator_pipeline.market.live.completeness import (
    require_sessions,
    second_source_disagreements,
)
from allocator_pipeline.market.live.jumps import jump_warnings
from allocator_pipeline.market.live.needs import ALPACA_BARS_SINCE
from allocator_pipeline.market.live.second_bars import second_bars
from allocator_pipeline.market.live.settled import listed
from allocator_pipeline.market.membership import Listing
from allocator_pipeline.market.quality import DISAGREES, JUMPS, LACKS, REWRITTEN, VOLUMES
from allocator_pipeline.market.raw import RawStore, fetch_again

MOSTLY = 0.5
"""Share of a year's sessions without volume above which the volumes are doubted."""


@dataclass(frozen=True)
class History:
    """The history of one symbol.

    Parameters
    ----------
    symbol : str
    bars : DataFrame
        ``date, open, high, low, close, volume, adj_close``, rising in date.
    rewritten : DataFrame
        As `bars.DailyBars` has it.
    second : DataFrame or None
        ``date``, ``adj_close`` and ``scale`` (as `second_bars` has it) of the second source, of the days that count.
    actions : DataFrame
        `schemas.CORPORATE_ACTIONS`: those by which ``adj_close`` moves.
    confirmed : frozenset of date
        Sessions whose move the user has confirmed.
    told_by : callable or None
        Returns the record that a session's bar comes from, for errors.
    """

    symbol: str
    bars: pd.DataFrame
    actions: pd.DataFrame
    rewritten: pd.DataFrame
    second: pd.DataFrame | None
    confirmed: frozenset[date] = frozenset()
    told_by: Callable[[date], str] | None = None

    def jumps(self, year: int) -> list[str]:
        """Return the moves over 40 % of a year that nothing explains.

        Raises
        ------
        MarketDataError
            If one of them cannot be believed. Those of other years block the tables of those years alone.
        """
        past = self.bars[self.bars["date"].dt.year <= year]
        return jump_warnings(self.symbol, past, "yahoo", self.second, self.confirmed, date(year, 1, 1), self.told_by)

    def require_believable(self, year: int) -> None:
        """Refuse the bars of a year that cannot be believed, or that begin later than the second source's.

        Raises
        ------
        MarketDataError
            As `jumps`.
        IncompleteDataError
            If the second source has sessions of that year before the first bar.
        """
        self.jumps(year)
        if self.second is None:
            return
        theirs = _of_year(self.second, year)
        lacking = theirs[theirs < self.bars["date"].min()] if len(self.bars) else theirs
        if len(lacking):
            begun = [day.date() for day in self.bars["date"][:1]]
            kept = [self.told_by(day) for day in begun] if self.told_by else []
            raise IncompleteDataError(
                f"The second source has {len(lacking)} sessions before the first bar: {listed(lacking)}.",
                todo=f"{fetch_again(kept or [self.symbol])}; if the listing begins later, correct its first day.",
                source="yahoo",
                symbol=self.symbol,
                week=str(lacking[0].date()),
            )

    def doubts(self, year: int) -> list[tuple[pd.Timestamp, str, str, str]]:
        """Return what casts doubt on a year: day, symbol, kind, and what it says."""
        found = [(pd.Timestamp(line.split()[1].rstrip(":")), JUMPS, line) for line in self.jumps(year)]
        for row in self.rewritten[self.rewritten["date"].dt.year == year].itertuples():
            told = f"{self.symbol} {row.date.date()}: {row.before:+.2%} at first, {row.after:+.2%} later."
            found.append((row.date, REWRITTEN, told))
        silent = self._without_volume(year)
        if len(silent):
            told = f"{self.symbol}: the price moves, but no share is traded on {listed(silent)}."
            found.append((silent[0], VOLUMES, told))
        if self.second is not None:
            days = _of_year(self.bars, year)
            lacks = days[days >= pd.Timestamp(ALPACA_BARS_SINCE)].difference(_of_year(self.second, year))
            if len(lacks):
                told = f"{self.symbol}: the second source has no bar for {listed(lacks)}."
                found.append((lacks[0], LACKS, told))
            ours, theirs = self.bars.assign(symbol=self.symbol), self.second.assign(symbol=self.symbol)
            apart = second_source_disagreements(ours, theirs)
            for row in apart[apart["date"].dt.year == year].itertuples():
                told = (
                    f"{self.symbol} {row.date.date()}: {row.ours:+.2%} here, {row.theirs:+.2%} there, "
                    f"{row.difference_bp:.0f} bp apart."
                )
                found.append((row.date, DISAGREES, told))
        return [(day, self.symbol, kind, told) for day, kind, told in found]

    def _without_volume(self, year: int) -> pd.DatetimeIndex:
        """Return the sessions of a year with no volume, where they are most of it and prices move."""
        bars = self.bars[self.bars["date"].dt.year == year]
        none = bars["volume"] == 0
        doubtful = none.mean() > MOSTLY and bars["close"].nunique() > 1
        return pd.DatetimeIndex(bars.loc[none & doubtful, "date"])


def history_of(
    raw: RawStore,
    symbol: str,
    listings: Sequence[Listing],
    first: date,
    last: date,
    *,
    second_source: bool,
    confirmed: frozenset[date] = frozenset(),
) -> History:
    """Derive a symbol's history from raw data.

    Parameters
    ----------
    raw : RawStore
    symbol : str
    listings : sequence of Listing
        Of that symbol, in time order.
    first, last : date
        The days that count, both included.
    second_source : bool
        Whether Alpaca's bars are there to compare with.
    confirmed : frozenset of date
        As `History` has it.

    Raises
    ------
    IncompleteDataError
        If a session between the first bar and the end of the listings is missing.
    """
    told = daily_bars(raw, symbol, listings)
    days = told.bars["date"]
    bars = told.bars[(days >= pd.Timestamp(first)) & (days <= pd.Timestamp(last))].reset_index(drop=True)
    if len(bars):
        begun = bars["date"].iloc[0].date()  # a listing may be older than its first trade
        due = [replace(one, first=max(one.first, begun)) for one in listings if one.last is None or one.last >= begun]
        require_sessions(symbol, pd.DatetimeIndex(bars["date"]), due, last, "yahoo")
    other = _second(raw, symbol, listings, first, last) if second_source else None
    counted = told.actions[told.actions["date"].isin(bars["date"].iloc[1:])]  # as `adjusted` counts them
    return History(
        symbol,
        adjusted(bars, told.actions),
        counted,
        told.rewritten,
        other,
        confirmed,
        partial(told_by, raw, symbol),
    )


def _of_year(table: pd.DataFrame, year: int) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(table.loc[table["date"].dt.year == year, "date"])


def _second(raw: RawStore, symbol: str, listings: Sequence[Listing], first: date, last: date) -> pd.DataFrame:
    table = second_bars(raw, symbol, listings)
    table = table[(table["date"] >= pd.Timestamp(first)) & (table["date"] <= pd.Timestamp(last))]
    return table.rename(columns={"close": "adj_close"})[["date", "adj_close", "scale"]]
