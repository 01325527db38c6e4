"""Alpha Vantage: what it refuses inside a status of 200, and what it does not know."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from allocator_pipeline.errors import (
    ConfigurationError,
    VendorError,
    VendorRefusedError,
)
from allocator_pipeline.market.live.releases import quarters_told, read_quarters
from allocator_pipeline_tests.clients.fundamental_vendors import (
    KEY,
    QUARTERS,
    SECRETS,
    Vendor,
    make,
)
from allocator_pipeline_tests.vendors.alphavantage import AlphaVantage
from allocator_pipeline_tests.vendors.refusals import refused
from allocator_pipeline_tests.vendors.server import Fault, Reply

NOTE = "Thank you for using Alpha Vantage! Our standard API call frequency is 5 calls per minute and 500 calls per day."
QUARTER = {"fiscalDateEnding": "2023-03-31"}
DETECTED = f"We have detected your API key as {KEY} and our standard API rate limit is 25 requests per day."


@pytest.fixture
def alphavantage() -> Iterator[Vendor]:
    made = make("alphavantage")
    with made.server:
        yield made


@pytest.mark.parametrize("ticker", ["BRK.B", "BF-B", "T", "GOOGL", "MMM"])
def test_a_legal_ticker_is_asked_for_as_it_is(alphavantage, ticker):
    alphavantage.server.answer = AlphaVantage(QUARTERS.assign(symbol=ticker)).answer
    answer = alphavantage.open().statement("balance_sheet", ticker)
    assert alphavantage.server.requests[-1].query["symbol"] == ticker
    assert len(read_quarters(answer.body, "balance_sheet", ticker, ticker)) == 4


@pytest.mark.parametrize(
    ("body", "kind", "match"),
    [
        ({"Note": NOTE}, VendorRefusedError, "refuses with status 200"),
        ({"Information": DETECTED}, VendorRefusedError, "tomorrow"),
        ({"Information": f"The **demo** API key is for demo purposes only. {KEY}"}, VendorRefusedError, "in a minute"),
        (
            {"Error Message": f"the parameter apikey is invalid or missing: {KEY}"},
            VendorRefusedError,
            "ALPHAVANTAGE_API_KEY",
        ),
        ({"Error Message": "Invalid API call."}, VendorError, "does not understand"),
        (
            {"Note": NOTE, "symbol": "AAPL", "quarterlyReports": [{"fiscalDateEnding": "2023-03-31"}]},
            VendorRefusedError,
            "200",
        ),
        ({"symbol": "MSFT", "quarterlyReports": [QUARTER]}, VendorError, "not about AAPL"),
        ({"symbol": "AAPL", "annualReports": []}, VendorError, "holds no income"),
        ({"quarterlyReports": []}, VendorError, "not about AAPL"),
        ({"symbol": "AAPL", "quarterlyReports": [{"fiscalDateEnding": "None"}]}, VendorError, "holds no income"),
        (
            {"symbol": "AAPL", "quarterlyReports": [{"fiscalDateEnding": "2023-03-31", "netIncome": "much"}]},
            VendorError,
            "holds no income",
        ),
        (
            {
                "symbol": "AAPL",
                "quarterlyReports": [{"fiscalDateEnding": "2023-03-31", "netIncome": value} for value in ("1", "2")],
            },
            VendorError,
            "holds no income",
        ),
    ],
)
def test_alpha_vantage_refuses_inside_a_status_of_200(alphavantage, tmp_path, body, kind, match):
    alphavantage.server.faults.append(Fault(reply=Reply(json.dumps(body).encode())))
    error = refused(alphavantage.server, alphavantage.question, tmp_path, SECRETS, 1)
    assert isinstance(error, kind)
    assert match in str(error)


@pytest.mark.parametrize(
    "body",
    [
        {"symbol": "AAPL", "quarterlyReports": []},
        {"symbol": "AAPL", "quarterlyReports": [{"fiscalDateEnding": "2023-03-31", "netIncome": "None"}]},
    ],
)
def test_a_company_without_figures_is_an_answer(alphavantage, body):
    alphavantage.server.faults.append(Fault(reply=Reply(json.dumps(body).encode())))
    assert quarters_told(alphavantage.question().body, "income_statement", "AAPL") == set()


def test_alpha_vantage_has_a_quota_and_nothing_of_unknown_symbols(alphavantage, tmp_path):
    assert json.loads(alphavantage.open().statement("earnings", "NOBODY").body) == {}
    alphavantage.server.answer = AlphaVantage(QUARTERS, quota=1).answer
    assert alphavantage.question().body
    error = refused(alphavantage.server, alphavantage.question, tmp_path, SECRETS, 1)
    assert isinstance(error, VendorRefusedError)
    assert "tomorrow" in error.todo


def test_alpha_vantage_has_three_tables(alphavantage):
    with pytest.raises(ConfigurationError, match="cash_flow"):
        alphavantage.open().statement("cash_flow", "AAPL")
    assert alphavantage.server.requests == []
