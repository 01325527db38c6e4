"""Quarterly ratios from Alpha Vantage's statements, known from the day of the earnings release.

The vendor gives each quarter once, as it stands today, with numbers as text and ``None`` for what is absent; the
release date stands in another table. So a restatement is seen only if an earlier answer is kept, and known when the
answer that holds it came. Gross profit and current accounts of banks are the vendor's own; nothing else of them is
filled in. Total debt is current debt and noncurrent long-term debt.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from allocator_pipeline.market.ingest import NO_KNOWN_AT, TOO_EARLY
from allocator_pipeline.market.live.body import nonsense, read_day, read_number, read_object
from allocator_pipeline.market.live.statements import Fundamentals, Statement, fundamentals
from allocator_pipeline.market.raw import RawKey, RawStore
from allocator_pipeline.market.tabular import ABSENT, end_of_day

VENDOR = "Alpha Vantage"

KINDS = ("income_statement", "balance_sheet", "earnings")
"""The tables that ratios need."""

REFUSALS = ("Note", "Information", "Error Message")
"""Members of an answer that refuses, though its status is 200."""

_FIGURES = {
    "income_statement": {
        "totalRevenue": "revenue",
        "grossProfit": "gross_profit",
        "operatingIncome": "operating_income",
        "netIncome": "net_income",
    },
    "balance_sheet": {
        "totalCurrentAssets": "current_assets",
        "totalCurrentLiabilities": "current_liabilities",
        "totalShareholderEquity": "equity",
        "currentDebt": "current_debt",
        "longTermDebtNoncurrent": "noncurrent_debt",
    },
    "earnings": {},
}


def read_quarters(body: bytes, kind: str, name: str, ticker: str | None = None) -> dict[date, Mapping[str, Any]]:
    """Read the quarters of one table.

    Parameters
    ----------
    body : bytes
    kind : str
        One of `KINDS`.
    name : str
        Symbol, for errors.
    ticker : str, optional
        What the answer must be about.

    Returns
    -------
    dict of date to mapping
        By end of the period: figures by our names, absent ones left out; of earnings ``reported`` (a date or None).
        None of a company that files nothing: the vendor then lists no quarter, or answers with an empty object.

    Raises
    ------
    VendorError
        If it cannot be understood, is about another symbol, or contradicts itself.
    """
    content = read_object(body, VENDOR, name)
    quarters: dict[date, Mapping[str, Any]] = {}
    if not content:
        return quarters
    try:
        for row in content["quarterlyEarnings" if kind == "earnings" else "quarterlyReports"]:
            end = read_day(row["fiscalDateEnding"])
            quarter = _quarter(row, kind)
            if quarters.setdefault(end, quarter) != quarter:
                raise ValueError("two rows of one quarter")
    except (KeyError, TypeError, ValueError, AttributeError):
        raise nonsense(f"holds no {kind.replace('_', ' ')}", VENDOR, name) from None  # whose text may be the vendor's
    if ticker is not None and content.get("symbol") != ticker:
        raise nonsense(f"is not about {ticker}", VENDOR, name)
    return quarters


def quarters_told(body: bytes, kind: str, name: str) -> set[date]:
    """Return the ends of the quarters of which one table gives figures; of earnings, those with a release date.

    Raises
    ------
    VendorError
        As `read_quarters`.
    """
    quarters = read_quarters(body, kind, name)
    return {end for end, row in quarters.items() if any(value is not None for value in row.values())}


def alphavantage_fundamentals(store: RawStore, symbol: str) -> Fundamentals:
    """Derive the quarters of a symbol from the answers of Alpha Vantage that are kept.

    Returns
    -------
    Fundamentals
        Without rows where a table has never been fetched.

    Raises
    ------
    VendorError, CorruptArtifactError
        If what is kept cannot be read.
    """
    rejected: Counter[tuple[int, str]] = Counter()
    seen = {kind: _versions(store, kind, symbol) for kind in KINDS}
    statements = [
        statement
        for end in sorted(set(seen["income_statement"]) | set(seen["balance_sheet"]))
        for statement in _statements(end, seen, rejected)
    ]
    statements.sort(key=lambda statement: (statement.known_at, statement.period_end))
    return fundamentals(symbol, "alphavantage", statements, rejected)


Version = tuple[datetime, Mapping[str, Any]]
"""A row of the vendor's, and the instant before which it was not there (of the first answer: any)."""


def _versions(store: RawStore, kind: str, symbol: str) -> dict[date, list[Version]]:
    """Return what the answers of one table have said about each quarter, where that differs."""
    seen: dict[date, list[Version]] = {}
    before = datetime.min.replace(tzinfo=UTC)
    for record, body in store.bodies(RawKey("alphavantage", kind, symbol)):
        for end, quarter in read_quarters(body, kind, symbol).items():
            versions = seen.setdefault(end, [])
            if not versions:
                versions.append((before, quarter))
            elif versions[-1][1] != quarter:
                versions.append((record.fetched_at, quarter))
        before = record.fetched_at
    return seen


def _statements(
    end: date, seen: Mapping[str, Mapping[date, list[Version]]], rejected: Counter[tuple[int, str]]
) -> list[Statement]:
    dated = next(((at, row["reported"]) for at, row in seen["earnings"].get(end, []) if row["reported"]), None)
    if dated is None:
        rejected[end.year, NO_KNOWN_AT] += 1
        return []
    at, reported = dated
    if reported <= end:
        rejected[end.year, TOO_EARLY] += 1
        return []
    released = max(end_of_day(reported), at)
    tables = [seen[kind].get(end, []) for kind in KINDS[:2]]
    instants = sorted({max(released, at) for versions in tables for at, _ in versions})
    return [Statement(end, instant, _as_of(tables, instant)) for instant in instants]


def _as_of(tables: list[list[Version]], instant: datetime) -> dict[str, float]:
    """Return a quarter's figures as they stood at an instant."""
    figures: dict[str, float] = {}
    for versions in tables:
        known = [row for at, row in versions if at <= instant]
        figures |= known[-1] if known else {}
    current, noncurrent = figures.pop("current_debt", None), figures.pop("noncurrent_debt", None)
    if current is not None and noncurrent is not None:
        figures["total_debt"] = current + noncurrent
    return figures


def _quarter(row: Mapping[str, Any], kind: str) -> dict[str, Any]:
    if kind == "earnings":
        reported = row.get("reportedDate")
        return {"reported": None if _absent(reported) else read_day(reported)}
    given = {ours: row.get(theirs) for theirs, ours in _FIGURES[kind].items()}
    return {name: read_number(value) for name, value in given.items() if not _absent(value)}


def _absent(value: object) -> bool:
    return value is None or (isinstance(value, str) and value.strip().lower() in ABSENT)
