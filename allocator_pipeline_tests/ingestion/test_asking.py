"""A ticker is no identity: what is asked about a company is never what its ticker means today."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from allocator_pipeline.clients.answer import Answer
from allocator_pipeline.ingestion.asking import asking
from allocator_pipeline.ingestion.download import todo
from allocator_pipeline.market.live.needs import missing, needs_of
from allocator_pipeline.market.membership import Listing
from allocator_pipeline.market.raw import RawStore

FIRST, END, SETTLED = date(2018, 1, 2), date(2018, 6, 29), date(2019, 12, 31)
FETCHED = datetime(2020, 1, 1, tzinfo=UTC)
ENDED = Listing("OLD14", "S14", date(1990, 1, 1), END)
NUMBERED = Listing("OLD14", "S14", date(1990, 1, 1), END, "0000000007")


class Vendor:
    """Answers whatever it is asked, with nothing but that."""

    def facts(self, cik: str) -> Answer:
        return Answer(b"", FETCHED, {"path": cik})

    def statement(self, kind: str, ticker: str) -> Answer:
        return Answer(b"", FETCHED, {"symbol": ticker})


def first_answer(feed: str, listing: Listing, folder: Path) -> Answer:
    market = SimpleNamespace(by_symbol={listing.symbol: (listing,)}, settled=SETTLED, raw=RawStore(folder))
    need = needs_of(feed, [listing], FIRST, SETTLED, SETTLED)[0]
    return asking(feed, Vendor(), market)(need, need.first, need.last)


@pytest.mark.parametrize("feed", ["edgar_facts", "alphavantage_statements"])
def test_nothing_is_asked_by_the_ticker_of_a_listing_that_has_ended_and_nobody_waits_for_it(feed, tmp_path):
    needs = needs_of(feed, [ENDED], FIRST, SETTLED, SETTLED)
    assert {need.asked for need in needs} == {""}
    assert [missing(need, []) for need in needs] == [[]] * len(needs)
    assert todo(needs, RawStore(tmp_path)).questions == []


def test_the_number_of_a_company_outlives_its_listing(tmp_path):
    answer = first_answer("edgar_facts", NUMBERED, tmp_path)
    assert answer.request == {"path": "0000000007", "asked": "0000000007"}


def test_a_listing_whose_end_is_still_to_come_is_asked_for(tmp_path):
    to_end = Listing("OLD14", "S14", date(1990, 1, 1), date(2020, 3, 1))
    assert first_answer("alphavantage_statements", to_end, tmp_path).request["symbol"] == "S14"
