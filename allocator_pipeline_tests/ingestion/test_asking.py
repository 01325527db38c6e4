"""A ticker is no identity: what is asked about a company is never what its ticker means today."""

from __future__ import annotations

from datetime import UTC, date, datetime
from types import SimpleNamespace

import pytest

from allocator_pipeline.clients.answer import Answer
from allocator_pipeline.errors import MarketDataError
from allocator_pipeline.ingestion.asking import asking
from allocator_pipeline.market.live.needs import needs_of
from allocator_pipeline.market.membership import Listing

FIRST, END, SETTLED = date(2018, 1, 2), date(2018, 6, 29), date(2019, 12, 31)
ENDED = Listing("OLD14", "S14", date(1990, 1, 1), END)
NUMBERED = Listing("OLD14", "S14", date(1990, 1, 1), END, "0000000007")


class Vendor:
    """Answers whatever it is asked."""

    def facts(self, cik: str) -> Answer:
        return Answer(b"{}", datetime(2020, 1, 2, tzinfo=UTC), {"path": cik})

    def statement(self, kind: str, ticker: str) -> str:
        return ticker


def first_answer(feed: str, listing: Listing) -> object:
    market = SimpleNamespace(by_symbol={listing.symbol: (listing,)}, settled=SETTLED)
    need = needs_of(feed, [listing], FIRST, SETTLED, SETTLED)[0]
    return asking(feed, Vendor(), market)(need, need.first, need.last)


@pytest.mark.parametrize(
    ("feed", "todo"), [("edgar_facts", "in the column cik"), ("alphavantage_statements", "from EDGAR")]
)
def test_nothing_is_asked_by_the_ticker_of_a_listing_that_has_ended(feed, todo):
    with pytest.raises(MarketDataError, match=f"ticker S14, whose listing ended on {END}") as caught:
        first_answer(feed, ENDED)
    assert todo in caught.value.todo
    assert caught.value.symbol == "OLD14"


def test_the_number_of_a_company_outlives_its_listing():
    answer = first_answer("edgar_facts", NUMBERED)
    assert answer.request == {"path": "0000000007", "asked": "0000000007"}


def test_a_listing_whose_end_is_still_to_come_is_asked_for():
    to_end = Listing("OLD14", "S14", date(1990, 1, 1), date(2020, 3, 1))
    assert first_answer("alphavantage_statements", to_end) == "S14"
