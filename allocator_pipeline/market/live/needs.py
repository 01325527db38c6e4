"""What the live market needs of each vendor, and what of it is not there yet.

The same needs are what ingestion asks vendors for and what the market insists on before it makes a table: nothing is
taken to be complete that was not asked for day by day.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import groupby

from allocator_pipeline.config import LiveConfig
from allocator_pipeline.errors import IncompleteDataError
from allocator_pipeline.market import calendar
from allocator_pipeline.market.live.macro import DEFAULT_SERIES, INDEX_YIELDS, OTHER_SERIES
from allocator_pipeline.market.membership import OUT_OF_THE_LIST, Listing, by_symbol, one_spelling, ticker_on
from allocator_pipeline.market.news import REPEATED_WITHIN
from allocator_pipeline.market.raw import RawKey, RawRecord

Span = tuple[date, date]
"""First and last day, both included."""

FEEDS = {
    "yahoo_bars": "yahoo",
    "alpaca_bars": "alpaca",
    "alpaca_news": "alpaca",
    "edgar_facts": "edgar",
    "alphavantage_statements": "alphavantage",
    "fred_series": "fred",
    "yahoo_indices": "yahoo",
}
"""What can be downloaded, and from whom; a feed is an asset of that name."""

QUARTERLY = ("edgar_facts", "alphavantage_statements")
"""Feeds of fundamentals."""

SERIES = ("fred_series", "yahoo_indices")
"""Feeds of macro series."""

STATEMENTS = ("income_statement", "balance_sheet", "earnings")
YAHOO_INDICES = ("^VIX", "^GSPC", *INDEX_YIELDS)
"""Volatility, the S&P 500 and Treasury yields of 13 weeks, 5, 10 and 30 years."""

ALPACA_BARS_SINCE, ALPACA_NEWS_SINCE = date(2016, 1, 1), date(2015, 1, 1)
"""Alpaca has nothing earlier."""

OVERLAP = timedelta(days=14)
"""Bars and series are asked for from so long before what is missing: so a rewritten history is seen, two answers can be
joined, and what a vendor had late is caught up."""

FRESH = timedelta(days=14)
"""So long Alpha Vantage's statements count as fresh: a free key is good for eight companies a day, and were each answer
stale the next day, it would never come to the others."""

BEFORE = {"alpaca_news": REPEATED_WITHIN.to_pytimedelta()}
"""So much of a feed is needed before the days of a table: else whether an article of January repeats one of December
would depend on whether the year before has been downloaded."""

_NAMED = 5
"""So many names are spelled out in an error."""

EVERYTHING = date(calendar.FIRST_YEAR, 1, 1)
"""First day of an answer that holds all there is."""


@dataclass(frozen=True)
class Need:
    """Days about which an answer is needed.

    Parameters
    ----------
    key : RawKey
        Where it is kept.
    asked : str
        What the vendor calls it: a ticker (of a company whose number is to be looked up too), a number or a series.
        Empty where there is nothing to ask by: of a company without a number whose listing has ended, the ticker may
        mean another one today. Its silence is told by checks, and holds nobody up.
    first, last : date
        Both included.
    reach : date or None
        Where an answer always holds everything there is: the day up to which it does.
    since : date
        Nothing is asked about days before: of bars, those before a listing begins.
    """

    key: RawKey
    asked: str
    first: date
    last: date
    reach: date | None = None
    since: date = EVERYTHING

    def is_met_by(self, record: RawRecord) -> bool:
        """Return whether an answer is about what is asked, of those about the company (`own.OwnAnswers`).

        A symbol's filings may be those of several numbers; news and bars of Alpaca's are those of one ticker each.
        """
        if self.key.vendor == "edgar":
            return not self.asked.isdecimal() or self.asked in record.request["path"]
        return self.key.vendor != "alpaca" or one_spelling(record.request["symbols"]) == one_spelling(self.asked)


def feeds_of(config: LiveConfig) -> tuple[str, ...]:
    """Return the feeds that a configuration uses."""
    return (
        "yahoo_bars",
        *(("alpaca_bars",) if config.second_source else ()),
        "alpaca_news",
        "edgar_facts" if config.fundamentals == "edgar" else "alphavantage_statements",
        *{"fred": ("fred_series",), "yahoo": ("yahoo_indices",), "off": ()}[config.macro],
    )


def needs_of(feed: str, listings: Sequence[Listing], first: date, last: date, settled: date) -> list[Need]:
    """Return what a feed has to hold about some days.

    Parameters
    ----------
    feed : str
        One of `FEEDS`.
    listings : sequence of Listing
    first, last : date
        Both included.
    settled : date
        The last session that has settled; nothing is needed or asked about later days.

    Returns
    -------
    list of Need
        By symbol or series.
    """
    last = min(last, settled)
    needs: list[Need] = []
    if feed in SERIES:
        kind = ("fred", "observations") if feed == "fred_series" else ("yahoo", "index")
        series = DEFAULT_SERIES if feed == "fred_series" else YAHOO_INDICES
        needs = [Need(RawKey(*kind, name), name, first, last) for name in series]
    else:
        for symbol, group in by_symbol(listings).items():
            needs += _about(feed, symbol, group, first, last, settled)
    return [need for need in needs if need.first <= need.last]


def _about(
    feed: str, symbol: str, listings: Sequence[Listing], first: date, last: date, settled: date
) -> Iterator[Need]:
    present = ticker_on(listings, settled)
    if feed == "yahoo_bars":  # a company's whole past stands under its present ticker
        for begun, ended in _unbroken(listings):
            days = max(first, begun), min(last, ended or last)
            yield Need(RawKey("yahoo", "bars", symbol), present, *days, since=begun)
    elif feed in ("alpaca_bars", "alpaca_news"):  # asked by the ticker of the day
        kind, since = ("bars", ALPACA_BARS_SINCE) if feed == "alpaca_bars" else ("news", ALPACA_NEWS_SINCE)
        for listing in listings:
            days = max(first, listing.first, since), min(last, listing.last or last)
            yield Need(RawKey("alpaca", kind, symbol), listing.ticker, *days)
    elif feed == "edgar_facts":
        for cik, group in groupby(_numbered(listings), key=lambda listing: listing.cik):
            spans = list(group)
            days = max(first, spans[0].first), min(last, spans[-1].last or last)
            yield Need(RawKey("edgar", "facts", symbol), cik or _still(listings, settled), *days, settled)
    else:
        start, end = max(first, listings[0].first), min(last, listings[-1].last or last, settled - FRESH)
        for kind in STATEMENTS:
            yield Need(RawKey("alphavantage", kind, symbol), _still(listings, settled), start, end, settled)


def _still(listings: Sequence[Listing], settled: date) -> str:
    """Return the ticker that means a company today; empty if its listing has ended."""
    end = listings[-1].last
    return "" if end is not None and end < settled else ticker_on(listings, settled)


def _unbroken(listings: Sequence[Listing]) -> list[tuple[date, date | None]]:
    """Return the spans of days in which a company is listed, whatever its tickers: no session lies between two rows."""
    spans: list[tuple[date, date | None]] = []
    for one in listings:
        ended = spans[-1][1] if spans else None
        if ended is not None and calendar.sessions(ended + timedelta(days=1), one.first - timedelta(days=1)).empty:
            spans[-1] = spans[-1][0], one.last
        else:
            spans.append((one.first, one.last))
    return spans


def _numbered(listings: Sequence[Listing]) -> Iterator[Listing]:
    """Yield listings with a number each: one without has that of the row before, or else the first there is."""
    number = next((listing.cik for listing in listings if listing.cik), None)
    for listing in listings:
        number = listing.cik or number
        yield replace(listing, cik=number)


def missing(need: Need, records: Iterable[RawRecord]) -> list[Span]:
    """Return the spans of a need that none of its key's answers covers, in order; of bars only those with a session."""
    if not need.asked:
        return []
    spans, day = [], need.first
    for first, last in sorted((record.first, record.last) for record in records if need.is_met_by(record)):
        if first > day:
            spans.append((day, min(first - timedelta(days=1), need.last)))
        day = max(day, last + timedelta(days=1))
        if day > need.last:
            break
    if day <= need.last:
        spans.append((day, need.last))
    spans = [(first, last) for first, last in spans if first <= last]
    if need.key.kind in ("bars", "index"):
        spans = [span for span in spans if len(calendar.sessions(*span))]
    return spans


def requests(need: Need, records: Sequence[RawRecord]) -> list[Span]:
    """Return the spans to ask a vendor for, so that nothing of a need is missing afterwards.

    News is asked for by calendar year, so that a long back-fill keeps what it has got; bars and series in one span from
    a little before the first missing day.
    """
    spans = missing(need, records)
    if not spans:
        return []
    if need.reach is not None:
        return [(EVERYTHING, need.reach)]
    if need.key.kind == "news":
        return [part for span in spans for part in _by_year(*span)]
    known = any(record.first < spans[0][0] for record in records)
    return [(max(spans[0][0] - OVERLAP, need.since) if known else spans[0][0], spans[-1][1])]


def _by_year(first: date, last: date) -> Iterator[Span]:
    for year in range(first.year, last.year + 1):
        yield max(first, date(year, 1, 1)), min(last, date(year, 12, 31))


def incomplete(
    feed: str, lacking: Sequence[tuple[Need, Sequence[Span]]], never: Sequence[str] = (), since: int = 0
) -> IncompleteDataError:
    """Return the error about raw data that is not there: it names symbols, days and what to do.

    Parameters
    ----------
    feed : str
    lacking : sequence of (Need, sequence of Span)
        What is missing.
    never : sequence of str
        Symbols of which nothing has ever come, though something has of others.
    since : int
        The first year to materialise, though something of the days before may be missing with it.
    """
    first = max(since, min(spans[0][0].year for _, spans in lacking))
    last = max(first, *(spans[-1][1].year for _, spans in lacking))
    symbols = list(dict.fromkeys(need.key.name for need, _ in lacking))
    named = ", ".join(
        f"{need.key.name} {' and '.join(f'{a} to {b}' for a, b in spans)}" for need, spans in lacking[:_NAMED]
    )
    rest = f" and {len(lacking) - _NAMED} more" if len(lacking) > _NAMED else ""
    return IncompleteDataError(
        f"Raw data of {len(symbols)} names is not there: {named}{rest}.",
        todo=f"materialise {feed} for {first} to {last}; it fetches what is missing only.{_dead(feed, never)}",
        source=feed,
        symbol=symbols[0],
    )


def _dead(feed: str, never: Sequence[str]) -> str:
    if not never:
        return ""
    more = f" and {len(never) - _NAMED} more" if len(never) > _NAMED else ""
    return (
        f" There is nothing at all of {', '.join(never[:_NAMED])}{more}: where the download says that the vendor has "
        f"nothing of it either, {f'run it again later, {OTHER_SERIES}' if feed in SERIES else OUT_OF_THE_LIST}."
    )
