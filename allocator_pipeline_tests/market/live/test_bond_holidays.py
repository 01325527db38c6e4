"""Days on which bonds rest and shares do not, and days that a vendor shows no longer: neither is a gap."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pandas as pd
import pytest

from allocator_pipeline.defs.downloads import download_years, raw_coverage
from allocator_pipeline.errors import IncompleteDataError, VendorError
from allocator_pipeline.market import calendar
from allocator_pipeline.market.gaps import not_there, thin_series
from allocator_pipeline.market.live.macro import INDEX_YIELDS, check_index_days, due_values
from allocator_pipeline.market.live.market import WINDOW, LiveMarket
from allocator_pipeline.market.live.needs import YAHOO_INDICES
from allocator_pipeline_tests.market.live.test_partial_answers import changed
from allocator_pipeline_tests.vendors.server import Fault
from allocator_pipeline_tests.vendors.small import YEARS, live_market, made_up
from allocator_pipeline_tests.vendors.together import Vendors

KEYS = [str(year) for year in YEARS]
HOLIDAYS = ["2018-10-08", "2018-11-12", "2019-10-14", "2019-11-11"]
"""Columbus Day and Veterans Day."""


@pytest.fixture(scope="module")
def vendors() -> Iterator[Vendors]:
    with Vendors(made_up(3, [])) as started:
        yahoo = started.servers["yahoo"]
        for name in YAHOO_INDICES:
            bars = yahoo.bars["S00"].assign(symbol=name, volume=0.0)
            yahoo.bars[name] = bars[~bars["date"].isin(pd.to_datetime(HOLIDAYS))] if name in INDEX_YIELDS else bars
        yield started


@pytest.fixture(autouse=True)
def environment(vendors, monkeypatch):
    for name, value in vendors.env.items():
        monkeypatch.setenv(name, value)


def rest(content: dict) -> None:
    for row in content["observations"]:
        row["value"] = "." if row["date"] in HOLIDAYS else row["value"]


def require_no_warning(market: LiveMarket, feed: str) -> None:
    _, tables = raw_coverage(market, feed, KEYS, KEYS)
    for year in YEARS:
        needs = market.needs(feed, date(year, 1, 1), date(year, 12, 31))
        assert not_there(tables[str(year)]) == []
        assert thin_series(market.macro(year), needs, market.settled) == []


def test_bond_holidays_are_no_gap_of_freds(vendors, tmp_path):
    market = live_market(vendors, tmp_path)
    vendors.servers["fred"].faults[:] = [Fault("change", change=changed(rest))]
    download_years(market, "fred_series", KEYS)
    vendors.servers["fred"].faults.clear()
    require_no_warning(market, "fred_series")


def test_bond_holidays_are_no_gap_of_yahoos_yields(vendors, tmp_path):
    market = live_market(vendors, tmp_path, macro="yahoo")
    assert download_years(market, "yahoo_indices", KEYS).asked == len(YAHOO_INDICES)
    assert market.macro(2018)["series"].nunique() == len(YAHOO_INDICES)
    require_no_warning(market, "yahoo_indices")


def test_an_index_that_lacks_more_is_refused_and_nobody_is_told_about_candidates(vendors, tmp_path, monkeypatch):
    yahoo, market = vendors.servers["yahoo"], live_market(vendors, tmp_path, macro="yahoo")
    bars = dict(yahoo.bars)
    monkeypatch.setitem(yahoo.bars, "^VIX", bars["^VIX"].drop(index=bars["^VIX"].index[100]))
    monkeypatch.setitem(yahoo.bars, "^TNX", bars["^TNX"].drop(index=bars["^TNX"].index[100:120]))
    monkeypatch.delitem(yahoo.bars, "^TYX")
    with pytest.raises(VendorError, match="3 of the symbols of yahoo_indices failed") as caught:
        download_years(market, "yahoo_indices", KEYS)
    told = str(caught.value)
    assert "^VIX: It leaves out 1 of 503 sessions, the first on 2018-05-25" in told
    assert "^TNX: It leaves out 24 of 503 values of sessions" in told
    assert "^TYX: Yahoo has nothing" in told
    with pytest.raises(IncompleteDataError, match=r"nothing at all of .*\^TNX") as refused:
        market.macro(2018)
    for text in (told, str(refused.value)):
        assert "ALLOCATOR_LIVE_MACRO" in text
        assert "candidates" not in text
        assert "listing" not in text


def test_a_yield_may_end_a_holiday_before_the_last_day_that_is_asked_for_and_not_weeks():
    days = set(calendar.sessions("2018-01-02", "2018-11-09").date)
    check_index_days(days, "^TNX", date(2018, 1, 2), date(2018, 11, 12))
    with pytest.raises(IncompleteDataError, match="ends on 2018-11-09 and not by 2018-11-30"):
        check_index_days(days, "^TNX", date(2018, 1, 2), date(2018, 11, 30))
    with pytest.raises(IncompleteDataError, match="leaves out 1 of"):
        check_index_days(days, "^VIX", date(2018, 1, 2), date(2018, 11, 12))


def test_days_before_the_window_of_the_sp500_are_not_due_and_are_told_by_a_plain_fact(vendors, tmp_path):
    nothing, today = pd.DatetimeIndex([]), date(2026, 11, 25)
    assert due_values("SP500", date(2010, 1, 1), date(2010, 12, 31), nothing, today).empty
    assert due_values("SP500", date(2016, 1, 1), date(2016, 12, 31), nothing, today)[0] == pd.Timestamp("2016-11-28")
    assert len(due_values("VIXCLS", date(2010, 1, 1), date(2010, 12, 31), nothing, today)) == 252
    assert WINDOW in live_market(vendors, tmp_path).coverage().notes
    assert WINDOW not in live_market(vendors, tmp_path, macro="yahoo").coverage().notes


def test_a_value_that_is_still_to_come_is_not_due_and_one_that_stays_away_is():
    span = "DGS10", date(2019, 1, 1), date(2019, 12, 31)
    there = calendar.sessions("2019-01-01", "2019-12-20")
    assert due_values(*span, there, date(2019, 12, 27))[-1] == pd.Timestamp("2019-12-20")
    assert due_values(*span, there, date(2020, 3, 2))[-1] == pd.Timestamp("2019-12-31")
