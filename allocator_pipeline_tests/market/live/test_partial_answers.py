"""Answers that are well formed and hold little or nonsense: refused, told, and never counted as whole."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pytest

from allocator_pipeline.defs.downloads import download_years, raw_coverage
from allocator_pipeline.errors import CorruptArtifactError, MarketDataError, VendorError
from allocator_pipeline.market.live.coverage import silent_years
from allocator_pipeline.market.live.market import LiveMarket
from allocator_pipeline.market.live.quarters import due_quarters, quarters_within
from allocator_pipeline.market.quality import VOLUMES
from allocator_pipeline.market.raw import RawKey, RawStore
from allocator_pipeline_tests.vendors.server import Fault
from allocator_pipeline_tests.vendors.small import SYMBOLS, YEARS, live_market, made_up
from allocator_pipeline_tests.vendors.together import Vendors

KEYS = [str(year) for year in YEARS]
S03 = RawKey("yahoo", "bars", "S03")


@pytest.fixture(scope="module")
def vendors():
    with Vendors(made_up(9, [])) as started:
        yield started


@pytest.fixture
def market(vendors, tmp_path, monkeypatch) -> LiveMarket:
    for name, value in vendors.env.items():
        monkeypatch.setenv(name, value)
    for server in vendors.servers.values():
        server.faults.clear()
    return live_market(vendors, tmp_path)


def changed(change: Callable[[dict], object]) -> Callable[[bytes], bytes]:
    def apply(body: bytes) -> bytes:
        content = json.loads(body)
        change(content)
        return json.dumps(content).encode()

    return apply


def spoil(vendors: Vendors, vendor: str, change: Callable[[dict], object], match: str = "") -> None:
    vendors.servers[vendor].faults[:] = [Fault("change", change=changed(change), match=match)]


def chart(content: dict) -> dict:
    return content["chart"]["result"][0]


def quote(content: dict) -> dict:
    return chart(content)["indicators"]["quote"][0]


def put_anew(store: RawStore, key: RawKey, change: Callable[[dict], object]) -> None:
    """Put a changed body in place of the one that is kept."""
    (record,) = store.records(key)
    body = changed(change)(store.read(record))
    (store.root / store.place(record)).unlink()
    days = {"first": record.first, "last": record.last}
    store.put(key, body, fetched_at=record.fetched_at, **days, request=record.request)


def named_record(store: RawStore, error: Exception) -> Path:
    """Return the record that an error says is to be removed."""
    found = re.search(r"remove the record (\S+\.json) ", str(error))
    assert found, error
    return store.root / found[1]


def only_first_values(content: dict) -> None:
    for tag in content["facts"]["us-gaap"].values():
        tag["units"]["USD"] = tag["units"]["USD"][:1]


@pytest.mark.parametrize("gone_for_good", [False, True])
def test_filings_that_most_quarters_have_gone_from_are_refused(vendors, market, tmp_path, gone_for_good):
    def on(day: str) -> LiveMarket:
        now = pd.Timestamp(f"{day} 06:00", tz="America/New_York")
        return LiveMarket(replace(market.config, end=None), RawStore(tmp_path / "raw"), tmp_path / "s.sqlite", now=now)

    first, second = on("2019-11-30"), on("2019-12-28")
    download_years(first, "edgar_facts", KEYS)
    spoil(vendors, "edgar", only_first_values, "CIK0000001003")
    with pytest.raises(
        VendorError, match=r"1 of the symbols of edgar_facts failed: S03.*lacks 7 of the 8 quarters"
    ) as caught:
        download_years(second, "edgar_facts", KEYS)
    if gone_for_good:  # what the error says lets the shorter answer pass
        named_record(second.raw, caught.value).unlink()
    else:
        vendors.servers["edgar"].faults.clear()
    assert download_years(second, "edgar_facts", KEYS).symbols == ("S03",)
    second.fundamentals(2019)


def test_statements_that_most_quarters_have_gone_from_are_refused(vendors, tmp_path, market):
    market = live_market(vendors, tmp_path, fundamentals="alphavantage")
    download_years(market, "alphavantage_statements", KEYS)
    key = RawKey("alphavantage", "income_statement", "S03")
    (record,) = market.raw.records(key)
    (market.raw.root / market.raw.place(record)).unlink()
    request, days = record.request, {"first": date(2018, 1, 1), "last": date(2018, 1, 2)}
    market.raw.put(key, market.raw.read(record), fetched_at=datetime(2018, 1, 2, tzinfo=UTC), **days, request=request)
    spoil(vendors, "alphavantage", lambda content: content.update(quarterlyReports=content["quarterlyReports"][:3]))
    with pytest.raises(VendorError, match=r"S03.*lacks 5 of the 8 quarters"):
        download_years(market, "alphavantage_statements", KEYS)


def test_quarters_with_figures_are_counted_against_those_that_are_due(vendors, market):
    spoil(vendors, "edgar", only_first_values, "CIK0000001003")
    download_years(market, "edgar_facts", KEYS)
    shares, tables = raw_coverage(market, "edgar_facts", KEYS, ["2018"])
    assert shares.loc["S03"].tolist() == [0.25, 0.0]
    assert (shares.drop(index="S03") == 1.0).all(axis=None)
    assert tables["2018"]["due"].eq(4).all()


def test_a_quarter_is_due_a_hundred_days_after_its_end_and_may_end_around_the_calendars():
    year = date(2019, 1, 1), date(2019, 12, 31)
    assert due_quarters(*year, date(2019, 7, 10)).month.tolist() == [3]
    assert due_quarters(date(2019, 5, 1), date(2019, 12, 31), date(2020, 12, 31)).month.tolist() == [6, 9, 12]
    ends = pd.DatetimeIndex(["2018-12-30", "2019-03-31", "2019-06-30", "2019-09-29", "2020-01-04"])
    assert quarters_within(ends, *year, date(2020, 12, 31)) == 4
    assert quarters_within(ends, *year, date(2019, 7, 10)) == 1


def test_series_are_counted_by_sessions_with_a_value(vendors, market):
    lacking = lambda content: [row.update(value=".") for row in content["observations"][10:13]]  # noqa: E731
    spoil(vendors, "fred", lacking)
    download_years(market, "fred_series", KEYS)
    shares, tables = raw_coverage(market, "fred_series", KEYS, ["2018"])
    assert tables["2018"][["due", "there"]].drop_duplicates().to_numpy().tolist() == [[251, 248]]
    assert shares["2019"].eq(1.0).all()


def test_no_news_about_anybody_is_told(vendors, market):
    def empty(content: dict) -> None:
        content.update(news=[], next_page_token=None)

    spoil(vendors, "alpaca", empty, "/v1beta1/news")
    download_years(market, "alpaca_news", ["2018"])
    vendors.servers["alpaca"].faults.clear()
    download_years(market, "alpaca_news", ["2019"])
    assert [line.split(":")[0] for line in silent_years(market, YEARS)] == ["None of 15 stocks has any article in 2018"]


def test_a_chart_without_volume_is_doubted_and_one_day_without_is_not(vendors, market):
    spoil(vendors, "yahoo", lambda content: quote(content).update(volume=[0] * len(quote(content)["volume"])), "S03")
    download_years(market, "yahoo_bars", KEYS)
    download_years(market, "alpaca_bars", KEYS)
    doubts = market.price_doubts(2018)
    assert doubts[["symbol", "kind"]].to_numpy().tolist() == [["S03", VOLUMES]]
    assert "S03: the price moves, but no share is traded on 2018-01-02" in doubts["told"].item()
    put_anew(market.raw, S03, lambda content: quote(content).update(volume=[0] + [9] * 502))
    assert market.price_doubts(2018).empty


def pay(amount: float) -> Callable[[dict], object]:
    def change(content: dict) -> None:
        stamp = chart(content)["timestamp"][100]
        chart(content)["events"] = {"dividends": {str(stamp): {"amount": amount, "date": stamp}}}

    return change


def test_a_dividend_that_no_company_can_pay_is_refused_when_it_comes(vendors, market):
    spoil(vendors, "yahoo", pay(500.0), "S03")
    with pytest.raises(
        VendorError, match=r"1 of the symbols of yahoo_bars failed: S03.*A dividend is not less"
    ) as caught:
        download_years(market, "yahoo_bars", KEYS)
    assert "source=yahoo, symbol=S03, week=2018-05-25" in str(caught.value)
    assert market.raw.records(S03) == []
    assert len(market.raw.names("yahoo", "bars")) == 14


def test_one_symbol_that_cannot_be_read_counts_as_not_there_and_the_others_as_they_are(vendors, market):
    market = LiveMarket(replace(market.config, second_source=False), market.raw, market.scores)
    download_years(market, "yahoo_bars", KEYS)
    put_anew(market.raw, S03, pay(500.0))
    lines: list[str] = []
    shares, _ = raw_coverage(market, "yahoo_bars", KEYS, KEYS, lines.append)
    assert shares.loc["S03"].tolist() == [0.0, 0.0]
    assert (shares.drop(index="S03") == 1.0).all(axis=None)
    assert len(lines) == 1
    assert lines[0].startswith("What is kept of S03 counts as not there: A dividend is not less")
    with pytest.raises(MarketDataError, match="A dividend is not less") as caught:
        market.prices(2018)
    assert (caught.value.source, caught.value.symbol) == ("yahoo", "S03")


def test_a_damaged_answer_is_fetched_again_once_the_record_that_the_error_names_is_removed(vendors, market):
    market = LiveMarket(replace(market.config, second_source=False), market.raw, market.scores)
    download_years(market, "yahoo_bars", KEYS)
    whole = market.prices(2018)
    body = next(market.raw.root.glob("yahoo/bars/S03/*.gz"))
    body.write_bytes(body.read_bytes()[:-20])
    again = LiveMarket(market.config, market.raw, market.scores)
    with pytest.raises(CorruptArtifactError) as caught:
        again.prices(2018)
    named_record(market.raw, caught.value).unlink()
    assert download_years(again, "yahoo_bars", KEYS).symbols == ("S03",)
    pd.testing.assert_frame_equal(again.prices(2018), whole)


def test_a_bar_that_is_not_believed_is_fetched_again_once_the_record_that_the_error_names_is_removed(vendors, market):
    def misprint(content: dict) -> None:
        for name in ("close", "high"):
            quote(content)[name][60] *= 1000

    spoil(vendors, "yahoo", misprint, "S03")
    for feed in ("yahoo_bars", "alpaca_bars"):
        download_years(market, feed, KEYS)
    vendors.servers["yahoo"].faults.clear()
    with pytest.raises(MarketDataError, match="cannot be believed") as caught:
        market.prices(2018)
    assert download_years(market, "yahoo_bars", KEYS).asked == 0
    named_record(market.raw, caught.value).unlink()
    assert download_years(market, "yahoo_bars", KEYS).symbols == ("S03",)
    assert len(market.prices(2018)) == 251 * len(SYMBOLS)
