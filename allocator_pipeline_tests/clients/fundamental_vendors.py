"""Servers of EDGAR, Alpha Vantage and FRED with little to tell, and a question to each."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from allocator_pipeline.clients.alphavantage import AlphaVantageClient
from allocator_pipeline.clients.answer import Answer
from allocator_pipeline.clients.edgar import EdgarClient
from allocator_pipeline.clients.fred import FredClient
from allocator_pipeline.transport import Patience
from allocator_pipeline_tests.vendors.alphavantage import AlphaVantage
from allocator_pipeline_tests.vendors.edgar import Edgar, filings
from allocator_pipeline_tests.vendors.fred import Fred
from allocator_pipeline_tests.vendors.refusals import QUICK
from allocator_pipeline_tests.vendors.server import VendorServer

CIK = "0000320193"
AGENT = "Canary Canarsson canary-agent@example.org"
KEY = "canarykeycanarykeycanarykey01234"
SECRETS = (AGENT, "canary-agent", KEY)
TODAY = date(2024, 6, 28)

QUARTERS = pd.DataFrame(
    {
        "symbol": "AAPL",
        "period_end": [date(2023, 3, 31), date(2023, 6, 30), date(2023, 9, 30), date(2023, 12, 31)],
        "report_date": [date(2023, 5, 4), date(2023, 8, 3), date(2023, 11, 2), date(2024, 2, 1)],
        "revenue": [100e6, 110e6, 120e6, 130e6],
        "gross_profit": [40e6, 41e6, 42e6, 43e6],
        "net_income": [20e6, 21e6, 22e6, 23e6],
        "equity": [60e6, 61e6, 62e6, 63e6],
        "total_debt": [90e6, 91e6, 92e6, 93e6],
    }
)


def releases() -> pd.DataFrame:
    days = pd.bdate_range("2024-05-01", "2024-06-27")
    market = pd.DataFrame({"series": "DGS10", "date": days, "value": 4.0, "released": days})
    market.loc[market["date"] == "2024-05-27", "value"] = np.nan  # Memorial Day
    months = pd.to_datetime(["2024-03-01", "2024-04-01", "2024-04-01"])
    shown_on = pd.to_datetime(["2024-04-10", "2024-05-15", "2024-06-12"])
    prices = pd.DataFrame({"series": "CPIAUCSL", "date": months, "value": [312.2, 313.2, 313.0], "released": shown_on})
    return pd.concat([market, prices], ignore_index=True)


@dataclass
class Vendor:
    """A server, and a question to its client."""

    name: str
    server: VendorServer
    env: dict[str, str]
    client: type
    ask: Callable[..., Answer]
    variable: str
    key: str
    patience: Patience = QUICK

    def open(self, **env: str):
        return self.client({**self.env, **env}, self.patience)

    def question(self) -> Answer:
        return self.ask(self.open())


def make(name: str) -> Vendor:
    if name == "edgar":
        server = Edgar(filings(QUARTERS, {"AAPL": CIK}), {"AAPL": CIK}).serve()
        ask, client, variable, key, value = lambda one: one.facts(CIK), EdgarClient, "EDGAR", "SEC_USER_AGENT", AGENT
    elif name == "alphavantage":
        server = AlphaVantage(QUARTERS).serve()
        ask, client, variable = (
            lambda one: one.statement("income_statement", "AAPL"),
            AlphaVantageClient,
            "ALPHAVANTAGE",
        )
        key, value = "ALPHAVANTAGE_API_KEY", KEY
    else:
        server = Fred(releases(), TODAY, {KEY}).serve()
        ask = lambda one: one.observations("DGS10", date(2024, 5, 1), date(2024, 6, 28))  # noqa: E731
        client, variable, key, value = FredClient, "FRED", "FRED_API_KEY", KEY
    variable = f"ALLOCATOR_{variable}_URL"
    return Vendor(name, server, {variable: server.url, key: value}, client, ask, variable, key)


def whole(change: Callable[[dict], object]) -> Callable[[bytes], bytes]:
    """Return the change of a body that a change of its content makes."""

    def apply(body: bytes) -> bytes:
        content = json.loads(body)
        change(content)
        return json.dumps(content).encode()

    return apply
