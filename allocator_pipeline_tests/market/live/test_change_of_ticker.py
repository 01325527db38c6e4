"""The day on which a company has a new ticker: the second source tells the same return, whatever is paid meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import pandas as pd
import pytest

from allocator_pipeline.defs.downloads import download_years
from allocator_pipeline.errors import MarketDataError
from allocator_pipeline.market.live.market import LiveMarket
from allocator_pipeline_tests.market.live.test_edited_lists import RENAMED, renamed
from allocator_pipeline_tests.market.live.test_two_sources import KEYS
from allocator_pipeline_tests.vendors.alpaca_data import AlpacaData
from allocator_pipeline_tests.vendors.small import live_market, made_up
from allocator_pipeline_tests.vendors.together import Vendors

RISE = 1.75
PRICES = ("open", "high", "low", "close", "adj_close")


@pytest.fixture
def vendors(request) -> Iterator[Vendors]:
    truth = made_up(3, [])
    bars = truth.bars.copy()
    since = (bars["symbol"] == "S14") & (bars["date"] >= pd.Timestamp(RENAMED))
    rise = getattr(request, "param", RISE)
    for name in PRICES:
        bars.loc[since, name] = (bars.loc[since, name] * rise).astype("float32").astype("float64")
    with Vendors(replace(truth, bars=bars)) as started:
        yahoo = started.servers["yahoo"]
        yahoo.bars["NEW14"] = yahoo.bars["S14"].assign(symbol="NEW14")
        yield started


def rescale(vendors: Vendors, factor: float, since: str = "1990-01-01") -> None:
    """Let Alpaca know the new ticker, its prices adjusted for what was paid after the first download."""
    alpaca: AlpacaData = vendors.servers["alpaca"].answer.__self__
    alpaca.bars["NEW14"] = [
        {**bar, **{name: bar[name] * factor for name in "ohlc"}} for bar in alpaca.bars["S14"] if bar["t"] >= since
    ]


def downloaded_before_and_after(vendors: Vendors, tmp_path, monkeypatch) -> LiveMarket:
    for name, value in vendors.env.items():
        monkeypatch.setenv(name, value)
    market = live_market(vendors, tmp_path)
    before = LiveMarket(replace(market.config, end=date(2019, 5, 31)), market.raw, market.scores)
    _download(before)
    after = renamed(market)
    _download(after)
    return after


def _download(market: LiveMarket) -> None:
    for feed in ("yahoo_bars", "alpaca_bars"):
        download_years(market, feed, KEYS)


@pytest.mark.parametrize(("vendors", "paid"), [(1.0, 0.25), (1.0, 0.994), (RISE, 0.97)], indirect=["vendors"])
def test_both_sources_agree_whatever_was_paid_between_two_downloads(vendors, tmp_path, monkeypatch, paid):
    """A split of 4:1, and two dividends of 0.3 or of 1.5 %."""
    rescale(vendors, paid)
    market = downloaded_before_and_after(vendors, tmp_path, monkeypatch)
    told = market.price_doubts(2019)["told"].tolist()
    assert [line.split(": ")[1] for line in told] in ([], ["moved +72%, by both sources."])
    assert len(market.prices(2019)) == 252 * 15


def test_without_days_in_common_that_day_has_no_second_opinion(vendors, tmp_path, monkeypatch):
    rescale(vendors, 0.97, since=str(RENAMED))
    market = downloaded_before_and_after(vendors, tmp_path, monkeypatch)
    assert market.price_doubts(2019)["told"].tolist() == [f"S14 {RENAMED}: moved +72%."]
    assert len(market.prices(2019)) == 252 * 15


def test_a_move_that_the_second_source_does_not_have_is_still_refused(vendors, tmp_path, monkeypatch):
    rescale(vendors, 0.25)
    yahoo = vendors.servers["yahoo"]
    bars = yahoo.bars["NEW14"]
    wrong = bars["date"] >= pd.Timestamp(RENAMED)
    for name in PRICES[:4]:
        yahoo.bars["NEW14"] = yahoo.bars["NEW14"].assign(**{name: bars[name].where(~wrong, bars[name] * 2)})
    market = downloaded_before_and_after(vendors, tmp_path, monkeypatch)
    with pytest.raises(MarketDataError, match="by the second source") as caught:
        market.prices(2019)
    assert (caught.value.symbol, caught.value.week) == ("S14", str(RENAMED))
