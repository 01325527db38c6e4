"""The tables of several years hold each article once, in whichever year it counts."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

import pandas as pd

from allocator_pipeline.config import LiveConfig
from allocator_pipeline.market.live.market import LiveMarket
from allocator_pipeline.market.raw import RawKey, RawStore
from allocator_pipeline_tests.vendors.small import SYMBOLS
from allocator_pipeline_tests.vendors.together import write_candidates

YEARS = (2016, 2017, 2018, 2019)
FIRST, CHANGED = "2016-11-02T15:00:00Z", "2018-03-05T15:00:00Z"


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
    path = write_candidates(tmp_path / "c.csv", dict.fromkeys(SYMBOLS, "1"))
    config = LiveConfig(path, start=date(2016, 1, 1), end=date(2019, 12, 31), scorer="vader")
    market = LiveMarket(config, store, tmp_path / "scores.sqlite")

    rows = pd.concat([market.sentiment(year) for year in YEARS])
    assert rows["article_id"].tolist() == ["7"]
    assert rows["published_at"].tolist() == [pd.Timestamp(FIRST)]
