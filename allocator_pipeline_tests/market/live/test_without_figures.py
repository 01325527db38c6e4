"""Companies that report nothing that is read: funds, foreign and young ones. They are named, and hold nobody up."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime

import pandas as pd
import pytest

from allocator_pipeline.defs.downloads import download_years, raw_coverage
from allocator_pipeline.errors import VendorError
from allocator_pipeline.features.signals import weekly_signals
from allocator_pipeline.market.gaps import not_there, without_quarters
from allocator_pipeline.market.live.facts import NOBODY, NOTHING
from allocator_pipeline.market.live.filings import edgar_fundamentals
from allocator_pipeline.market.live.market import LiveMarket
from allocator_pipeline.market.raw import RawKey, RawStore
from allocator_pipeline_tests.market.live.test_edited_lists import edited
from allocator_pipeline_tests.market.live.test_partial_answers import changed, named_record
from allocator_pipeline_tests.vendors.edgar import NO_SUCH_KEY
from allocator_pipeline_tests.vendors.server import Fault, Reply
from allocator_pipeline_tests.vendors.small import SYMBOLS, YEARS, live_market

KEYS = [str(year) for year in YEARS]
WITHOUT = {
    "FUND": "FUND,1990-01-01,,FUND,",  # the SEC's list of tickers does not name it
    "TRUST": "TRUST,1990-01-01,,TRUST,900001",  # 404
    "FOREIGN": "FOREIGN,1990-01-01,,FOREIGN,900002",
    "YOUNG": "YOUNG,2019-12-02,,YOUNG,900003",
    "ENDED": "ENDED,1990-01-01,2019-12-30,ENDED,",  # nobody is asked by its ticker
}


def told(cik: int, **facts: object) -> Fault:
    body = json.dumps({"cik": cik, "entityName": "A Company", "facts": facts}).encode()
    return Fault(reply=Reply(body), match=f"CIK{cik:010d}")


@pytest.fixture
def market(vendors, tmp_path, monkeypatch) -> LiveMarket:
    for name, value in vendors.env.items():
        monkeypatch.setenv(name, value)
    year = {"start": "2018-01-01", "end": "2018-12-31", "val": 5, "accn": "0", "form": "20-F", "filed": "2019-03-01"}
    sales = {"Revenue": {"units": {"EUR": [year]}}}
    vendors.servers["edgar"].faults[:] = [
        told(900002, **{"ifrs-full": sales}),
        told(900003, dei={"EntityCommonStockSharesOutstanding": {"units": {"shares": []}}}),
    ]
    return edited(live_market(vendors, tmp_path, second_source=False), "S00,1990", with_rows(WITHOUT.values()))


def with_rows(rows) -> str:
    return "\n".join([*rows, "S00,1990"])


def test_companies_that_report_nothing_have_no_rows_and_hold_nobody_up(vendors, market):
    assert download_years(market, "edgar_facts", KEYS).asked == len(SYMBOLS) + 4
    tables = [market.fundamentals(year) for year in YEARS]
    for table in tables:
        assert set(table["symbol"]) == set(SYMBOLS)
        assert market.restatements(2019).empty
    asked = vendors.asked
    assert download_years(market, "edgar_facts", KEYS).asked == 0
    assert vendors.asked == asked
    (record,) = market.raw.records(RawKey("edgar", "facts", "TRUST"))
    assert market.raw.read(record) == NO_SUCH_KEY, "what was said is kept"
    universe = pd.DataFrame({"slot": range(15), "symbol": [*SYMBOLS[1:], "TRUST"]})
    news = pd.DataFrame({"published_at": pd.DatetimeIndex([], tz="UTC"), "symbol": [], "score": []})
    signals = weekly_signals(2019, universe, news, pd.concat(tables, ignore_index=True))
    ages = signals.set_index("symbol")["fundamental_age"]
    assert ages["TRUST"].eq(4).all()
    assert ages["S01"].iloc[-1] < 2


def test_companies_that_report_nothing_are_named_every_year(market):
    download_years(market, "edgar_facts", KEYS)
    lines: list[str] = []
    shares, tables = raw_coverage(market, "edgar_facts", KEYS, KEYS, lines.append)
    assert lines == []
    for year, known in zip(YEARS, (["ENDED", "FOREIGN", "FUND", "TRUST"],) * 2, strict=True):
        needs = market.needs("edgar_facts", date(year, 1, 1), date(year, 12, 31))
        named = [f"No quarter of {symbol} became known." for symbol in known]
        assert without_quarters(market.fundamentals(year), needs) == named
        assert shares.loc[known, str(year)].eq(0.0).all()
        assert shares.loc[SYMBOLS, str(year)].eq(1.0).all()
    found = "\n".join(not_there(tables["2018"]))
    assert "FUND lacks 4 of 4 due from 2018-01-01 to 2018-12-31 (facts; the candidates give no cik, and FUND" in found
    assert "ENDED lacks 4 of 4 due from 2018-01-01 to 2018-12-31 (facts; nobody is asked" in found


def test_they_are_asked_for_again_with_the_running_year_and_a_number_that_is_given_at_once(vendors, market):
    def on(day: str) -> LiveMarket:
        now = pd.Timestamp(f"{day} 06:00", tz="America/New_York")
        return LiveMarket(replace(market.config, end=None), RawStore(market.raw.root), market.scores, now=now)

    download_years(on("2019-11-30"), "edgar_facts", KEYS)
    later = on("2019-12-07")
    assert {"FUND", "TRUST", "FOREIGN"} < set(download_years(later, "edgar_facts", KEYS).symbols)
    later = edited(later, WITHOUT["FUND"], "FUND,1990-01-01,,FUND,1001", end=None)  # S01's, for lack of another
    assert "FUND" in download_years(later, "edgar_facts", KEYS).symbols
    assert "FUND" in set(later.fundamentals(2018)["symbol"]), "known since its filing: nobody had asked by that number"


@pytest.mark.parametrize(
    "reply", [Reply(b"<html>Not found</html>", 404), Reply(b"", 404), Reply(b""), Reply(b"{}"), Reply(b"", 500)]
)
def test_a_download_that_failed_is_no_answer(vendors, market, reply):
    vendors.servers["edgar"].faults.insert(0, Fault(reply=reply, match="CIK0000900001"))
    with pytest.raises(VendorError, match="1 of the symbols of edgar_facts failed: TRUST"):
        download_years(market, "edgar_facts", KEYS)
    assert market.raw.records(RawKey("edgar", "facts", "TRUST")) == []


def test_a_company_that_has_had_quarters_does_not_lose_them_by_a_404_until_that_is_accepted(vendors, market, tmp_path):
    download_years(market, "edgar_facts", KEYS)
    store, key = RawStore(tmp_path / "older"), RawKey("edgar", "facts", "S03")
    (record,) = market.raw.records(key)
    days, request = {"first": date(1990, 1, 2), "last": date(2018, 12, 31)}, record.request
    for month in (1, 2):
        at = datetime(2019, month, 2, tzinfo=UTC)
        store.put(key, market.raw.read(record), fetched_at=at, **days, request=request)
    later = LiveMarket(market.config, store, market.scores)
    vendors.servers["edgar"].faults.append(Fault(reply=Reply(NO_SUCH_KEY, 404), match=request["path"]))
    with pytest.raises(VendorError, match=r"S03.*lacks 8 of the 8 quarters.* and the 1 before it, back to ") as caught:
        download_years(later, "edgar_facts", KEYS)
    named = named_record(store, caught.value)
    for one in sorted(named.parent.glob("*.json")):
        one.unlink()
    assert download_years(later, "edgar_facts", KEYS).symbols == ("S03",)
    assert set(later.fundamentals(2019)["symbol"]) == set(SYMBOLS) - {"S03"}


@pytest.mark.parametrize("number", ["0000001003", NOBODY])
def test_what_an_earlier_answer_of_nothing_did_not_hold_was_not_known_before(market, number):
    download_years(market, "edgar_facts", KEYS)
    store, key = RawStore(market.raw.root.parent / "other"), RawKey("edgar", "facts", "S03")
    (record,) = market.raw.records(key)
    days, request, seen = {"first": record.first, "last": record.last}, record.request, datetime(2019, 6, 1, tzinfo=UTC)
    assert number in request["path"]
    store.put(key, NO_SUCH_KEY, fetched_at=seen, **days, request={**request, NOTHING: number})
    store.put(key, market.raw.read(record), fetched_at=record.fetched_at, **days, request=request)
    known = edgar_fundamentals(store, "S03").first_reported["known_at"]
    assert len(known) == 8
    assert known.min() == pd.Timestamp(seen)


def test_statements_without_one_ratio_do_not_count_as_there(vendors, market):
    def sales_only(content: dict) -> None:
        tags = content["facts"]["us-gaap"]
        content["facts"]["us-gaap"] = {"Revenues": tags["Revenues"]}

    vendors.servers["edgar"].faults.append(Fault("change", change=changed(sales_only), match="0000001003"))
    download_years(market, "edgar_facts", KEYS)
    lines: list[str] = []
    shares, tables = raw_coverage(market, "edgar_facts", KEYS, KEYS, lines.append)
    assert shares.loc["S03"].tolist() == [0.0, 0.0]
    assert "S03 lacks 4 of 4 due" in "\n".join(not_there(tables["2018"]))
    assert lines == [
        "The statements of S03 yield none of the five ratios in any quarter: no quarter counts as there.",
    ]


def test_alpha_vantage_has_nothing_of_a_fund_either(vendors, market):
    rows = [WITHOUT["FUND"], WITHOUT["ENDED"]]
    market = edited(market, with_rows(WITHOUT.values()), with_rows(rows), fundamentals="alphavantage")
    feed = "alphavantage_statements"
    assert download_years(market, feed, KEYS).asked == 3 * (len(SYMBOLS) + 1)
    assert set(market.fundamentals(2019)["symbol"]) == set(SYMBOLS)
    assert raw_coverage(market, feed, KEYS, [])[0].loc[["FUND", "ENDED"]].eq(0.0).all(axis=None)
