"""EDGAR on loopback: company facts and tickers, out of tables of filings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, timedelta

import pandas as pd

from allocator_pipeline_tests.vendors.server import Asked, Reply, VendorServer

FACT_COLUMNS = ["cik", "tag", "start", "end", "value", "filed", "form", "filing"]

FLOWS = {
    "revenue": "Revenues",
    "gross_profit": "GrossProfit",
    "operating_income": "OperatingIncomeLoss",
    "net_income": "NetIncomeLoss",
}
STOCKS = {
    "current_assets": "AssetsCurrent",
    "current_liabilities": "LiabilitiesCurrent",
    "equity": "StockholdersEquity",
    "total_debt": "DebtLongtermAndShorttermCombinedAmount",
}

DENIED = b"<html><head><title>SEC.gov | Your Request Originates from an Undeclared Automated Tool</title></head></html>"
NO_SUCH_KEY = b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchKey</Code></Error>'


class Edgar:
    """Answers as data.sec.gov and www.sec.gov do.

    Parameters
    ----------
    facts : DataFrame
        `FACT_COLUMNS`, one row a value in a filing; ``start`` is None for an instant. `filings` makes them of quarters.
    tickers : mapping of str to str
        CIK (ten digits) of each ticker.
    """

    def __init__(self, facts: pd.DataFrame, tickers: Mapping[str, str]) -> None:
        self.facts, self.tickers = facts, tickers

    def serve(self) -> VendorServer:
        return VendorServer(self.answer)

    def answer(self, asked: Asked) -> Reply:
        if "@" not in asked.headers.get("user-agent", ""):
            return Reply(DENIED, 403, {"Content-Type": "text/html"})
        if asked.path == "/files/company_tickers.json":
            rows = {
                str(number): {"cik_str": int(cik), "ticker": ticker, "title": f"{ticker} Inc."}
                for number, (ticker, cik) in enumerate(self.tickers.items())
            }
            return Reply(json.dumps(rows).encode())
        number = asked.path.removeprefix("/api/xbrl/companyfacts/CIK").removesuffix(".json")
        known = self.facts[self.facts["cik"] == number]
        if known.empty:
            return Reply(NO_SUCH_KEY, 404, {"Content-Type": "application/xml"})
        return Reply(company_facts(number, known))


def company_facts(number: str, known: pd.DataFrame) -> bytes:
    """Return the body of a company's facts (`FACT_COLUMNS`)."""
    tags: dict[str, dict[str, object]] = {}
    for tag, rows in known.groupby("tag", sort=True):
        values = [_fact(row) for row in rows.to_dict("records")]
        tags[str(tag)] = {"label": str(tag), "description": f"What {tag} is.", "units": {"USD": values}}
    shares = {"end": "2009-06-30", "val": 1000, "accn": "0-0-0", "form": "10-Q", "filed": "2009-07-01"}
    cover = {"EntityCommonStockSharesOutstanding": {"units": {"shares": [shares]}}}
    company = {"cik": int(number), "entityName": "A Company", "facts": {"dei": cover, "us-gaap": tags}}
    return json.dumps(company).encode()


def _fact(row: Mapping[str, object]) -> dict[str, object]:
    start, value = row["start"], row["value"]
    filed = date.fromisoformat(str(row["filed"]))
    fact: dict[str, object] = {} if start is None or pd.isna(start) else {"start": str(start)}
    whole = isinstance(value, float) and value.is_integer()
    fact |= {"end": str(row["end"]), "val": int(value) if whole else value, "accn": row["filing"]}
    return fact | {"fy": filed.year, "fp": "Q1", "form": row["form"], "filed": str(row["filed"])}


def filings(quarters: pd.DataFrame, ciks: Mapping[str, str]) -> pd.DataFrame:
    """Return the facts of one filing a quarter.

    The quarters that end in December are told by an annual report: the year, and no quarter, of what is earned. Other
    reports tell the quarter, the year so far, and the quarter a year before.

    Parameters
    ----------
    quarters : DataFrame
        ``symbol``, ``period_end`` and ``report_date`` (dates), and figures by the names of `FLOWS` and `STOCKS` in
        whole USD; NaN where a company does not report one. A year has all its quarters.
    ciks : mapping of str to str
        By symbol.
    """
    rows: list[tuple[object, ...]] = []
    for symbol, table in quarters.sort_values("period_end").groupby("symbol"):
        number, told = ciks[str(symbol)], table.to_dict("records")
        for place, quarter in enumerate(told):
            end, filed = _day(quarter["period_end"]), str(_day(quarter["report_date"]))
            annual = end.month == 12
            form, filing = ("10-K" if annual else "10-Q"), f"{number}-{filed[2:4]}-{place:06d}"
            year = [one for one in told[: place + 1] if _day(one["period_end"]).year == end.year]
            for name, tag in FLOWS.items():
                if name not in quarter or pd.isna(quarter[name]):
                    continue
                whole = sum(one[name] for one in year)
                rows.append((number, tag, f"{end.year}-01-01", str(end), float(whole), filed, form, filing))
                for one in [] if annual else [quarter, *told[max(place - 4, 0) : max(place - 3, 0)]]:
                    last = _day(one["period_end"])
                    if (len(year) > 1 or last != end) and not pd.isna(one[name]):
                        first = str(last - timedelta(days=89))
                        rows.append((number, tag, first, str(last), float(one[name]), filed, form, filing))
            for name, tag in STOCKS.items():
                if name in quarter and not pd.isna(quarter[name]):
                    rows.append((number, tag, None, str(end), float(quarter[name]), filed, form, filing))
    return pd.DataFrame(rows, columns=FACT_COLUMNS)


def _day(value: object) -> date:
    return pd.Timestamp(value).date()  # type: ignore[arg-type]
