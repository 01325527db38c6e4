"""EDGAR: whose facts, and whole."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from allocator_pipeline.clients.edgar import read_tickers
from allocator_pipeline.errors import (
    VendorRefusedError,
)
from allocator_pipeline.market.live.facts import read_facts
from allocator_pipeline_tests.clients.fundamental_vendors import (
    CIK,
    SECRETS,
    Vendor,
    make,
    whole,
)
from allocator_pipeline_tests.vendors.refusals import refused
from allocator_pipeline_tests.vendors.server import Fault


@pytest.fixture
def edgar() -> Iterator[Vendor]:
    made = make("edgar")
    with made.server:
        yield made


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


def year_only(content: dict) -> None:
    """Leave the sales of one year, which no quarter can be taken from."""
    told = [row for row in content["facts"]["us-gaap"]["Revenues"]["units"]["USD"] if row["form"] == "10-K"]
    content["facts"]["us-gaap"] = {"Revenues": {"units": {"USD": told}}}


def first(content: dict) -> dict:
    return content["facts"]["us-gaap"]["Revenues"]["units"]["USD"][0]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (whole(lambda content: content.update(cik=789019)), "about the company 0000789019"),
        (whole(lambda content: content.update(cik=None)), "does not hold company facts"),
        (whole(lambda content: content["facts"].pop("us-gaap")), "nothing in US-GAAP"),
        (whole(lambda content: content["facts"].update({"us-gaap": {}})), "nothing in US-GAAP"),
        (whole(lambda content: year_only(content)), "figures of no quarter"),
        (whole(lambda content: content["facts"].update({"us-gaap": ["Revenues"]})), "does not hold company facts"),
        (whole(lambda content: first(content).update(val="much")), "does not hold company facts"),
        (whole(lambda content: first(content).update(val=True)), "does not hold company facts"),
        (whole(lambda content: first(content).update(val=None)), "does not hold company facts"),
        (whole(lambda content: first(content).update(filed="2023-02-30")), "does not hold company facts"),
        (whole(lambda content: first(content).update(end=20230331)), "does not hold company facts"),
        (whole(lambda content: first(content).pop("accn")), "does not hold company facts"),
        (lambda body: body.replace(b"100000000,", b"NaN,"), "is no JSON"),
        (lambda body: body.replace(b"100000000,", b"1" + b"0" * 400 + b","), "does not hold company facts"),
    ],
)
def test_edgar_facts_that_cannot_be_are_refused(edgar, tmp_path, change, match):
    edgar.server.faults.append(Fault("change", change=change))
    error = refused(edgar.server, edgar.question, tmp_path, SECRETS, 1)
    assert match in str(error)


def test_edgar_repeats_a_fact_and_that_is_no_fault(edgar):
    twice = whole(lambda content: content["facts"]["us-gaap"]["Revenues"]["units"]["USD"].append(first(content)))
    edgar.server.faults.append(Fault("change", change=twice))
    _, facts = read_facts(edgar.question().body, "AAPL", CIK)
    assert len(facts) == len(set(facts)) + 1
