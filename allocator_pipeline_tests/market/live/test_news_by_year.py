"""The tables of several years hold each article once, in whichever year it counts."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pytest

from allocator_pipeline.config import LiveConfig
from allocator_pipeline.defs.downloads import download_years, raw_coverage
from allocator_pipeline.errors import IncompleteDataError
from allocator_pipeline.market.live.market import LiveMarket
from allocator_pipeline.market.raw import RawKey, RawStore
from allocator_pipeline_tests.vendors.small import SYMBOLS, live_market, made_up, write_files
from allocator_pipeline_tests.vendors.together import Vendors, write_candidates

YEARS = (2016, 2017, 2018, 2019)
FIRST, CHANGED = "2016-11-02T15:00:00Z", "2018-03-05T15:00:00Z"


def config(folder: Path) -> LiveConfig:
    path = write_candidates(folder / "c.csv", dict.fromkeys(SYMBOLS, "1"))
    return LiveConfig(path, start=date(2016, 1, 1), end=date(2019, 12, 31), scorer="vader")


def keep(store: RawStore, symbol: str, year: int, articles: list[dict[str, object]], fetched: datetime) -> None:
    body = json.dumps({"pages": [{"news": articles, "next_page_token": None}]}).encode()
    days, request = (date(year, 1, 1), date(year, 12, 31)), {"symbols": symbol}
    store.put(RawKey("alpaca", "news", symbol), body, fetched_at=fetched, first=days[0], last=days[1], request=request)


def article(changed: str, headline: str) -> dict[str, object]:
    dates = {"created_at": FIRST, "updated_at": changed}
    return {"id": 7, "headline": headline, "summary": "", **dates, "symbols": ["S00"]}


def test_an_article_that_is_changed_in_a_later_year_counts_once(tmp_path):
    store = RawStore(tmp_path / "raw")
    told = {2016: [article(FIRST, "S00 gains")], 2018: [article(CHANGED, "S00 gains a lot (corrected)")]}
    for symbol in SYMBOLS:
        for year in YEARS:
            keep(
                store, symbol, year, told.get(year, []) if symbol == "S00" else [], datetime(year + 1, 1, 1, tzinfo=UTC)
            )
    market = LiveMarket(config(tmp_path), store, tmp_path / "scores.sqlite")

    rows = pd.concat([market.sentiment(year) for year in YEARS])
    assert rows["article_id"].tolist() == ["7"]
    assert rows["published_at"].tolist() == [pd.Timestamp(FIRST)]


def test_a_year_does_not_depend_on_whether_another_was_downloaded(tmp_path, monkeypatch):
    said = [("2018-12-24", "a week and a day"), ("2018-12-25", "a week"), ("2018-12-31", "a day")]
    told = [*said, ("2019-01-01", "a week and a day"), ("2019-01-01", "a week"), ("2019-01-01", "a day")]
    moments = [pd.Timestamp(f"{day} 12:00", tz="UTC") for day, _ in told]
    news = pd.DataFrame({"symbol": "S01", "published_at": moments, "text": [text for _, text in told]})
    news = news.assign(article_id=range(1, len(told) + 1)).astype({"published_at": "datetime64[us, UTC]"})
    truth = replace(made_up(3, []), news=news)
    with Vendors(truth) as vendors:
        for name, value in vendors.env.items():
            monkeypatch.setenv(name, value)
        market = live_market(vendors, tmp_path)
        download_years(market, "alpaca_news", ["2019"])
        alone = market.sentiment(2019)
        with pytest.raises(IncompleteDataError, match=r"S00 2018-01-01 to 2018-12-24.*for 2018 to 2018"):
            market.sentiment(2018)
        asked = vendors.asked
        download_years(market, "alpaca_news", ["2018"])
        assert vendors.asked == asked + len(SYMBOLS)
        assert raw_coverage(market, "alpaca_news", ["2019"], ["2019"])[1]["2019"]["due"].eq(365).all()
    assert alone["article_id"].tolist() == ["4"], "the others repeat what was said within a week"
    pd.testing.assert_frame_equal(market.sentiment(2019), alone)
    assert write_files(truth, tmp_path / "files").sentiment(2019)["article_id"].tolist() == ["4"]


def test_the_first_year_needs_nothing_from_before_the_market(tmp_path):
    market = LiveMarket(config(tmp_path), RawStore(tmp_path / "raw"), tmp_path / "scores.sqlite")
    with pytest.raises(IncompleteDataError, match="S00 2016-01-01 to 2016-12-31"):
        market.sentiment(2016)
    with pytest.raises(IncompleteDataError, match=r"S00 2018-12-25 to 2019-12-31.*alpaca_news for 2019 to 2019"):
        market.sentiment(2019)
