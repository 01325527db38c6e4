"""All vendors at once on loopback, with one truth behind them, and the environment that leads clients there."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pandas as pd

from allocator_pipeline_tests.vendors.alpaca_data import KEYS, AlpacaData
from allocator_pipeline_tests.vendors.alphavantage import AlphaVantage
from allocator_pipeline_tests.vendors.edgar import Edgar, filings
from allocator_pipeline_tests.vendors.fred import Fred
from allocator_pipeline_tests.vendors.server import VendorServer
from allocator_pipeline_tests.vendors.truth import Truth
from allocator_pipeline_tests.vendors.yahoo import Yahoo

SECRETS = {
    **KEYS,
    "SEC_USER_AGENT": "Canary Caller canary@example.org",
    "ALPHAVANTAGE_API_KEY": "CANARYALPHAVANTAGE",
    "FRED_API_KEY": "canary0fred0canary0fred0canary00",
}
"""Keys that are made up, and must be found nowhere."""


class Vendors:
    """The vendors; a context manager.

    Parameters
    ----------
    truth : Truth
        What they hold.
    second : DataFrame, optional
        ``date``, ``symbol``, ``close``: what the second source of prices holds instead.

    Attributes
    ----------
    servers : dict of str to VendorServer
        By vendor.
    env : dict of str to str
        Addresses and keys.
    """

    def __init__(self, truth: Truth, second: pd.DataFrame | None = None) -> None:
        self.ciks = {symbol: f"{1000 + place:010d}" for place, symbol in enumerate(sorted(set(truth.bars["symbol"])))}
        quarters = truth.quarters.assign(
            report_date=truth.quarters["known_at"].dt.tz_convert("America/New_York").dt.date
        )
        closes = truth.bars.assign(close=truth.bars["adj_close"])[["date", "symbol", "close"]]
        released = truth.series.assign(released=truth.series["date"].dt.date, date=truth.series["date"].dt.date)
        today = pd.Timestamp.now("America/New_York").date()
        self.servers: dict[str, VendorServer] = {
            "yahoo": Yahoo(truth.bars, truth.actions),
            "alpaca": AlpacaData(truth.news, closes if second is None else second).server(),
            "edgar": Edgar(filings(quarters, self.ciks), self.ciks).serve(),
            "alphavantage": AlphaVantage(quarters).serve(),
            "fred": Fred(released, today, [SECRETS["FRED_API_KEY"]]).serve(),
        }
        self._stack = ExitStack()

    @property
    def env(self) -> dict[str, str]:
        """Return the variables that lead to these servers, with the keys that they accept."""
        names = {"alpaca": "ALPACA_DATA"}
        urls = {f"ALLOCATOR_{names.get(name, name.upper())}_URL": one.url for name, one in self.servers.items()}
        return {**urls, **SECRETS}

    @property
    def asked(self) -> int:
        """How many requests all of them have had."""
        return sum(len(one.requests) for one in self.servers.values())

    def __enter__(self) -> Vendors:
        for server in self.servers.values():
            self._stack.enter_context(server)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def write_candidates(path: Path, ciks: dict[str, str], since: str = "1990-01-01") -> Path:
    """Write a list of candidates, all listed from one day on."""
    rows = [f"{symbol},{since},,{symbol},{cik}" for symbol, cik in ciks.items()]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["symbol,from,to,ticker,cik", *rows]) + "\n")
    return path
