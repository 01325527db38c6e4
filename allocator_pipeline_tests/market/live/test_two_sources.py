"""Two vendors of prices that do not have the same sessions or moves: refused or told, never passed over."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from allocator_pipeline.defs.downloads import download_years, raw_coverage
from allocator_pipeline.errors import MarketDataError, VendorError
from allocator_pipeline.market.live.market import LiveMarket
from allocator_pipeline.market.quality import LACKS
from allocator_pipeline_tests.vendors.server import Fault
from allocator_pipeline_tests.vendors.small import SYMBOLS, YEARS, live_market
from allocator_pipeline_tests.vendors.together import Vendors

KEYS = [str(year) for year in YEARS]
SPLIT_AT = 300


def of_alpaca(kept: slice):
    """Return a change that leaves some of the bars of an answer."""

    def change(body: bytes) -> bytes:
        page = json.loads(body)
        page["bars"] = {ticker: bars[kept] for ticker, bars in page["bars"].items()}
        return json.dumps(page).encode()

    return change


def _quotes(chart: dict) -> list[dict]:
    return chart["indicators"]["quote"]


def young(body: bytes) -> bytes:
    """Let a chart begin in its second half, as if the ticker had not been traded before."""
    told = json.loads(body)
    chart = told["chart"]["result"][0]
    half = len(chart["timestamp"]) // 2
    chart["timestamp"] = chart["timestamp"][half:]
    for quote in _quotes(chart):
        quote.update({name: values[half:] for name, values in quote.items()})
    chart["indicators"].pop("adjclose", None)
    chart["meta"]["firstTradeDate"] = chart["timestamp"][0]
    return json.dumps(told).encode()


def unlisted_split(body: bytes) -> bytes:
    """Halve all prices from a session on, and list no split."""
    told = json.loads(body)
    for quote in _quotes(told["chart"]["result"][0]):
        for name in ("open", "high", "low", "close"):
            quote[name] = [value / (2 if row >= SPLIT_AT else 1) for row, value in enumerate(quote[name])]
    return json.dumps(told).encode()


@pytest.fixture
def market(vendors, tmp_path, monkeypatch) -> LiveMarket:
    for name, value in vendors.env.items():
        monkeypatch.setenv(name, value)
    return live_market(vendors, tmp_path)


def spoil(vendors: Vendors, vendor: str, change, symbol: str) -> None:
    """Change the answer to the next download's question about a symbol."""
    skip, match = SYMBOLS.index(symbol), "/v2/stocks/bars" if vendor == "alpaca" else "/v8/"
    vendors.servers[vendor].faults[:] = [Fault("change", change=change, match=match, times=1, skip=skip)]


@pytest.mark.parametrize("kept", [slice(-1, None), slice(251, None), slice(1, None)])
def test_bars_of_the_second_source_that_begin_too_late_are_refused(vendors, market, kept):
    download_years(market, "yahoo_bars", KEYS)
    spoil(vendors, "alpaca", of_alpaca(kept), "S03")
    with pytest.raises(VendorError, match=r"1 of the symbols of alpaca_bars failed: S03.*Yahoo has: 2018-01-02"):
        download_years(market, "alpaca_bars", KEYS)
    assert download_years(market, "alpaca_bars", KEYS).symbols == ("S03",)
    assert market.price_doubts(2018).empty


def test_what_the_second_source_lacks_is_a_doubt_where_it_was_asked_first(vendors, market):
    spoil(vendors, "alpaca", of_alpaca(slice(249, None)), "S03")
    download_years(market, "alpaca_bars", KEYS)
    download_years(market, "yahoo_bars", KEYS)
    doubts = market.price_doubts(2018)
    assert doubts[["symbol", "kind"]].to_numpy().tolist() == [["S03", LACKS]]
    assert doubts["told"].item().startswith("S03: the second source has no bar for 2018-01-02, 2018-01-03")
    assert market.price_doubts(2019).empty
    shares, tables = raw_coverage(market, "alpaca_bars", KEYS, KEYS)
    assert shares.loc["S03"].tolist() == [pytest.approx(2 / 251), 1.0]
    assert tables["2018"].set_index("name").loc["S03", ["due", "there"]].tolist() == [251, 2]
    assert (shares.drop(index="S03") == 1.0).all(axis=None)


def test_a_year_that_only_the_second_source_has_is_refused_and_later_years_are_not(vendors, market):
    spoil(vendors, "yahoo", young, "S04")
    download_years(market, "yahoo_bars", KEYS)
    download_years(market, "alpaca_bars", KEYS)
    with pytest.raises(MarketDataError, match="251 sessions before the first bar: 2018-01-02") as caught:
        market.prices(2018)
    assert (caught.value.symbol, caught.value.week) == ("S04", "2018-01-02")
    assert set(market.prices(2019)["symbol"]) == set(SYMBOLS)
    shares, _ = raw_coverage(market, "yahoo_bars", KEYS, [])
    assert shares.loc["S04"].tolist() == [0.0, 1.0]


def test_a_split_that_only_the_second_source_knows_is_refused_until_the_user_confirms_it(
    vendors, market, tmp_path: Path
):
    spoil(vendors, "yahoo", unlisted_split, "S06")
    for feed in ("yahoo_bars", "alpaca_bars"):
        download_years(market, feed, KEYS)
    assert len(market.prices(2018)) == 251 * 15
    with pytest.raises(MarketDataError, match="by the second source") as caught:
        market.prices(2019)
    assert caught.value.symbol == "S06"
    confirmed = tmp_path / "confirmed.csv"
    confirmed.write_text(f"symbol,date\nS06,{caught.value.week}\n")
    believing = LiveMarket(replace(market.config, confirmed=confirmed), market.raw, market.scores)
    assert len(believing.prices(2019)) == 252 * 15
