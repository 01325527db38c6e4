"""Which of the kept answers are about a company, by the names under which they were asked for."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from allocator_pipeline.market.live.own import OwnAnswers
from allocator_pipeline.market.membership import Listing
from allocator_pipeline.market.raw import RawKey, RawStore

META = (
    Listing("META", "FB", date(2012, 5, 18), date(2022, 6, 8), "0001326801"),
    Listing("META", "META", date(2022, 6, 9), cik="0001326801"),
)
BEFORE, AFTER = datetime(2022, 6, 4, 12, tzinfo=UTC), datetime(2022, 6, 11, 12, tzinfo=UTC)


def is_own(root, key: RawKey, when: datetime, listings=META, **request: str) -> bool:
    RawStore(root).put(key, b"{}", fetched_at=when, first=date(2020, 1, 2), last=date(2022, 6, 3), request=request)
    return len(OwnAnswers(root, {"META": listings}).records(key)) == 1


@pytest.mark.parametrize(
    ("ticker", "when", "own"),
    [("FB", BEFORE, True), ("META", AFTER, True), ("FB", AFTER, False), ("META", BEFORE, False), ("MTA", AFTER, False)],
)
def test_a_past_counts_if_it_was_asked_for_by_the_ticker_of_the_day_of_asking(tmp_path, ticker, when, own):
    bars, earnings = RawKey("yahoo", "bars", "META"), RawKey("alphavantage", "earnings", "META")
    assert is_own(tmp_path, bars, when, path=f"/v8/finance/chart/{ticker}") == own
    assert is_own(tmp_path, earnings, when, path="/query", symbol=ticker) == own


@pytest.mark.parametrize(("ticker", "own"), [("FB", True), ("META", True), ("MTA", False)])
def test_news_counts_under_every_ticker_of_the_company(tmp_path, ticker, own):
    assert is_own(tmp_path, RawKey("alpaca", "news", "META"), AFTER, symbols=ticker) == own


def test_filings_count_under_a_number_of_the_company_or_a_look_up_of_its_ticker(tmp_path):
    facts, path = RawKey("edgar", "facts", "META"), "/api/xbrl/companyfacts/CIK{}.json"
    assert is_own(tmp_path / "right", facts, AFTER, path=path.format("0001326801"))
    assert not is_own(tmp_path / "wrong", facts, AFTER, path=path.format("0000000007"))
    plain = (Listing("META", "META", date(2012, 5, 18)),)
    assert is_own(tmp_path / "looked_up", facts, AFTER, plain, path=path.format("0001326801"), asked="META")
    assert not is_own(tmp_path / "mistyped", facts, AFTER, plain, path=path.format("0000000007"), asked="MTA")


def test_classes_of_shares_have_two_spellings_and_what_is_no_companys_always_counts(tmp_path):
    brk = (Listing("META", "BRK.B", date(2012, 5, 18)),)
    assert is_own(tmp_path, RawKey("yahoo", "bars", "META"), AFTER, brk, path="/v8/finance/chart/BRK-B")
    assert is_own(tmp_path, RawKey("fred", "observations", "META"), AFTER, series_id="SP500")
