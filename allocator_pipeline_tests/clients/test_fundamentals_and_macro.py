"""EDGAR, Alpha Vantage and FRED over real HTTP: whole answers, or one typed error with no key in it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import pandas as pd
import pytest

from allocator_pipeline.clients.alphavantage import AlphaVantageClient
from allocator_pipeline.clients.answer import Answer
from allocator_pipeline.clients.edgar import EdgarClient, read_tickers
from allocator_pipeline.clients.fred import FredClient
from allocator_pipeline.errors import (
    ConfigurationError,
    IncompleteDataError,
    UnsafeNameError,
    VendorError,
    VendorRefusedError,
)
from allocator_pipeline.market.live.facts import read_facts
from allocator_pipeline.market.live.macro import read_observations
from allocator_pipeline.market.live.releases import read_quarters
from allocator_pipeline_tests.vendors.alphavantage import AlphaVantage
from allocator_pipeline_tests.vendors.edgar import Edgar, filings
from allocator_pipeline_tests.vendors.faults import CASES, Case
from allocator_pipeline_tests.vendors.fred import Fred
from allocator_pipeline_tests.vendors.refusals import QUICK, refused, shown
from allocator_pipeline_tests.vendors.server import Fault, Reply, VendorServer

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
    extra: dict[str, object] = field(default_factory=dict)

    def open(self, **env: str):
        return self.client({**self.env, **env}, QUICK)

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


@pytest.fixture(params=["edgar", "alphavantage", "fred"])
def vendor(request: pytest.FixtureRequest) -> Iterator[Vendor]:
    made = make(request.param)
    with made.server:
        yield made


@pytest.fixture
def edgar() -> Iterator[Vendor]:
    made = make("edgar")
    with made.server:
        yield made


@pytest.fixture
def alphavantage() -> Iterator[Vendor]:
    made = make("alphavantage")
    with made.server:
        yield made


@pytest.fixture
def fred() -> Iterator[Vendor]:
    made = make("fred")
    with made.server:
        yield made


def test_a_whole_answer_comes_back_as_sent_and_without_the_key(vendor):
    with shown() as log:
        answer = vendor.question()
    asked = vendor.server.requests[-1]
    assert vendor.env[vendor.key] in {*asked.query.values(), *asked.headers.values()}
    for text in (repr(answer), answer.body.decode(), log.getvalue(), repr(vars(vendor.open()))):
        assert not any(secret in text for secret in SECRETS)
    assert asked.headers["user-agent"] == (AGENT if vendor.name == "edgar" else "allocator_pipeline")
    assert json.loads(answer.body)
    assert answer.request["path"] == asked.path
    assert {name: value for name, value in answer.request.items() if name != "path"}.items() <= asked.query.items()


def test_the_vendor_says_what_works(vendor, monkeypatch):
    monkeypatch.setattr("allocator_pipeline.market.calendar.now", lambda: pd.Timestamp(TODAY, tz="UTC"))
    if vendor.name == "alphavantage":
        vendor.server.answer = AlphaVantage(QUARTERS.assign(symbol="IBM")).answer
    assert "answers: it" in vendor.open().check()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_fault_is_one_error_with_nothing_stored_and_no_key_shown(vendor, case: Case, tmp_path):
    vendor.server.faults.append(case.fault())
    error = refused(vendor.server, vendor.question, tmp_path, SECRETS, case.tries)
    if case.name in ("401", "403"):
        assert isinstance(error, VendorRefusedError)


@pytest.mark.parametrize("kind", ["503", "reset", "truncate"])
def test_what_passes_is_tried_again(vendor, kind):
    fault = Fault(reply=Reply(b"", 503)) if kind == "503" else Fault(kind)
    fault.times = 1
    vendor.server.faults.append(fault)
    assert vendor.question().body
    assert len(vendor.server.requests) == 2


@pytest.mark.parametrize("value", ["", "  ", "a\nInjected: header", "schlüssel", "x" * 301])
def test_a_key_comes_from_the_environment_or_is_asked_for(vendor, value):
    with pytest.raises(ConfigurationError, match=vendor.key) as caught:
        vendor.open(**{vendor.key: value})
    assert not value.strip() or value not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://www.example.org",
        "http://127.0.0.1.example.org",
        "http://127.0.0.1@example.org",
        "http://user:word@127.0.0.1",
        "http://127.0.0.1/path",
        "http://127.0.0.1?x=1",
        "ftp://127.0.0.1",
        "127.0.0.1:80",
        "http://[",
        "http://localhost:notaport",
    ],
)
def test_only_a_server_on_this_machine_may_stand_in_for_the_vendor(vendor, url):
    with pytest.raises(ConfigurationError, match=vendor.variable):
        vendor.open(**{vendor.variable: url})


@pytest.mark.parametrize(
    "name",
    [
        "../..",
        "/etc/passwd",
        "AAPL/../MSFT",
        "AA\0PL",
        "AAPL\n",
        "AAPL&apikey=x",
        "AAPL?x",
        "A" * 300,
        "'; DROP TABLE prices; --",
        "",
        "aapl%2F",
        "[AAPL]",
        "ÄPL",
        "..",
        ".A",
        "A..B",
        "-A",
    ],
)
def test_a_hostile_name_is_refused_before_anything_is_sent(vendor, name):
    asks = {
        "edgar": lambda one: one.facts(name),
        "alphavantage": lambda one: one.statement("earnings", name),
        "fred": lambda one: one.observations(name, date(2024, 5, 1), date(2024, 5, 2)),
    }
    with pytest.raises(UnsafeNameError):
        asks[vendor.name](vendor.open())
    assert vendor.server.requests == []


@pytest.mark.parametrize("ticker", ["BRK.B", "BF-B", "T", "GOOGL", "MMM"])
def test_a_legal_ticker_is_asked_for_as_it_is(alphavantage, ticker):
    alphavantage.server.answer = AlphaVantage(QUARTERS.assign(symbol=ticker)).answer
    answer = alphavantage.open().statement("balance_sheet", ticker)
    assert alphavantage.server.requests[-1].query["symbol"] == ticker
    assert len(read_quarters(answer.body, "balance_sheet", ticker, ticker)) == 4


# --- EDGAR ---


def test_edgar_names_companies_and_their_facts(edgar):
    client = edgar.open()
    assert read_tickers(client.tickers().body) == {"AAPL": CIK}
    number, facts = read_facts(client.facts(CIK).body, "AAPL", CIK)
    assert number == CIK
    assert len(facts) == 26
    assert {asked.path for asked in edgar.server.requests} == {
        "/files/company_tickers.json",
        f"/api/xbrl/companyfacts/CIK{CIK}.json",
    }


def test_edgar_wants_to_know_who_asks(edgar):
    with pytest.raises(VendorRefusedError, match="SEC_USER_AGENT"):
        edgar.open(SEC_USER_AGENT="nobody").facts(CIK)
    assert len(edgar.server.requests) == 1


def changed(**members: object) -> Callable[[bytes], bytes]:
    return lambda body: json.dumps({**json.loads(body), **members}).encode()


def facts_changed(change: Callable[[dict], object]) -> Callable[[bytes], bytes]:
    def apply(body: bytes) -> bytes:
        content = json.loads(body)
        change(content["facts"])
        return json.dumps(content).encode()

    return apply


def first(facts: dict) -> dict:
    return facts["us-gaap"]["Revenues"]["units"]["USD"][0]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (changed(cik=789019), "about the company 0000789019"),
        (changed(cik=None), "does not hold company facts"),
        (facts_changed(lambda facts: facts.pop("us-gaap")), "nothing in US-GAAP"),
        (facts_changed(lambda facts: facts.update({"us-gaap": {}})), "nothing in US-GAAP"),
        (facts_changed(lambda facts: facts.update({"us-gaap": ["Revenues"]})), "does not hold company facts"),
        (facts_changed(lambda facts: first(facts).update(val="much")), "does not hold company facts"),
        (facts_changed(lambda facts: first(facts).update(val=True)), "does not hold company facts"),
        (facts_changed(lambda facts: first(facts).update(val=None)), "does not hold company facts"),
        (facts_changed(lambda facts: first(facts).update(filed="2023-02-30")), "does not hold company facts"),
        (facts_changed(lambda facts: first(facts).update(end=20230331)), "does not hold company facts"),
        (facts_changed(lambda facts: first(facts).pop("accn")), "does not hold company facts"),
        (lambda body: body.replace(b"100000000,", b"NaN,"), "is no JSON"),
        (lambda body: body.replace(b"100000000,", b"1" + b"0" * 400 + b","), "does not hold company facts"),
    ],
)
def test_edgar_facts_that_cannot_be_are_refused(edgar, tmp_path, change, match):
    edgar.server.faults.append(Fault("change", change=change))
    error = refused(edgar.server, edgar.question, tmp_path, SECRETS, 1)
    assert match in str(error)


def test_edgar_repeats_a_fact_and_that_is_no_fault(edgar):
    edgar.server.faults.append(
        Fault(
            "change",
            change=facts_changed(lambda facts: facts["us-gaap"]["Revenues"]["units"]["USD"].append(first(facts))),
        )
    )
    _, facts = read_facts(edgar.question().body, "AAPL", CIK)
    assert len(facts) == len(set(facts)) + 1


# --- Alpha Vantage ---

NOTE = "Thank you for using Alpha Vantage! Our standard API call frequency is 5 calls per minute and 500 calls per day."
QUARTER = {"fiscalDateEnding": "2023-03-31"}
DETECTED = f"We have detected your API key as {KEY} and our standard API rate limit is 25 requests per day."


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
        ({"symbol": "AAPL", "quarterlyReports": []}, IncompleteDataError, "no income statement"),
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


def test_alpha_vantage_has_a_quota_and_no_unknown_symbols(alphavantage, tmp_path):
    with pytest.raises(IncompleteDataError, match="no earnings"):
        alphavantage.open().statement("earnings", "NOBODY")
    alphavantage.server.answer = AlphaVantage(QUARTERS, quota=1).answer
    assert alphavantage.question().body
    error = refused(alphavantage.server, alphavantage.question, tmp_path, SECRETS, 1)
    assert isinstance(error, VendorRefusedError)
    assert "tomorrow" in error.todo


def test_alpha_vantage_has_three_tables(alphavantage):
    with pytest.raises(ConfigurationError, match="cash_flow"):
        alphavantage.open().statement("cash_flow", "AAPL")
    assert alphavantage.server.requests == []


# --- FRED ---


def test_fred_gives_market_series_as_they_stand_and_others_as_first_released(fred):
    client = fred.open()
    yields = read_observations(client.observations("DGS10", date(2024, 5, 1), TODAY).body, "DGS10")
    assert (len(yields), yields[0].day) == (42, date(2024, 5, 1))
    assert [row.day for row in yields if row.value is None] == [date(2024, 5, 27)]
    prices = read_observations(client.observations("CPIAUCSL", date(2024, 1, 1), TODAY).body, "CPIAUCSL")
    assert [(row.day, row.value, row.shown) for row in prices] == [
        (date(2024, 3, 1), 312.2, date(2024, 4, 10)),
        (date(2024, 4, 1), 313.2, date(2024, 5, 15)),
    ]
    assert fred.server.requests[-1].query["output_type"] == "4"


@pytest.mark.parametrize("key", ["short", "a" * 32])
def test_fred_refuses_a_key_with_status_400(fred, key):
    with pytest.raises(VendorRefusedError, match="FRED_API_KEY") as caught:
        fred.ask(fred.open(FRED_API_KEY=key))
    assert key not in str(caught.value)
    assert len(fred.server.requests) == 1


def test_fred_does_not_know_every_series_and_has_no_first_release_of_daily_ones(fred, tmp_path):
    with pytest.raises(VendorError, match="answered 400"):
        fred.open().observations("NOSUCH", date(2024, 5, 1), TODAY)
    days = pd.bdate_range("2010-01-01", periods=2001)
    daily = pd.DataFrame({"series": "DFF", "date": days, "value": 1.0, "released": days})
    fred.server.answer = Fred(daily, TODAY, {KEY}).answer
    with pytest.raises(VendorError, match="answered 400"):
        fred.open().observations("DFF", date(2010, 1, 1), TODAY)


def observations_changed(change: Callable[[dict], object]) -> Callable[[bytes], bytes]:
    def apply(body: bytes) -> bytes:
        content = json.loads(body)
        change(content)
        return json.dumps(content).encode()

    return apply


def without(content: dict, days: slice) -> None:
    del content["observations"][days]
    content["count"] = len(content["observations"])


@pytest.mark.parametrize(
    ("change", "kind", "match"),
    [
        (lambda content: content["observations"].pop(), IncompleteDataError, "41 of 42"),
        (lambda content: content.update(count=1000), IncompleteDataError, "42 of 1000"),
        (
            lambda content: without(content, slice(5, 7)),
            IncompleteDataError,
            "leaves out 2 sessions, the first on 2024-05-08",
        ),
        (lambda content: without(content, slice(30, None)), IncompleteDataError, "ends on 2024-06-11"),
        (lambda content: without(content, slice(0, None)), IncompleteDataError, "0 of 0"),
        (lambda content: content["observations"][3].update(date="2024-05-01"), VendorError, "two values"),
        (lambda content: content["observations"][3].update(value="NaN"), VendorError, "no observations"),
        (lambda content: content["observations"][3].update(value=None), VendorError, "no observations"),
        (lambda content: content.pop("output_type"), VendorError, "no observations"),
    ],
)
def test_fred_answers_with_gaps_or_nonsense_are_refused(fred, tmp_path, change, kind, match):
    fred.server.faults.append(Fault("change", change=observations_changed(change)))
    error = refused(fred.server, fred.question, tmp_path, SECRETS, 1)
    assert isinstance(error, kind)
    assert match in str(error)
    assert error.symbol == "DGS10"


def test_fred_values_revised_later_are_no_first_releases(fred, tmp_path):
    fred.server.faults.append(Fault("change", change=changed(output_type=1)))
    ask = lambda: fred.open().observations("CPIAUCSL", date(2024, 1, 1), TODAY)  # noqa: E731
    assert "not the initial releases" in str(refused(fred.server, ask, tmp_path, SECRETS, 1))


def test_the_pace_is_kept_with_the_vendor_itself():
    from allocator_pipeline.clients import alphavantage, edgar, fred
    from allocator_pipeline.clients.vendor import Pace

    assert edgar.INTERVAL >= 0.1
    assert fred.INTERVAL >= 0.5
    assert alphavantage.INTERVAL >= 1
    clock, slept = [0.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock[0] += seconds

    pace = Pace(0.5, sleep, lambda: clock[0])
    for wait in (0.0, 0.0, 0.2, 5.0):
        clock[0] += wait
        pace.wait()
    assert slept == [0.5, pytest.approx(0.3)]
