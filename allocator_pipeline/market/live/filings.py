"""Quarterly ratios from the filings that EDGAR holds.

A filing says something about its own quarter, and repeats others as comparatives. A quarter's figure is what a filing
gives for a span of three months; if it gives only a longer span, then that less the span from the same start to the end
of the quarter before, as known then: the fourth quarter is the year less nine months, and known with the year. A
comparative or an amendment is read only where it gives the quarter itself, since a year that is restated cannot be
taken apart by nine months that are not.

Gross profit is the one reported, else revenue less its cost. Total debt is the one reported, else current and
noncurrent debt, else long-term debt with its current part and short-term borrowings; parts that a balance sheet does
not list are nothing there, but without any long-term debt there is no total.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from itertools import groupby

from allocator_pipeline.market.fundamentals import RATIO_PARTS
from allocator_pipeline.market.ingest import TOO_EARLY
from allocator_pipeline.market.live.facts import FLOWS, STOCKS, Fact, facts_told, in_order, known_facts
from allocator_pipeline.market.live.statements import LATE, LATE_COMPARATIVE, Fundamentals, Statement, fundamentals
from allocator_pipeline.market.raw import RawStore
from allocator_pipeline.market.tabular import end_of_day

QUARTER_DAYS = range(75, 127)
"""Length of a quarter: 12 to 17 weeks in years that are counted in weeks."""

DEBT_RULES = (
    (("debt",), ()),
    (("debt_current", "long_term_debt_noncurrent"), ()),
    (("long_term_debt",), ("short_term_borrowings",)),
    (("long_term_debt_noncurrent",), ("long_term_debt_current", "short_term_borrowings")),
)
"""Total debt by the first rule whose first parts are all there; its other parts are nothing where they are absent."""

FIGURES = frozenset(name for pair in RATIO_PARTS.values() for name in pair)

CONTRADICTION = "one filing gives two values"

Figure = tuple[float, str]
"""A value, and the tags that it is made of."""

_FLOW_TAGS = frozenset(tag for tags in FLOWS.values() for tag in tags)


def edgar_fundamentals(store: RawStore, symbol: str) -> Fundamentals:
    """Derive the quarters of a symbol from the answers of EDGAR that are kept.

    Parameters
    ----------
    store : RawStore
    symbol : str

    Returns
    -------
    Fundamentals
        Without rows where nothing has been fetched.

    Raises
    ------
    VendorError, CorruptArtifactError
        If what is kept cannot be read.
    """
    rejected: Counter[tuple[int, str]] = Counter()
    return fundamentals(symbol, "edgar", list(_statements(known_facts(store, symbol), rejected)), rejected)


def quarters_filed(body: bytes, name: str, request: Mapping[str, str]) -> set[date]:
    """Return the ends of the quarters of which one answer of EDGAR gives figures.

    Raises
    ------
    VendorError
        As `facts.read_facts`.
    """
    _, facts = facts_told(body, name, request)
    known = in_order({fact: end_of_day(fact.filed) for fact in facts})
    return {statement.period_end for statement in _statements(known, Counter())}


def _statements(known: list[tuple[datetime, Fact]], rejected: Counter[tuple[int, str]]) -> Iterator[Statement]:
    """Yield what each filing says about each quarter, in the order in which it became known."""
    past: dict[tuple[str, date], dict[date, float]] = defaultdict(dict)  # by tag and start: value by end
    periods: set[date] = set()
    late: set[date] = set()
    for (known_at, _, _), group in groupby(known, lambda pair: (pair[0], pair[1].form, pair[1].filing)):
        facts = _consistent([fact for _, fact in group], rejected)
        spans = {end for tag, start, end in facts if start and tag in _FLOW_TAGS and _long(start, end)}
        own = max(spans, default=date.min)
        instants = {end for _, start, end in facts if start is None} & periods
        for (tag, start, end), value in facts.items():
            if start:
                past[tag, start][end] = value
        for end in sorted(spans | instants):
            if end not in periods and end < own and known_at.date() - end > LATE:
                rejected.update([(end.year, LATE_COMPARATIVE)] if end not in late else [])
                late.add(end)
                continue
            figures = _figures(facts, end, past if end == own and end not in periods else {})
            if figures:
                periods.add(end)
                values = {name: value for name, (value, _) in figures.items()}
                yield Statement(end, known_at, values, {name: made_of for name, (_, made_of) in figures.items()})


def _consistent(facts: list[Fact], rejected: Counter[tuple[int, str]]) -> dict[tuple[str, date | None, date], float]:
    """Return the values of one filing by tag, start and end, without those that cannot be right."""
    values: dict[tuple[str, date | None, date], set[float]] = defaultdict(set)
    for fact in facts:
        if fact.end < fact.filed:
            values[fact.tag, fact.start, fact.end].add(fact.value)
        elif fact.start is not None:
            rejected[fact.end.year, TOO_EARLY] += 1
    rejected.update((key[2].year, CONTRADICTION) for key, given in values.items() if len(given) > 1)
    return {key: given.pop() for key, given in values.items() if len(given) == 1}


def _figures(
    facts: Mapping[tuple[str, date | None, date], float],
    end: date,
    past: Mapping[tuple[str, date], Mapping[date, float]],
) -> dict[str, Figure]:
    """Return the figures that a filing gives for the quarter, and the balance, at an end, with the tags behind them."""
    found: dict[str, Figure] = {}
    for name, tags in FLOWS.items():
        _add(found, name, ((_quarter(facts, tag, end, past), tag) for tag in tags))
    for name, tags in STOCKS.items():
        _add(found, name, ((facts.get((tag, None, end)), tag) for tag in tags))
    if "gross_profit" not in found and "revenue" in found and "cost_of_revenue" in found:
        (revenue, one), (cost, other) = found["revenue"], found["cost_of_revenue"]
        found["gross_profit"] = (revenue - cost, f"{one} - {other}")
    debt = _total_debt(found)
    if debt is not None:
        found["total_debt"] = debt
    return {name: found[name] for name in sorted(FIGURES & set(found))}


def _add(found: dict[str, Figure], name: str, given: Iterable[tuple[float | None, str]]) -> None:
    """Add the first that is there, if any."""
    figure = next(((value, tag) for value, tag in given if value is not None), None)
    if figure is not None:
        found[name] = figure


def _quarter(
    facts: Mapping[tuple[str, date | None, date], float],
    tag: str,
    end: date,
    past: Mapping[tuple[str, date], Mapping[date, float]],
) -> float | None:
    starts = (start for name, start, last in facts if name == tag and start and last == end)
    for start in sorted(starts, reverse=True):  # the shortest span first
        if (end - start).days in QUARTER_DAYS:
            return facts[tag, start, end]
        before = [last for last in past.get((tag, start), {}) if (end - last).days in QUARTER_DAYS]
        if before:
            return facts[tag, start, end] - past[tag, start][max(before)]
    return None


def _total_debt(found: Mapping[str, Figure]) -> Figure | None:
    for needed, optional in DEBT_RULES:
        if all(name in found for name in needed):
            parts = [found[name] for name in (*needed, *optional) if name in found]
            return sum(value for value, _ in parts), " + ".join(tag for _, tag in parts)
    return None


def _long(start: date, end: date) -> bool:
    return (end - start).days >= QUARTER_DAYS.start
