"""EDGAR, Alpha Vantage and FRED over real HTTP: whole answers, or one typed error with no key in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date

import pandas as pd
import pytest

from allocator_pipeline.errors import (
    ConfigurationError,
    UnsafeNameError,
    VendorRefusedError,
)
from allocator_pipeline_tests.clients.fundamental_vendors import (
    AGENT,
    QUARTERS,
    SECRETS,
    TODAY,
    Vendor,
    make,
)
from allocator_pipeline_tests.vendors.alphavantage import AlphaVantage
from allocator_pipeline_tests.vendors.faults import CASES, Case
from allocator_pipeline_tests.vendors.refusals import HASTY, QUICK, refused, shown
from allocator_pipeline_tests.vendors.server import Fault, Reply


@pytest.fixture(params=["edgar", "alphavantage", "fred"])
def vendor(request: pytest.FixtureRequest) -> Iterator[Vendor]:
    made = make(request.param)
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
    vendor.patience = HASTY if case.name in ("hang", "drip") else QUICK
    vendor.server.faults.append(case.fault())
    if case.answer_of == vendor.name:
        assert vendor.question().body == b"{}"
        return
    error = refused(vendor.server, vendor.question, tmp_path, SECRETS, case.tries)
    if case.name in ("401", "403"):
        assert isinstance(error, VendorRefusedError)
    if case.name == "bomb":
        assert "sends more than" in str(error)


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
