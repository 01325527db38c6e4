"""EDGAR: whose facts, and whole."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from allocator_pipeline.clients.edgar import read_tickers
from allocator_pipeline.errors import NothingThereError, VendorRefusedError
from allocator_pipeline.market.live.facts import NOTHING, facts_told, read_facts
from allocator_pipeline_tests.clients.fundamental_vendors import (
    CIK,
    SECRETS,
    Vendor,
    make,
    whole,
)
from allocator_pipeline_tests.vendors.edgar import NO_SUCH_KEY
from allocator_pipeline_tests.vendors.refusals import refused
from allocator_pipeline_tests.vendors.server import Fault, Reply


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


def first_tag(content: dict) -> dict:
    return content["facts"]["us-gaap"]["Revenues"]


def first(content: dict) -> dict:
    return content["facts"]["us-gaap"]["Revenues"]["units"]["USD"][0]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (whole(lambda content: content.update(cik=789019)), "about the company 0000789019"),
        (whole(lambda content: content.update(cik=None)), "does not hold company facts"),
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


@pytest.mark.parametrize(
    ("change", "count"),
    [
        (lambda content: content.update(facts={}), 0),
        (lambda content: content["facts"].pop("us-gaap"), 0),
        (lambda content: content["facts"].update({"us-gaap": {}}), 0),
        (lambda content: first_tag(content)["units"].update(EUR=first_tag(content)["units"].pop("USD")), 20),
        (year_only, 1),
    ],
)
def test_what_a_company_does_not_report_in_quarters_of_us_gaap_and_usd_is_an_answer(edgar, change, count):
    edgar.server.faults.append(Fault("change", change=whole(change)))
    answer = edgar.question()
    assert len(read_facts(answer.body, "AAPL", CIK)[1]) == count
    assert NOTHING not in answer.request


def test_a_company_without_facts_is_an_answer_where_the_sec_says_so_and_no_other_404_is(edgar, tmp_path):
    nobody = "0000999999"
    answer = edgar.open().facts(nobody)
    assert answer.body == NO_SUCH_KEY
    assert facts_told(answer.body, "FUND", answer.request) == (nobody, [])
    edgar.server.faults.append(Fault(reply=Reply(b"<html>Not found</html>", 404)))
    assert isinstance(refused(edgar.server, edgar.question, tmp_path, SECRETS, 1), NothingThereError)


def test_edgar_repeats_a_fact_and_that_is_no_fault(edgar):
    twice = whole(lambda content: content["facts"]["us-gaap"]["Revenues"]["units"]["USD"].append(first(content)))
    edgar.server.faults.append(Fault("change", change=twice))
    _, facts = read_facts(edgar.question().body, "AAPL", CIK)
    assert len(facts) == len(set(facts)) + 1
