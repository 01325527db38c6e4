"""What the report says about the data: gathered from what is stored, for every market."""

from datetime import date

import pandas as pd
import pytest

from allocator_pipeline.config import Settings
from allocator_pipeline.defs.data_quality import gather_quality, session_shares
from allocator_pipeline.defs.resources import MarketResource, StoreResource
from allocator_pipeline.evaluation.report.data_quality import data_quality
from allocator_pipeline.market.membership import Listing
from allocator_pipeline.market.sample import SampleMarket


@pytest.fixture
def stored(tmp_path):
    store = StoreResource(root=str(tmp_path)).assets
    for year in (2001, 2002):
        store.write("prices", str(year), SampleMarket().prices(year))
        store.write("sentiment", str(year), SampleMarket().sentiment(year))
    return store


@pytest.fixture
def market(tmp_path):
    return MarketResource.of(Settings(data_dir=tmp_path))


def test_coverage_gaps_and_moves_are_counted_by_year(stored, market):
    quality = gather_quality(stored, market)
    assert quality["years"]["2001"]["symbols"] == 20
    assert quality["years"]["2001"]["bars"] == 248 * 20
    assert quality["years"]["2001"]["quarters"] is None, "they are not made"
    assert quality["years"]["2002"]["problems"] == 0
    assert quality["shares"]["AAPL"] == {"2001": 1.0, "2002": 1.0}
    assert quality["years"]["2002"]["moves"] == len(
        [line for line in quality["lines"]["Moves over 40 %"] if "2002" in line]
    )


def test_a_missing_session_shows_in_numbers_words_and_colour(stored, market):
    bars = stored.read("prices", "2001")
    stored.write("prices", "2001", bars[~((bars["symbol"] == "AAPL") & (bars["date"].dt.month == 6))])
    quality = gather_quality(stored, market)
    assert quality["shares"]["AAPL"]["2001"] == pytest.approx(1 - 21 / 248, abs=1e-4)
    section = data_quality(quality)
    assert "AAPL lacks a bar" in section.body
    assert "AAPL 2001: 91.5 %" in section.body
    assert "not made" in section.body


def test_sessions_are_due_by_the_listing_where_there_is_one(stored):
    bars = stored.read("prices", "2001")
    bars = bars[(bars["symbol"] == "AAPL") & (bars["date"].dt.month > 6) | (bars["symbol"] == "MSFT")]
    listings = {
        "AAPL": [Listing("AAPL", "AAPL", date(1980, 12, 12))],
        "GONE": [Listing("GONE", "GONE", date(1990, 1, 2))],
        "LATER": [Listing("LATER", "LATER", date(2005, 1, 3))],
        "MSFT": [Listing("MSFT", "MSFT", date(1986, 3, 13), date(2001, 6, 29))],
    }
    assert session_shares(bars, listings) == {"AAPL": pytest.approx(123 / 248, abs=1e-4), "GONE": 0.0, "MSFT": 1.0}
    assert session_shares(bars, {}) == {"AAPL": 1.0, "MSFT": 1.0}


def test_doubts_of_a_live_market_are_shown_by_kind(stored, market):
    doubt = pd.DataFrame(
        {"date": [pd.Timestamp("2001-05-01")], "symbol": "AAPL", "kind": "Odd", "told": "AAPL <b>odd</b>."}
    )
    stored.write("price_doubts", "2001", doubt)
    section = data_quality(gather_quality(stored, market))
    assert "Odd (1)" in section.body
    assert "AAPL &lt;b&gt;odd&lt;/b&gt;." in section.body


def test_without_prices_it_says_what_to_materialise():
    assert "prices" in data_quality(None).body
    assert "materialise" in data_quality({"years": {}, "shares": {}, "lines": {}, "words": []}).body
