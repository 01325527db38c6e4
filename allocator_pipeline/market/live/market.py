"""The live market: tables made from what vendors have answered, without asking them anything (docs/live-data.md)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pandas as pd

from allocator_pipeline.config import N_STOCKS, RATIOS, LiveConfig
from allocator_pipeline.errors import ConfigurationError, IncompleteDataError
from allocator_pipeline.market import calendar
from allocator_pipeline.market.liquidity import TRAILING_SESSIONS, rank_by_liquidity
from allocator_pipeline.market.live.absences import require_absent
from allocator_pipeline.market.live.completeness import due_sessions
from allocator_pipeline.market.live.derived import Derived, index_closes
from allocator_pipeline.market.live.history import History
from allocator_pipeline.market.live.macro import DEFAULT_SERIES, macro_table
from allocator_pipeline.market.live.needs import (
    BEFORE,
    QUARTERLY,
    YAHOO_INDICES,
    Need,
    feeds_of,
    incomplete,
    missing,
    needs_of,
)
from allocator_pipeline.market.live.own import OwnAnswers
from allocator_pipeline.market.live.proceeds import with_proceeds
from allocator_pipeline.market.live.settled import listed
from allocator_pipeline.market.live.window import covered_sessions, in_year, settled_session
from allocator_pipeline.market.membership import OUT_OF_THE_LIST, by_symbol, read_candidates
from allocator_pipeline.market.raw import RawKey, RawStore
from allocator_pipeline.market.scoring.base import open_scorer
from allocator_pipeline.market.scoring.cache import ScoreCache
from allocator_pipeline.market.scoring.scored import scored
from allocator_pipeline.market.source import NO_SCREEN, MarketCoverage, require_year
from allocator_pipeline.schemas import (
    CORPORATE_ACTIONS,
    DOUBTS,
    FUNDAMENTALS,
    MACRO,
    PRICES,
    RESTATEMENTS,
    SENTIMENT,
    validate,
)

WINDOW = "FRED shows the S&P 500 for ten years only: of days before the ten years of the first download it has none."


class LiveMarket:
    """What vendors have answered, as a market; see `MarketSource` for the methods. It asks nobody anything.

    Parameters
    ----------
    config : LiveConfig
    raw : RawStore
        Answers of vendors.
    scores : Path
        Where scores of articles are kept.
    now : Timestamp, optional
        The present, with a time zone; by default that of the clock. It decides the last session where the configuration
        names no end, and nothing else.
    progress : callable, optional
        Receives a line now and then while articles are scored.

    Raises
    ------
    MarketDataError
        If the list of candidates, or that of confirmed moves, is malformed.
    ConfigurationError
        If no session has settled between start and end, or fewer than 15 stocks are listed.
    """

    def __init__(
        self,
        config: LiveConfig,
        raw: RawStore,
        scores: Path,
        now: pd.Timestamp | None = None,
        progress: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.config, self.scores, self.progress = config, scores, progress
        self.settled = settled_session(now)
        sessions = covered_sessions(config, self.settled)
        self.first, self.last = sessions[0].date(), sessions[-1].date()
        self.by_symbol = {  # with all their listings: what a company is called today says by what to ask for it
            symbol: group
            for symbol, group in by_symbol(read_candidates(config.candidates)).items()
            if any(one.first <= self.last and (one.last is None or one.last >= self.first) for one in group)
        }
        self.listings = tuple(one for group in self.by_symbol.values() for one in group)
        self.raw = OwnAnswers(raw.root, self.by_symbol)
        if len(self.by_symbol) < N_STOCKS:
            raise ConfigurationError(
                f"{len(self.by_symbol)} stocks are listed between {self.first} and {self.last}; {N_STOCKS} are needed.",
                todo="add candidates to the list that ALLOCATOR_LIVE_CANDIDATES names.",
                source=str(config.candidates),
            )
        self._derived = Derived(config, self.raw, self.by_symbol, self.first, self.last)

    def coverage(self) -> MarketCoverage:
        """Return what the market covers: known from configuration and calendar alone."""
        config = self.config
        used = {
            "edgar": "fundamentals from SEC filings, known from their filing date",
            "alphavantage": "fundamentals from Alpha Vantage, known from their release date, but as restated since",
        }[config.fundamentals]
        ended = sum(group[-1].last is not None and group[-1].last < self.last for group in self.by_symbol.values())
        return MarketCoverage(
            name="live",
            first_session=self.first,
            last_session=self.last,
            static=config.end is not None,
            has_open=True,
            has_volume=True,
            simulated=(),
            notes=(
                f"Prices from Yahoo, news from Alpaca, {used}.",
                f"{ended} of {len(self.by_symbol)} candidates end before the last session"
                + (
                    ": if the list was drawn up with hindsight, survivorship flatters every level of return."
                    if not ended
                    else "."
                ),
                *((WINDOW,) if config.macro == "fred" else ()),
                NO_SCREEN,
            ),
            symbols=tuple(self.by_symbol),
        )

    def prices(self, year: int) -> pd.DataFrame:
        """Return the bars of a year, adjusted by what was known on each day (`live.adjust`).

        Raises
        ------
        NotEnoughDataError
            If the year lies outside the coverage.
        IncompleteDataError
            If raw data up to that year is missing, or lacks a session, or the second source has sessions before the
            first bar, or there is no bar at all of a symbol that was listed; it names symbols and days.
        MarketDataError
            If a move of that year cannot be believed, or there are bars from between two listings of a company up to
            the end of it; it names symbol and day.
        """
        require_year(self.coverage(), year)
        self._require_bars(year)
        parts, end = [], min(self.last, date(year, 12, 31))
        for symbol in self._listed(year):
            require_absent(self.raw, symbol, self.by_symbol, self.first, end, second_source=self.config.second_source)
            history = self._derived.history(symbol)
            self._require_some(history, year)
            history.require_believable(year)
            bars = with_proceeds(history.bars, self.by_symbol[symbol], self.last)
            bars = bars[bars["date"].dt.year == year]
            if len(bars):
                parts.append(bars.assign(symbol=symbol))
        if not parts:
            raise IncompleteDataError(
                f"No candidate has a bar in {year}.", todo="mend the list of candidates.", source="yahoo"
            )
        table = pd.concat(parts, ignore_index=True)[list(PRICES.columns)]
        table = table.astype({"date": "datetime64[us]", "symbol": "str", "source": "str"})
        return validate(table.sort_values(["date", "symbol"], ignore_index=True), PRICES, "live")

    def corporate_actions(self, year: int) -> pd.DataFrame:
        """Return the dividends and splits of a year by which its adjusted closes move (`schemas.CORPORATE_ACTIONS`).

        They are those of the answers there are, so that prices made before the latest session can be accounted for.

        Raises
        ------
        NotEnoughDataError
            If the year lies outside the coverage.
        """
        require_year(self.coverage(), year)
        asked = [symbol for symbol in self._listed(year) if self.raw.records(RawKey("yahoo", "bars", symbol))]
        told = [pd.DataFrame(columns=list(CORPORATE_ACTIONS.columns)).astype({"date": "datetime64[us]"})]
        table = pd.concat([*told, *(self._derived.history(symbol).actions for symbol in asked)], ignore_index=True)
        table = table[table["date"].dt.year == year].sort_values(["date", "symbol", "kind"], ignore_index=True)
        texts = dict.fromkeys(("symbol", "kind", "source"), "str")
        table = table.astype({"date": "datetime64[us]", "value": "float64", **texts})
        return validate(table, CORPORATE_ACTIONS, "live")

    def sentiment(self, year: int) -> pd.DataFrame:
        """Return the articles of a year up to the last session, scored now where they are not yet.

        Raises
        ------
        IncompleteDataError
            If raw news of the year, or of the seven days before, is missing; it names symbols and days.
        """
        require_year(self.coverage(), year)
        self._require("alpaca_news", year, since=year)
        parts = [  # of all years: one that was changed in a later year has counted in its own
            in_year(self._derived.articles(symbol), "published_at", year, self.last) for symbol in self.by_symbol
        ]
        together = pd.concat(parts, ignore_index=True)
        scorer = open_scorer(self.config.scorer)
        table = scored(together, scorer, ScoreCache(self.scores), self.progress)
        return validate(table, SENTIMENT, "live")

    def articles(self, symbol: str) -> pd.DataFrame:
        """Return what is there of the articles about a symbol (`schemas.ARTICLES`), of all years."""
        return self._derived.articles(symbol)

    def fundamentals(self, year: int) -> pd.DataFrame:
        """Return the ratios that became known in a year, as first reported; no row of a company that files nothing.

        Raises
        ------
        IncompleteDataError
            If raw fundamentals are missing; it names symbols and days.
        """
        require_year(self.coverage(), year)
        self._require_quarters(year)
        quarters = [self._derived.quarters(symbol).first_reported for symbol in self.by_symbol]
        table = in_year(pd.concat(quarters, ignore_index=True), "known_at", year, self.last)
        table = table.sort_values(["known_at", "symbol", "period_end"], ignore_index=True)
        return validate(table, FUNDAMENTALS, "live")

    def has_ratios(self, symbol: str) -> bool:
        """Tell whether the statements kept of a symbol yield any of the five ratios in any quarter."""
        return bool(self._derived.quarters(symbol).first_reported[list(RATIOS)].notna().any(axis=None))

    def restatements(self, year: int) -> pd.DataFrame:
        """Return what was said otherwise in a year about quarters (`schemas.RESTATEMENTS`).

        Raises
        ------
        IncompleteDataError
            As `fundamentals`.
        """
        self._require_quarters(year)
        restated = [self._derived.quarters(symbol).restated for symbol in self.by_symbol]
        table = in_year(pd.concat(restated, ignore_index=True), "known_at", year, self.last)
        table = table.sort_values(["known_at", "symbol", "period_end", "field"], ignore_index=True)
        return validate(table, RESTATEMENTS, "live")

    def fixed_universe(self) -> list[str]:
        """Return the 15 most liquid stocks at the end of the prices."""
        days = calendar.sessions(self.first, self.last)[-TRAILING_SESSIONS:]
        recent = pd.concat([self.prices(year) for year in sorted(set(days.year))], ignore_index=True)
        return rank_by_liquidity(recent[recent["date"] >= days[0]])["symbol"].head(N_STOCKS).tolist()

    def rejections(self, year: int) -> dict[str, int]:
        """Return how many quarters or figures of a year were left out, by reason."""
        counts: Counter[str] = Counter()
        for symbol in self.by_symbol:
            for (when, reason), count in self._derived.quarters(symbol).rejected.items():
                if when == year:
                    counts[f"fundamentals: {reason}"] += count
        return dict(sorted(counts.items()))

    def price_doubts(self, year: int) -> pd.DataFrame:
        """Return jumps, rewritten returns and disagreements with the second source in a year (`schemas.DOUBTS`).

        Raises
        ------
        IncompleteDataError
            As `prices`.
        """
        self._require_bars(year)
        rows = [row for symbol in self._listed(year) for row in self._derived.history(symbol).doubts(year)]
        table = pd.DataFrame(rows, columns=list(DOUBTS.columns)).astype(
            {"date": "datetime64[us]", "symbol": "str", "kind": "str", "told": "str"}
        )
        return validate(table.sort_values(["kind", "date", "symbol"], ignore_index=True), DOUBTS, "live")

    def macro(self, year: int) -> pd.DataFrame:
        """Return the macro series of a year (`schemas.MACRO`).

        Raises
        ------
        IncompleteDataError
            If raw data of the year is missing.
        """
        feed = "fred_series" if self.config.macro == "fred" else "yahoo_indices"
        self._require(feed, year, since=year)
        names = DEFAULT_SERIES if feed == "fred_series" else YAHOO_INDICES
        table = macro_table(self.raw, names, index_closes)
        days = table["date"]
        inside = (days.dt.year == year) & (days <= pd.Timestamp(self.last))
        return validate(table[inside].reset_index(drop=True), MACRO, "live")

    def needs(self, feed: str, first: date, last: date) -> list[Need]:
        """Return what a feed has to hold about some days, as far as the market covers them: what is due of it."""
        begun = date(self.first.year, 1, 1)  # there is news on New Year's Day
        return needs_of(feed, self.listings, max(first, begun), min(last, self.last), self.settled)

    def needs_of_tables(self, feed: str, first: date, last: date) -> list[Need]:
        """Return what tables of some days are made of: of news also the days before, which it may repeat."""
        return self.needs(feed, first - BEFORE.get(feed, timedelta(0)), last)

    def _require(self, feed: str, year: int, since: int | None = None) -> None:
        """Refuse raw data of which something is missing from a year (the first, where none is named) to another."""
        first = date(since or self.first.year, 1, 1)
        needs = self.needs_of_tables(feed, first, date(year, 12, 31))
        records = {need.key: self.raw.records(need.key) for need in needs}
        lacking = [(need, spans) for need in needs if (spans := missing(need, records[need.key]))]
        if lacking:
            never = dict.fromkeys(key.name for key, kept in records.items() if not kept)
            raise incomplete(feed, lacking, list(never) if any(records.values()) else (), since or 0)

    def _require_some(self, history: History, year: int) -> None:
        """Refuse a symbol that was listed up to the end of a year, and has no bar at all: it would go unnoticed."""
        due = due_sessions(self.by_symbol[history.symbol], self.first, min(self.last, date(year, 12, 31)))
        if history.bars.empty and len(due):
            raise IncompleteDataError(
                f"There is not one bar, though its listing makes {len(due)} sessions due: {listed(due)}.",
                todo=f"{OUT_OF_THE_LIST}.",
                source="yahoo",
                symbol=history.symbol,
            )

    def _listed(self, year: int) -> list[str]:
        """Return the symbols whose listing has begun by the end of a year."""
        end = date(year, 12, 31)
        return [symbol for symbol, group in self.by_symbol.items() if group[0].first <= end]

    def _require_bars(self, year: int) -> None:
        for feed in feeds_of(self.config):
            if feed.endswith("_bars"):
                self._require(feed, year)

    def _require_quarters(self, year: int) -> None:
        self._require(QUARTERLY[self.config.fundamentals != "edgar"], year)
