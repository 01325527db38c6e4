"""A list of candidates that is corrected or completed: what it changes is asked for again, and nobody vanishes."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pytest

from allocator_pipeline.defs.downloads import download_years, raw_coverage
from allocator_pipeline.errors import IncompleteDataError, MarketDataError, VendorError
from allocator_pipeline.market.live.absences import require_absent
from allocator_pipeline.market.live.market import LiveMarket
from allocator_pipeline.market.quality import session_problems
from allocator_pipeline.market.raw import RawKey, RawStore
from allocator_pipeline_tests.market.live.test_two_sources import KEYS, spoil, young
from allocator_pipeline_tests.vendors.small import SYMBOLS, live_market, made_up
from allocator_pipeline_tests.vendors.together import Vendors

RENAMED = date(2019, 6, 3)
GAP = pd.Timestamp("2018-06-29"), pd.Timestamp("2018-09-04")
"""Last session before the time in which S05 was not listed, and first session after it."""


@pytest.fixture(scope="module")
def vendors():
    truth = made_up(3, [])
    off = (truth.bars["symbol"] == "S05") & truth.bars["date"].between(*GAP, inclusive="neither")
    truth = replace(truth, bars=truth.bars[~off].reset_index(drop=True))
    with Vendors(truth) as started:
        yahoo = started.servers["yahoo"]
        yahoo.bars["NEW14"] = yahoo.bars["S14"].assign(symbol="NEW14")
        yahoo.bars["WRONG"] = yahoo.bars["S02"].assign(symbol="WRONG")
        yield started


@pytest.fixture
def market(vendors, tmp_path, monkeypatch) -> LiveMarket:
    for name, value in vendors.env.items():
        monkeypatch.setenv(name, value)
    again = "S05,1990-01-01,2018-06-29,S05,\nS05,2018-09-04,,S05,"
    return edited(live_market(vendors, tmp_path, second_source=False), "S05,1990-01-01,,S05,", again)


def edited(market: LiveMarket, row: str, other: str, **changes: object) -> LiveMarket:
    """Return the market after an edit of its list of candidates."""
    path = market.config.candidates
    rows = path.read_text()
    assert row in rows
    path.write_text(rows.replace(row, other))
    return LiveMarket(replace(market.config, **changes), market.raw, market.scores)


def renamed(market: LiveMarket, **changes: object) -> LiveMarket:
    row = f"S14,1990-01-01,2019-06-02,S14,\nS14,{RENAMED},,NEW14,"
    return edited(market, "S14,1990-01-01,,S14,", row, **changes)


def test_a_change_of_ticker_that_is_recorded_later_lets_the_company_be_asked_for_again(market):
    download_years(market, "yahoo_bars", KEYS)
    before = market.prices(2018)
    market = renamed(market)
    with pytest.raises(IncompleteDataError, match="S14 2018-01-01 to 2018-12-31"):
        market.prices(2018)
    assert download_years(market, "yahoo_bars", KEYS).symbols == ("S14",)
    pd.testing.assert_frame_equal(market.prices(2018), before)


def test_what_was_fetched_before_a_change_of_ticker_stays_as_it_was_first_seen(vendors, market, tmp_path: Path):
    market = LiveMarket(replace(market.config, end=date(2019, 5, 31)), market.raw, market.scores)
    download_years(market, "yahoo_bars", KEYS)
    old, key = RawStore(tmp_path / "fetched in time"), RawKey("yahoo", "bars", "S14")
    for symbol in SYMBOLS:
        for second, (record, body) in enumerate(market.raw.bodies(replace(key, name=symbol))):
            told = {"first": record.first, "last": record.last, "request": record.request}
            old.put(record.key, body, fetched_at=datetime(2019, 6, 1, 12, 0, second, tzinfo=UTC), **told)
    market = renamed(LiveMarket(market.config, old, market.scores), end=date(2019, 6, 14))

    yahoo = vendors.servers["yahoo"]
    bars, day = yahoo.bars["NEW14"], pd.Timestamp("2019-05-28")
    first = bars.loc[bars["date"] == day, "close"].item()
    yahoo.bars["NEW14"] = bars.assign(close=bars["close"].where(bars["date"] != day, first * 1.01))
    try:
        assert "S14" in download_years(market, "yahoo_bars", KEYS).symbols
    finally:
        yahoo.bars["NEW14"] = bars
    assert [one.first for one in market.raw.records(key)] == [date(2018, 1, 1), date(2019, 5, 18)]
    found = market.prices(2019).query("symbol == 'S14'").set_index("date")["close"]
    assert found[day] == first
    assert found.index[-1] == pd.Timestamp("2019-06-14")
    assert set(market.price_doubts(2019)["symbol"]) == {"S14"}


@pytest.mark.parametrize("feed", ["yahoo_bars", "alpaca_news"])
def test_a_ticker_that_is_corrected_is_asked_for(market, feed):
    market = edited(market, "S13,1990-01-01,,S13,", "S13,1990-01-01,,WRONG,")
    download_years(market, feed, KEYS)
    market = edited(market, "S13,1990-01-01,,WRONG,", "S13,1990-01-01,,S13,")
    assert raw_coverage(market, feed, KEYS, [])[0].loc["S13"].tolist() == [0.0, 0.0]
    assert download_years(market, feed, KEYS).symbols == ("S13",)
    assert raw_coverage(market, feed, KEYS, [])[0].loc["S13"].tolist() == [1.0, 1.0]
    assert download_years(market, feed, KEYS).asked == 0


def test_a_listed_symbol_without_a_bar_is_refused(vendors, market):
    spoil(vendors, "yahoo", young, "S04")
    download_years(market, "yahoo_bars", KEYS)
    assert "S04" not in set(market.prices(2018)["symbol"]), "a listing may be older than the first trade"
    market = LiveMarket(replace(market.config, end=date(2018, 12, 31)), market.raw, market.scores)
    with pytest.raises(IncompleteDataError, match="not one bar") as caught:
        market.prices(2018)
    assert (caught.value.symbol, caught.value.todo) == (
        "S04",
        "take the symbol out of the candidates, or mend its ticker or days there.",
    )


def test_a_company_that_is_listed_again_has_its_last_close_in_between(market):
    market = LiveMarket(replace(market.config, second_source=True), market.raw, market.scores)
    for feed in ("yahoo_bars", "alpaca_bars"):
        download_years(market, feed, KEYS)
        assert (raw_coverage(market, feed, KEYS, [])[0] == 1.0).all(axis=None)
    prices = market.prices(2018)
    own = prices[prices["symbol"] == "S05"]
    assert len(own) == 251
    between = own["date"].between(*GAP, inclusive="neither")
    assert (own["source"] == "proceeds").tolist() == between.tolist()
    assert session_problems(prices, 2018, market.coverage()) == []


WRONG_DAYS = "S14,1990-01-01,2019-05-31,S14,\nS14,2019-06-10,,NEW14,"


def test_a_wrong_day_in_two_rows_is_no_time_without_prices(market):
    market = edited(market, "S14,1990-01-01,,S14,", WRONG_DAYS)
    download_years(market, "yahoo_bars", KEYS)
    assert len(market.prices(2018)) == 251 * 15
    with pytest.raises(MarketDataError, match=r"bars of NEW14 for 2019-06-03, .*2019-06-07\.") as caught:
        market.prices(2019)
    assert (caught.value.source, caught.value.symbol, caught.value.week) == ("yahoo", "S14", "2019-06-03")
    assert "a row up to 2019-05-31 and one from 2019-06-10" in caught.value.problem
    assert "correct the two rows" in caught.value.todo

    corrected = edited(market, "S14,2019-06-10,", "S14,2019-06-01,")
    assert download_years(corrected, "yahoo_bars", KEYS).symbols == ("S14",)
    assert set(corrected.prices(2019).query("symbol == 'S14'")["source"]) == {"yahoo"}


def test_a_time_without_listing_may_be_that_of_another_company_with_the_ticker(market):
    market = edited(market, "S14,1990-01-01,,S14,", WRONG_DAYS)
    other = "OTHER,2019-06-03,2019-06-07,NEW14,\nOTHER,2019-06-08,,S99,\nS00,1990"
    download_years(market, "yahoo_bars", KEYS)
    for known, days in ((market, "2019-06-03, .*2019-06-07"), (edited(market, "S00,1990", other), None)):
        due = (known.raw, "S14", known.by_symbol, known.first, known.last)
        refused = pytest.raises(MarketDataError, match=days) if days else nullcontext()
        with refused:
            require_absent(*due, second_source=False)


def test_the_second_source_may_know_that_a_company_was_listed(market):
    market = edited(market, "S14,1990-01-01,,S14,", "S14,1990-01-01,2019-05-31,S14,\nS14,2019-06-10,,S14,")
    market = LiveMarket(replace(market.config, second_source=True), market.raw, market.scores)
    download_years(market, "alpaca_bars", KEYS)
    due = (market.raw, "S14", market.by_symbol, market.first, market.last)
    require_absent(*due, second_source=False)
    with pytest.raises(MarketDataError, match="S14 for 2019-06-03") as caught:
        require_absent(*due, second_source=True)
    assert caught.value.source == "alpaca"


def test_symbols_that_a_vendor_has_dropped_keep_nobody_from_the_others_and_are_named(market):
    dead = [f"D{number:02d}" for number in range(11)]
    rows = "".join(f"{name},1990-01-01,2019-06-28,{name},\n" for name in dead)
    market = edited(market, "S00,1990", f"{rows}S00,1990")
    with pytest.raises(VendorError, match="11 of the symbols of yahoo_bars failed") as caught:
        download_years(market, "yahoo_bars", KEYS)
    assert "take the symbol out of the candidates, or mend its ticker or days" in caught.value.problem
    assert market.raw.names("yahoo", "bars") == SYMBOLS
    with pytest.raises(IncompleteDataError, match=r"nothing at all of D00, D01, .* and 6 more.*out of the candidates"):
        market.prices(2018)
