"""Only what is missing is asked for, every answer is kept at once, and every failure is told."""

from __future__ import annotations

import contextlib
import itertools
from datetime import UTC, date, datetime, timedelta

import pytest

from allocator_pipeline.clients.answer import Answer
from allocator_pipeline.errors import (
    ConfigurationError,
    IncompleteDataError,
    MarketDataError,
    NothingThereError,
    StorageError,
    VendorDownError,
    VendorError,
    VendorRefusedError,
)
from allocator_pipeline.ingestion.download import ENOUGH, download
from allocator_pipeline.ingestion.todo import todo
from allocator_pipeline.market.live.needs import Need, needs_of
from allocator_pipeline.market.membership import Listing
from allocator_pipeline.market.raw import RawKey, RawStore

FIRST, LAST = date(2018, 1, 2), date(2020, 12, 31)
SYMBOLS = [f"S{number:02d}" for number in range(15)]


class Vendor:
    """Answers, but for the symbols named."""

    seconds = itertools.count()

    def __init__(self, **failures):
        self.failures, self.asked = failures, []

    def __call__(self):
        return self.ask

    def ask(self, need, first, last):
        self.asked.append((need.key.name, first, last))
        if need.key.name in self.failures:
            raise self.failures[need.key.name]
        moment = datetime(2021, 1, 4, tzinfo=UTC) + timedelta(seconds=next(self.seconds))
        return Answer(b"{}", moment, {"path": f"/x/{need.asked}"})


@pytest.fixture
def store(tmp_path):
    return RawStore(tmp_path)


def needs(kind="bars", symbols=SYMBOLS, first=FIRST, last=LAST):
    return [Need(RawKey("yahoo", kind, name), name, first, last) for name in symbols]


def never():
    raise AssertionError("the client was opened though nothing is missing")


def test_a_second_run_asks_nothing_and_opens_no_client(store):
    vendor, lines = Vendor(), []
    done = download("yahoo_bars", needs(), store, vendor, lines.append)

    assert (done.asked, done.symbols, done.size) == (15, tuple(SYMBOLS), 30)
    assert len(vendor.asked) == len(lines) == 15
    assert download("yahoo_bars", needs(), store, never).asked == 0


def test_one_failure_loses_nothing_else_and_is_named(store):
    broken = IncompleteDataError("A session is missing.", todo="look.", source="yahoo", symbol="S03")
    gone = VendorError("Not found.", todo="look.", source="yahoo", symbol="S07")
    vendor = Vendor(S03=broken, S07=gone)
    with pytest.raises(VendorError) as caught:
        download("yahoo_bars", needs(), store, vendor)

    days = f"{FIRST} to {LAST}"
    assert f"failed: S03 {days}, S07 {days}." in caught.value.problem
    assert "A session is missing" in caught.value.problem
    assert "Not found" in caught.value.problem
    assert "13 answers are kept" in caught.value.problem
    assert store.names("yahoo", "bars") == [name for name in SYMBOLS if name not in ("S03", "S07")]
    again = Vendor()
    download("yahoo_bars", needs(), store, again)
    assert [name for name, *_ in again.asked] == ["S03", "S07"]


def test_a_refusal_stops_at_once_and_says_what_is_open(store):
    vendor = Vendor(S02=VendorRefusedError("The quota is used up.", todo="wait.", source="x"))
    with pytest.raises(VendorRefusedError, match="13 of 15 questions") as caught:
        download("yahoo_bars", needs(), store, vendor)

    assert len(vendor.asked) == 3
    assert caught.value.symbol == "S02"
    assert f"about {FIRST} to {LAST}" in caught.value.problem
    assert store.names("yahoo", "bars") == ["S00", "S01"]


def test_a_vendor_that_is_down_is_not_asked_for_everything(store):
    vendor = Vendor(**{name: VendorDownError("It is down.", todo="wait.") for name in SYMBOLS})
    with pytest.raises(VendorError, match="The others were not asked for"):
        download("yahoo_bars", needs(), store, vendor)
    assert len(vendor.asked) == ENOUGH


CONTENT = [IncompleteDataError, MarketDataError, NothingThereError, VendorError]
"""What is wrong with one symbol's answer, or with how it would be asked for."""


@pytest.mark.parametrize("kind", CONTENT)
def test_symbols_whose_answers_are_wrong_keep_nobody_from_the_others(store, kind):
    bad, good = SYMBOLS[: ENOUGH + 1], SYMBOLS[ENOUGH + 1 :]
    vendor = Vendor(**dict.fromkeys(bad, kind("Wrong.", todo="x")))
    for last in (date(2020, 6, 30), LAST):  # after the first run they are those of which nothing is there
        with pytest.raises(VendorError, match=f"{len(bad)} of the symbols") as caught:
            download("yahoo_bars", needs(last=last), store, vendor)
        assert "The others were not asked for" not in caught.value.problem
        assert {store.records(RawKey("yahoo", "bars", name))[-1].last for name in good} == {last}


def test_who_fails_as_if_the_vendor_were_down_waits_in_line_like_the_others(store):
    bad, good = SYMBOLS[: ENOUGH + 1], SYMBOLS[ENOUGH + 1 :]
    for last in (date(2020, 6, 30), LAST):
        vendor = Vendor(**dict.fromkeys(bad, VendorDownError("Broken.", todo="x")))
        for _ in range(2):
            with pytest.raises(VendorError):
                download("yahoo_bars", needs(last=last), store, vendor)
        assert {store.records(RawKey("yahoo", "bars", name))[-1].last for name in good} == {last}


def test_who_fails_does_not_use_up_every_days_quota(store):
    bad = SYMBOLS[:5]

    def a_day() -> list[str]:
        left, vendor = 5, Vendor(**dict.fromkeys(bad, IncompleteDataError("No quarter.", todo="x")))

        def ask(need: Need, first: date, last: date) -> Answer:
            nonlocal left
            if not left:
                raise VendorRefusedError("The quota is used up.", todo="wait.", source="x")
            left -= 1
            return vendor.ask(need, first, last)

        with pytest.raises(VendorRefusedError):
            download("alphavantage_statements", needs(), store, lambda: ask)
        return [name for name, *_ in vendor.asked]

    assert [a_day(), a_day()] == [bad, SYMBOLS[5:10]]


def test_what_is_on_record_of_failures_decides_the_order_alone(store):
    vendor = Vendor(S00=IncompleteDataError("Wrong.", todo="x"))
    with pytest.raises(VendorError):
        download("yahoo_bars", needs(), store, vendor)
    (store.root / "failed" / "yahoo_bars").write_bytes(b"\xff no record")
    assert download("yahoo_bars", needs(), store, Vendor()).symbols == ("S00",)


def test_a_damaged_record_stops_its_own_symbol_only(store):
    download("yahoo_bars", needs(), store, Vendor())
    (record,) = (store.root / "yahoo" / "bars" / "S03").glob("*.json")
    record.write_bytes(b"{}")
    later, vendor, lines = date(2021, 1, 8), Vendor(), []
    with pytest.raises(VendorError, match="1 of the symbols of yahoo_bars failed: S03") as caught:
        download("yahoo_bars", needs(last=later), store, vendor, lines.append)
    assert f"remove the record yahoo/bars/S03/{record.name}" in caught.value.problem
    assert any(line.startswith("yahoo_bars: S03") for line in lines)
    assert sorted(name for name, *_ in vendor.asked) == [name for name in SYMBOLS if name != "S03"]

    with pytest.raises(VendorError, match="S03"):
        download("yahoo_bars", needs(last=later), store, never)
    record.unlink()
    assert download("yahoo_bars", needs(last=later), store, Vendor()).symbols == ("S03",)


def test_a_symbol_of_many_questions_counts_once_when_it_fails(store):
    vendor = Vendor(S00=VendorError("Unknown.", todo="look."))
    with pytest.raises(VendorError, match="1 of the symbols"):
        download("alpaca_news", needs("news", first=date(2005, 1, 3)), store, vendor)
    assert [name for name, *_ in vendor.asked].count("S00") == 1
    assert len(vendor.asked) == 1 + 14 * 16


def test_lines_about_what_went_well_are_spaced_and_those_about_failures_are_not(store):
    lines: list[str] = []
    vendor = Vendor(S01=VendorError("Unknown.", todo="look."))
    with pytest.raises(VendorError):
        download("yahoo_bars", needs(), store, vendor, lines.append, quiet=3600)
    assert [line.split()[1] for line in lines] == ["S01"]


@pytest.mark.parametrize("error", [ConfigurationError("No key.", todo="x"), StorageError("Disk full.", todo="x")])
def test_what_no_other_symbol_would_mend_is_raised_as_it_is(store, error):
    with pytest.raises(type(error)):
        download("yahoo_bars", needs(), store, Vendor(S00=error))


def test_bars_are_asked_for_in_one_span_and_news_by_year(store):
    assert [span for _, span in todo(needs("bars", ["A"]), store).questions] == [(FIRST, LAST)]
    assert [span for _, span in todo(needs("news", ["A"]), store).questions] == [
        (date(2018, 1, 2), date(2018, 12, 31)),
        (date(2019, 1, 1), date(2019, 12, 31)),
        (date(2020, 1, 1), date(2020, 12, 31)),
    ]


def test_what_follows_is_asked_for_with_an_overlap(store):
    download("yahoo_bars", needs("bars", ["A"]), store, Vendor())
    later = Vendor()
    download("yahoo_bars", needs("bars", ["A"], last=date(2021, 1, 8)), store, later)
    assert later.asked == [("A", date(2020, 12, 18), date(2021, 1, 8))]
    assert todo(needs("bars", ["A"], last=date(2021, 1, 10)), store).questions == [], "a weekend has no session"


def test_an_answer_that_holds_everything_is_asked_for_once_a_reach(store):
    def need(last, reach):
        return [Need(RawKey("edgar", "facts", "A"), "0000000001", FIRST, last, reach)]

    download("edgar_facts", need(date(2018, 12, 31), date(2021, 1, 8)), store, Vendor())
    assert todo(need(LAST, date(2021, 1, 8)), store).questions == []
    assert todo(need(date(2021, 1, 15), date(2021, 1, 15)), store).questions != []


def test_a_free_key_comes_to_every_company_and_an_answer_stays_fresh_for_two_weeks(store):
    listings = [Listing(name, name, date(1990, 1, 1)) for name in SYMBOLS]

    def on(day: date) -> list[str]:
        """Return whom a day's 25 requests are spent on."""
        left, asked = 25, []

        def ask(need: Need, first: date, last: date) -> Answer:
            nonlocal left
            if not left:
                raise VendorRefusedError("The quota is used up.", todo="wait.", source="alphavantage")
            left -= 1
            asked.append(need.key.name)
            seconds = timedelta(seconds=25 - left)
            return Answer(b"{}", datetime(day.year, day.month, day.day, 22, tzinfo=UTC) + seconds, {})

        needs = needs_of("alphavantage_statements", listings, FIRST, day, day)
        with contextlib.suppress(VendorRefusedError):
            download("alphavantage_statements", needs, store, lambda: ask)
        return asked

    start = date(2026, 11, 2)
    assert list(dict.fromkeys(on(start))) == SYMBOLS[:9]
    assert list(dict.fromkeys(on(start + timedelta(1)))) == SYMBOLS[8:], "the one that was cut off goes on first"
    assert [on(start + timedelta(days)) for days in (2, 7, 14)] == [[], [], []]
    again = [list(dict.fromkeys(on(start + timedelta(days)))) for days in (15, 16)]
    assert again == [SYMBOLS[:9], SYMBOLS[8:]]
