"""Which days are needed of whom, and which are missing."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator_pipeline.config import LiveConfig
from allocator_pipeline.market.live.needs import FEEDS, Need, feeds_of, incomplete, missing, needs_of, requests
from allocator_pipeline.market.membership import Listing
from allocator_pipeline.market.raw import RawKey, RawRecord

KEY = RawKey("alpaca", "news", "META")
META = (
    Listing("META", "FB", date(2012, 5, 18), date(2022, 6, 8), "0001326801"),
    Listing("META", "META", date(2022, 6, 9)),
)
SETTLED = date(2023, 6, 30)
DAY = date(2020, 1, 1)


def record(first: date, last: date, key: RawKey = KEY) -> RawRecord:
    return RawRecord(key, datetime(2023, 1, 1, tzinfo=UTC), first, last, {"symbols": "META"}, "0")


def about(feed: str, first: date = date(2010, 1, 4), last: date = date(2023, 12, 31)) -> list[Need]:
    return needs_of(feed, META, first, last, SETTLED)


def test_prices_are_asked_by_the_present_ticker_and_news_by_that_of_the_day():
    (bars,) = about("yahoo_bars")
    assert (bars.asked, bars.first, bars.last) == ("META", date(2012, 5, 18), SETTLED)
    assert [(one.asked, one.first, one.last) for one in about("alpaca_news")] == [
        ("FB", date(2015, 1, 1), date(2022, 6, 8)),
        ("META", date(2022, 6, 9), SETTLED),
    ]
    assert next((one.asked, one.first) for one in about("alpaca_bars")) == ("FB", date(2016, 1, 1))


def test_filings_are_asked_by_number_and_hold_everything():
    (facts,) = about("edgar_facts", last=date(2015, 12, 31))
    assert (facts.asked, facts.last, facts.reach) == ("0001326801", date(2015, 12, 31), SETTLED)
    assert requests(facts, []) == [(date(1985, 1, 1), SETTLED)]
    assert len(about("alphavantage_statements")) == 3


def test_a_company_that_changed_its_number_is_asked_for_under_both():
    dis = (
        Listing("DIS", "DIS", date(1990, 1, 2), date(2019, 3, 19), "0001001039"),
        Listing("DIS", "DIS", date(2019, 3, 20), cik="0001744489"),
    )

    def needed(first: date) -> list[Need]:
        return needs_of("edgar_facts", dis, first, SETTLED, SETTLED)

    old, new = needed(DAY.replace(year=2010))
    assert (old.asked, old.first, old.last) == ("0001001039", date(2010, 1, 1), date(2019, 3, 19))
    assert (new.asked, new.first, new.last) == ("0001744489", date(2019, 3, 20), SETTLED)
    assert [one.asked for one in needed(date(2020, 1, 1))] == ["0001744489"]

    request = {"path": "/api/xbrl/companyfacts/CIK0001744489.json"}
    whole = RawRecord(new.key, datetime(2023, 7, 1, tzinfo=UTC), *requests(new, [])[0], request, "0")
    assert missing(new, [whole]) == []
    assert missing(old, [whole]) == [(old.first, old.last)], "what one company has filed says nothing of the other"


def test_the_present_ticker_is_that_of_the_last_session_that_has_settled():
    for settled, ticker in ((date(2022, 6, 8), "FB"), (date(2022, 6, 9), "META")):
        (bars,) = needs_of("yahoo_bars", META, DAY, settled, settled)
        assert bars.asked == ticker


def test_what_was_asked_of_alpaca_under_another_ticker_is_not_there():
    old, new = about("alpaca_news")
    whole = record(date(2015, 1, 1), SETTLED)
    assert missing(new, [whole]) == []
    assert missing(old, [whole]) == [(old.first, old.last)]


def test_a_company_that_is_listed_again_needs_nothing_of_the_time_between():
    again = (Listing("S", "S", DAY, date(2020, 6, 30)), Listing("S", "S", date(2020, 9, 1)))
    old, new = needs_of("yahoo_bars", again, DAY, SETTLED, SETTLED)
    assert [(one.first, one.last) for one in (old, new)] == [(DAY, date(2020, 6, 30)), (date(2020, 9, 1), SETTLED)]
    earlier = [record(old.first, old.last, old.key)]
    assert requests(new, earlier) == [(new.first, new.last)], "no overlap reaches into the time between"


def test_nothing_is_needed_outside_the_days_of_a_listing():
    assert about("yahoo_bars", last=date(2011, 12, 31)) == []
    assert [one.asked for one in about("alpaca_news", first=date(2022, 6, 9))] == ["META"]


@pytest.mark.parametrize("feed", FEEDS)
def test_every_need_has_a_name_that_can_be_a_file(feed):
    assert about(feed)


def test_the_configuration_chooses_the_feeds():
    config = LiveConfig(Path("x"))
    assert feeds_of(config) == ("yahoo_bars", "alpaca_bars", "alpaca_news", "edgar_facts", "fred_series")
    plain = LiveConfig(Path("x"), fundamentals="alphavantage", second_source=False, macro="off")
    assert feeds_of(plain) == ("yahoo_bars", "alpaca_news", "alphavantage_statements")


@given(
    st.lists(st.tuples(st.integers(-30, 130), st.integers(0, 60)), max_size=6),
    st.integers(0, 100),
    st.integers(0, 100),
)
def test_what_is_missing_and_what_is_there_make_up_the_need(spans, start, length):
    records = [record(DAY + timedelta(a), DAY + timedelta(a + b)) for a, b in spans]
    need = Need(KEY, "META", DAY + timedelta(start), DAY + timedelta(start + length))
    days = {need.first + timedelta(number) for number in range(length + 1)}
    there = {one.first + timedelta(number) for one in records for number in range((one.last - one.first).days + 1)}
    found = [
        first + timedelta(number) for first, last in missing(need, records) for number in range((last - first).days + 1)
    ]

    assert len(found) == len(set(found))
    assert set(found) == days - there
    kept = [record(first, last) for first, last in requests(need, records)]
    assert missing(need, [*records, *kept]) == [], "what is asked for fills every gap"


def test_the_error_names_symbols_days_and_what_to_do():
    lacking = [
        (Need(RawKey("yahoo", "bars", f"S{number}"), "S", DAY, DAY), [(DAY, DAY + timedelta(days=400))])
        for number in range(7)
    ]
    error = incomplete("yahoo_bars", lacking)
    assert "S0 2020-01-01 to 2021-02-04" in error.problem
    assert "and 2 more" in error.problem
    assert "materialise yahoo_bars for 2020 to 2021" in error.todo
    assert "candidates" not in error.todo
    dead = incomplete("yahoo_bars", lacking, ["S3"])
    assert "nothing at all of S3" in dead.todo
    assert "take the symbol out of the candidates, or mend its ticker or days" in dead.todo
