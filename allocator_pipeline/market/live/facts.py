"""What companies have reported to the SEC, fact by fact, with the filing that said it and when that was known.

The format is that of EDGAR's company facts (https://www.sec.gov/search-filings/edgar-application-programming-interfaces):
by taxonomy, tag and unit a list of values, each with the span (or instant) that it is about, the filing's number and
form, and the day of filing. Values of segments are not among them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from allocator_pipeline.market.live.body import nonsense, read_day, read_number, read_object
from allocator_pipeline.market.raw import RawKey, RawStore
from allocator_pipeline.market.tabular import end_of_day

VENDOR = "SEC EDGAR"

NOTHING = "nothing"
"""In the request of an answer which says that there is nothing: the number of the company, or `NOBODY`."""

NOBODY = ""
"""In place of the number of a company that the SEC's list of tickers does not name."""

FLOWS: Mapping[str, tuple[str, ...]] = {
    # Of several in one filing the first counts: a total stands before what may be a part of it (a bank's contract
    # revenue is one line of its revenues).
    "revenue": (
        "RevenuesNetOfInterestExpense",
        "Revenues",
        "RevenueFromContractWithCustomerExcludingAssessedTax",
        "RevenueFromContractWithCustomerIncludingAssessedTax",
        "SalesRevenueNet",
        "SalesRevenueGoodsNet",
        "SalesRevenueServicesNet",
    ),
    "gross_profit": ("GrossProfit",),
    "cost_of_revenue": ("CostOfRevenue", "CostOfGoodsAndServicesSold", "CostOfGoodsSold"),
    "operating_income": ("OperatingIncomeLoss",),
    "net_income": ("NetIncomeLoss", "ProfitLoss", "NetIncomeLossAvailableToCommonStockholdersBasic"),
}
"""Tags of what is earned over a span."""

STOCKS: Mapping[str, tuple[str, ...]] = {
    "current_assets": ("AssetsCurrent",),
    "current_liabilities": ("LiabilitiesCurrent",),
    "equity": ("StockholdersEquity", "StockholdersEquityIncludingPortionAttributableToNoncontrollingInterest"),
    "debt": ("DebtLongtermAndShorttermCombinedAmount",),
    "debt_current": ("DebtCurrent",),
    "long_term_debt": ("LongTermDebt", "LongTermDebtAndCapitalLeaseObligationsIncludingCurrentMaturities"),
    "long_term_debt_noncurrent": ("LongTermDebtNoncurrent", "LongTermDebtAndCapitalLeaseObligations"),
    "long_term_debt_current": ("LongTermDebtCurrent", "LongTermDebtAndCapitalLeaseObligationsCurrent"),
    "short_term_borrowings": ("ShortTermBorrowings", "CommercialPaper"),
}
"""Tags of what there is at an instant."""

TAGS = frozenset(tag for tags in (*FLOWS.values(), *STOCKS.values()) for tag in tags)

FORMS = ("10-K", "10-KT", "10-Q", "10-QT", "20-F", "40-F")
"""Forms that are read, and their amendments; others (8-K, S-4) repeat or recast single figures."""


@dataclass(frozen=True)
class Fact:
    """A value as one filing gives it.

    Parameters
    ----------
    tag : str
    start : date or None
        None for an instant.
    end : date
    value : float
        USD.
    filed : date
    form, filing : str
        The form, and the filing's number.
    """

    tag: str
    start: date | None
    end: date
    value: float
    filed: date
    form: str
    filing: str


def read_facts(body: bytes, name: str, cik: str | None = None) -> tuple[str, list[Fact]]:
    """Read what a body of company facts says under `TAGS`.

    Parameters
    ----------
    body : bytes
    name : str
        Symbol, or number, that was asked for.
    cik : str, optional
        The number that the answer must be about, ten digits.

    Returns
    -------
    tuple of (str, list of Fact)
        The company's number, and its facts in the order of the body: none of a company that has reported nothing yet,
        or reports under other rules than US-GAAP or in another currency than USD.

    Raises
    ------
    VendorError
        If it cannot be understood, or is about another company.
    """
    content = read_object(body, VENDOR, name)
    try:
        number = f"{int(content['cik']):010d}"
        taxonomies = content["facts"]
        if not isinstance(taxonomies, dict):
            raise TypeError
        tags = taxonomies.get("us-gaap", {})
        rows = [
            _fact(tag, row)
            for tag in sorted(TAGS & set(tags))
            for row in tags[tag]["units"].get("USD", [])
            if row["form"].removesuffix("/A") in FORMS
        ]
    except (KeyError, TypeError, ValueError, AttributeError):
        raise nonsense("does not hold company facts", VENDOR, name) from None  # whose text may be the vendor's
    if cik is not None and number != cik:
        raise nonsense(f"is about the company {number} and not {cik}", VENDOR, name)
    return number, rows


def facts_told(body: bytes, name: str, request: Mapping[str, str]) -> tuple[str, list[Fact]]:
    """Read an answer of EDGAR's, be it that there is nothing (`NOTHING`) or a body of facts (`read_facts`).

    Raises
    ------
    VendorError
        As `read_facts`.
    """
    return (request[NOTHING], []) if NOTHING in request else read_facts(body, name)


def known_facts(store: RawStore, symbol: str) -> list[tuple[datetime, Fact]]:
    """Return every fact that EDGAR has ever told of a symbol, with the instant at which it was known.

    A fact is known at the end of the day of its filing, New York. Where an earlier answer did not hold it, it was not
    known before that answer came either: what is added to the past, or changed there, is known late.

    Returns
    -------
    list of (datetime, Fact)
        By instant, originals before amendments, filing and tag.
    """
    known: dict[Fact, datetime] = {}
    before: dict[str, datetime] = {}  # by company
    read: dict[tuple[str, str], str] = {}  # the company of each body: most answers are those of the week before
    for record in store.records(RawKey("edgar", "facts", symbol)):
        body = record.sha256, record.request.get(NOTHING, "")
        if body not in read:
            number, facts = facts_told(store.read(record), symbol, record.request)
            read[body] = number
            for fact in facts:
                if fact not in known:
                    filed = end_of_day(fact.filed)
                    known[fact] = max(filed, before.get(number, filed), before.get(NOBODY, filed))
        before[read[body]] = record.fetched_at
    return in_order(known)


def in_order(known: Mapping[Fact, datetime]) -> list[tuple[datetime, Fact]]:
    """Return facts by the instant at which they were known, originals before amendments, filing and tag."""
    return sorted(((when, fact) for fact, when in known.items()), key=_order)


def _order(known: tuple[datetime, Fact]) -> tuple[Any, ...]:
    when, fact = known
    return (when, fact.form.endswith("/A"), fact.filing, fact.tag, fact.start or date.min, fact.end, fact.value)


def _fact(tag: str, row: Mapping[str, Any]) -> Fact:
    start = row.get("start")
    return Fact(
        tag,
        None if start is None else read_day(start),
        read_day(row["end"]),
        read_number(row["val"]),
        read_day(row["filed"]),
        str(row["form"]),
        str(row["accn"]),
    )
