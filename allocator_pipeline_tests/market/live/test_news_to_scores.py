"""From the vendor's pages to the scored table and back again, whatever goes wrong between; also on real tweets."""

from __future__ import annotations

import gzip
from dataclasses import replace
from datetime import date
from pathlib import Path
from unicodedata import category

import numpy as np
import pandas as pd
import pytest

from allocator_pipeline.clients.alpaca_data import AlpacaDataClient
from allocator_pipeline.errors import AllocatorError
from allocator_pipeline.features.signals import sentiment_scores
from allocator_pipeline.market import calendar
from allocator_pipeline.market.live.articles import articles
from allocator_pipeline.market.live.second_bars import second_bars
from allocator_pipeline.market.membership import Listing
from allocator_pipeline.market.news import daily_sentiment, first_tellings, vader_scores
from allocator_pipeline.market.raw import RawKey, RawStore
from allocator_pipeline.market.scoring.base import open_scorer
from allocator_pipeline.market.scoring.cache import ScoreCache
from allocator_pipeline.market.scoring.scored import scored
from allocator_pipeline.transport import Patience
from allocator_pipeline_tests.vendors.alpaca_data import KEYS, AlpacaData
from allocator_pipeline_tests.vendors.faults import CASES
from allocator_pipeline_tests.vendors.server import Fault

PATIENCE = Patience(tries=2, wait=0.001, longest_wait=0.05, connect=10, read=10, call=20, total=60, max_bytes=2**22)
HASTY = replace(PATIENCE, read=0.3, call=0.6)


def always(symbol: str) -> list[Listing]:
    return [Listing(symbol, symbol, date(1980, 1, 1))]


def fetch(client: AlpacaDataClient, store: RawStore, kind: str, symbol: str, first: date, last: date) -> None:
    """Ask and keep, as ingestion does: what raises is not kept."""
    answer = getattr(client, kind)(symbol, first, last)
    key = RawKey("alpaca", kind, symbol)
    store.put(key, answer.body, fetched_at=answer.fetched_at, first=first, last=last, request=answer.request)


def sentiment(store: RawStore, symbols: list[str]) -> pd.DataFrame:
    tables = [articles(store, symbol, always(symbol)) for symbol in symbols]
    return scored(pd.concat(tables, ignore_index=True), open_scorer("vader", {}), ScoreCache(store.root / "s.sqlite"))


def news(count: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "article_id": range(count),
            "symbol": "AAPL",
            "published_at": pd.date_range("2024-01-02", periods=count, freq="11h", tz="UTC"),
            "text": [f'Profit & loss <{row}>: {"great" if row % 3 else "terrible"} "results"' for row in range(count)],
        }
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_fault_leaves_nothing_behind_and_the_next_run_is_as_if_it_had_not_been(tmp_path, case):
    vendor, days = AlpacaData(news(120)), (date(2024, 1, 1), date(2024, 3, 31))
    with vendor.server() as server:
        hasty = AlpacaDataClient(vendor.env(server), HASTY if case.name in ("hang", "drip") else PATIENCE)
        client, store = AlpacaDataClient(vendor.env(server), PATIENCE), RawStore(tmp_path / "raw")
        fault = case.fault()
        fault.skip = 1  # the second page
        server.faults.append(fault)
        with pytest.raises(AllocatorError):
            fetch(hasty, store, "news", "AAPL", *days)
        assert list(tmp_path.rglob("*")) == []
        server.faults.clear()
        fetch(client, store, "news", "AAPL", *days)
        undisturbed = RawStore(tmp_path / "undisturbed")
        fetch(client, undisturbed, "news", "AAPL", *days)
    found, wanted = (sentiment(one, ["AAPL"]) for one in (store, undisturbed))
    pd.testing.assert_frame_equal(found, wanted)
    assert len(found) == 120
    for path in tmp_path.rglob("*"):
        if path.is_file():
            body = path.read_bytes()
            body += gzip.decompress(body) if path.suffix == ".gz" else b""
            assert not any(key.encode() in body for key in KEYS.values()), path


def test_texts_come_back_as_they_were_written(tmp_path):
    vendor = AlpacaData(news(30))
    with vendor.server() as server:
        store = RawStore(tmp_path)
        fetch(
            AlpacaDataClient(vendor.env(server), PATIENCE), store, "news", "AAPL", date(2024, 1, 1), date(2024, 3, 31)
        )
    assert articles(store, "AAPL", always("AAPL"))["text"].tolist() == news(30)["text"].tolist()


@pytest.fixture(scope="module")
def tweets(shared_data: Path) -> pd.DataFrame:
    table = pd.read_parquet(shared_data / "news.parquet").sort_values("published_at", kind="stable", ignore_index=True)
    return table.assign(article_id=range(len(table)), text=table["headline"])[
        ["article_id", "symbol", "published_at", "text"]
    ]


def test_real_tweets_pass_through_all_pages(tweets, tmp_path):
    """Eight symbols of two years, fetched year by year with faults between, against the table itself."""
    symbols = ["AAPL", "AMZN", "T", "HON", "MMM", "UPS", "PEP", "UNH"]
    vendor, store = AlpacaData(tweets), RawStore(tmp_path)
    with vendor.server() as server:
        client = AlpacaDataClient(vendor.env(server), PATIENCE)
        for symbol in symbols:
            for year in (2014, 2015):
                server.faults.append(Fault("reset", times=1, skip=1))
                fetch(client, store, "news", symbol, date(year, 1, 1), date(year, 12, 31))
    local = tweets["published_at"].dt.tz_convert("America/New_York").dt.year
    wanted = tweets[tweets["symbol"].isin(symbols) & local.isin([2014, 2015])]
    words = wanted["text"].map(lambda text: "".join(" " if category(one) in ("Cc", "Cf") else one for one in text))
    wanted = first_tellings(wanted.assign(text=words.str.split().str.join(" ")))
    found = sentiment(store, symbols).assign(number=lambda table: table["article_id"].astype(int)).sort_values("number")
    assert found["number"].tolist() == wanted["article_id"].tolist()
    np.testing.assert_array_equal(found["score"], vader_scores(wanted["text"].tolist()))
    assert daily_sentiment(found.drop(columns="number"))["articles"].sum() == len(wanted)
    week = calendar.week("2015-06-08")["decision_at"]
    scores, counts = sentiment_scores(found[found["published_at"] < week], week, symbols)
    assert np.isfinite(scores).all()
    assert (counts > 3).all()


def test_real_prices_give_their_own_returns(shared_data, tmp_path):
    """Thirteen years in four answers, each at another level."""
    table = pd.read_parquet(shared_data / "prices_daily.parquet", columns=["symbol", "date", "adj_close", "source"])
    chosen = table[(table["source"] == "Clashrohit/algo-US") & (table["symbol"] == "KO")]
    truth = chosen.set_index("date")["adj_close"].sort_index()
    store = RawStore(tmp_path)
    for number, (first, last) in enumerate(((2010, 2012), (2013, 2016), (2017, 2019), (2020, 2022))):
        bars = truth.rename_axis("date").rename("close").mul(1 + number / 7).reset_index().assign(symbol="KO")
        vendor = AlpacaData(bars=bars)
        with vendor.server() as server:
            client = AlpacaDataClient(vendor.env(server), PATIENCE)
            fetch(client, store, "bars", "KO", date(first, 1, 1), date(last, 12, 31))
    found = second_bars(store, "KO", always("KO")).set_index("date")
    assert len(found) == len(truth)
    np.testing.assert_allclose(found["total_return"], truth.pct_change(), atol=1e-12)
    np.testing.assert_allclose(found["close"].pct_change(), truth.pct_change(), atol=1e-10)
