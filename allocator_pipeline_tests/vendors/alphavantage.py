"""Alpha Vantage on loopback: quarterly statements and earnings, out of a table of quarters or of bodies as kept."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pandas as pd

from allocator_pipeline_tests.vendors.server import Asked, Reply, VendorServer

NAMES = {
    "INCOME_STATEMENT": {
        "totalRevenue": "revenue",
        "grossProfit": "gross_profit",
        "operatingIncome": "operating_income",
        "netIncome": "net_income",
    },
    "BALANCE_SHEET": {
        "totalCurrentAssets": "current_assets",
        "totalCurrentLiabilities": "current_liabilities",
        "totalShareholderEquity": "equity",
        "currentDebt": "current_debt",
        "longTermDebtNoncurrent": "total_debt",
    },
}

INVALID_CALL = (
    "Invalid API call. Please retry or visit the documentation (https://www.alphavantage.co/documentation/) for {}."
)
NO_KEY = "the parameter apikey is invalid or missing. Please claim your free API key on (https://www.alphavantage.co)."
QUOTA = (
    "We have detected your API key as {key} and our standard API rate limit is {quota} requests per day. Please "
    "subscribe to any of the premium plans at https://www.alphavantage.co/premium/ to instantly remove all daily rate "
    "limits."
)
NOTE = "Thank you for using Alpha Vantage! Our standard API call frequency is 5 calls per minute and 500 calls per day."


class AlphaVantage:
    """Answers as www.alphavantage.co does, with status 200 whatever happens.

    Parameters
    ----------
    quarters : DataFrame, optional
        ``symbol``, ``period_end``, ``report_date`` (dates; the latter NaT where it is not known) and figures by the
        names in `NAMES`, NaN where absent. ``total_debt`` is all noncurrent.
    bodies : mapping of (str, str) to bytes, optional
        Whole answers by function and symbol, in place of what the quarters give.
    quota : int
        Requests a day.
    """

    def __init__(
        self,
        quarters: pd.DataFrame | None = None,
        bodies: Mapping[tuple[str, str], bytes] | None = None,
        quota: int = 10_000,
    ) -> None:
        self.quarters = pd.DataFrame({"symbol": []}) if quarters is None else quarters
        self.bodies, self.quota, self.asked = bodies or {}, quota, 0

    def serve(self) -> VendorServer:
        return VendorServer(self.answer)

    def answer(self, asked: Asked) -> Reply:
        function, symbol = asked.query.get("function", ""), asked.query.get("symbol", "")
        key = asked.query.get("apikey")
        if not key:
            return _json({"Error Message": NO_KEY})
        self.asked += 1
        if self.asked > self.quota:
            return _json({"Information": QUOTA.format(key=key, quota=self.quota)})
        if asked.path != "/query" or function not in (*NAMES, "EARNINGS"):
            return _json({"Error Message": INVALID_CALL.format(function)})
        if (function, symbol) in self.bodies:
            return Reply(self.bodies[function, symbol])
        rows = self.quarters[self.quarters["symbol"] == symbol]
        if rows.empty:
            return _json({})  # what it says of a symbol that it does not know
        told = rows.sort_values("period_end", ascending=False).to_dict("records")
        if function == "EARNINGS":
            return _json({"symbol": symbol, "annualEarnings": [], "quarterlyEarnings": [_earning(row) for row in told]})
        reports = [_report(row, NAMES[function]) for row in told]
        return _json({"symbol": symbol, "annualReports": [], "quarterlyReports": reports})


def _earning(row: Mapping[str, object]) -> dict[str, str]:
    reported = row["report_date"]
    return {
        "fiscalDateEnding": _day(row["period_end"]),
        "reportedDate": "None" if pd.isna(reported) else _day(reported),
        "reportedEPS": "1.24",
        "estimatedEPS": "None",
    }


def _report(row: Mapping[str, object], names: Mapping[str, str]) -> dict[str, str]:
    given = {theirs: row.get(ours) for theirs, ours in names.items()}
    if "currentDebt" in given and given["longTermDebtNoncurrent"] is not None:
        given["currentDebt"] = 0.0
    return {
        "fiscalDateEnding": _day(row["period_end"]),
        "reportedCurrency": "USD",
        **{name: "None" if value is None or pd.isna(value) else _number(value) for name, value in given.items()},
    }


def _number(value: object) -> str:
    return str(int(value)) if float(value).is_integer() else repr(value)  # type: ignore[call-overload,arg-type]


def _day(value: object) -> str:
    return str(pd.Timestamp(value).date())  # type: ignore[arg-type]


def _json(value: object) -> Reply:
    return Reply(json.dumps(value, indent=4).encode())
