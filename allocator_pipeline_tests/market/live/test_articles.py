"""Articles out of raw answers: once, as first read, known in time, about the right company."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocator_pipeline.errors import IncompleteDataError, VendorError
from allocator_pipeline.features.panel import known
from allocator_pipeline.features.signals import sentiment_scores
from allocator_pipeline.market.live.articles import articles
from allocator_pipeline.market.membership import Listing
from allocator_pipeline.market.raw import RawKey, RawStore

ALWAYS = [Listing("AAPL", "AAPL", date(1980, 12, 12))]


def article(number: int, created: str, text: str | None = None, updated: str | None = None, **more) -> dict:
    return {
        "id": number,
        "headline": f"Article {number}" if text is None else text,
        "summary": "",
        "created_at": created,
        "updated_at": updated or created,
        "symbols": ["AAPL"],
        "source": "benzinga",
        **more,
    }


def keep(store: RawStore, *pages: list[dict], hour: int = 0, symbol: str = "AAPL", ticker: str = "AAPL") -> None:
    tokens = [*[f"t{number}" for number in range(1, len(pages))], None]
    body = json.dumps({"pages": [{"news": news, "next_page_token": t} for news, t in zip(pages, tokens, strict=True)]})
    store.put(
        RawKey("alpaca", "news", symbol),
        body.encode(),
        fetched_at=datetime(2024, 6, 1, hour, tzinfo=UTC),
        first=date(2024, 1, 1),
        last=date(2024, 5, 31),
        request={"path": "/v1beta1/news", "symbols": ticker},
    )


@pytest.fixture
def store(tmp_path) -> RawStore:
    return RawStore(tmp_path)


def test_nothing_fetched_is_no_article(store):
    assert articles(store, "AAPL", ALWAYS).empty


def test_articles_of_all_pages_and_answers_come_in_order(store):
    keep(store, [article(3, "2024-03-01T12:00:00Z")], [article(1, "2024-01-01T12:00:00Z")])
    keep(store, [article(2, "2024-02-01T12:00:00Z")], hour=1)
    table = articles(store, "AAPL", ALWAYS)
    assert table["article_id"].tolist() == ["1", "2", "3"]
    assert table["source"].unique().tolist() == ["alpaca"]


def test_the_text_first_fetched_stays(store):
    keep(store, [article(1, "2024-01-01T12:00:00Z", "Profit falls")])
    keep(store, [article(1, "2024-01-01T12:00:00Z", "Profit soars", "2024-02-01T12:00:00Z")], hour=1)
    table = articles(store, "AAPL", ALWAYS)
    assert table["text"].tolist() == ["Profit falls"]
    assert table["published_at"].tolist() == [pd.Timestamp("2024-01-01T12:00:00Z")]


def test_a_text_changed_before_it_was_fetched_is_known_from_its_change(store):
    keep(store, [article(1, "2024-01-01T12:00:00Z", "Profit soars", "2024-02-01T12:00:00Z")])
    table = articles(store, "AAPL", ALWAYS)
    assert table["published_at"].tolist() == [pd.Timestamp("2024-02-01T12:00:00Z")]
    assert known(table, pd.Timestamp("2024-02-01T12:00:00Z"), "published_at").empty
    assert len(known(table, pd.Timestamp("2024-02-01T12:00:01Z"), "published_at")) == 1


def test_an_article_that_moved_between_pages_counts_once(store):
    first = article(1, "2024-01-01T12:00:00Z", "Before")
    moved = article(1, "2024-01-01T12:00:00Z", "After", "2024-01-03T12:00:00Z")
    keep(store, [first, article(2, "2024-01-02T12:00:00Z")], [moved, article(3, "2024-01-04T12:00:00Z")])
    assert articles(store, "AAPL", ALWAYS)["text"].tolist() == ["Before", "Article 2", "Article 3"]


def test_the_same_words_count_again_after_a_week_of_silence(store):
    days = ["01", "03", "09", "20"]  # 2, 6 and 11 days apart
    keep(store, [article(int(day), f"2024-01-{day}T12:00:00Z", "To the moon") for day in days])
    assert articles(store, "AAPL", ALWAYS)["article_id"].tolist() == ["1", "20"]


@pytest.mark.parametrize(
    ("headline", "summary", "text"),
    [
        ("Up", "", "Up"),
        ("Up", "Much up.", "Up Much up."),
        ("Up today", "Up", "Up today"),
        ("<b>Up</b> &amp; away", "<script>x</script>", "Up & away"),
        ("", "Only this", "Only this"),
    ],
)
def test_headline_and_summary_make_the_text(store, headline, summary, text):
    keep(store, [article(1, "2024-01-01T12:00:00Z", headline, summary=summary)])
    assert articles(store, "AAPL", ALWAYS)["text"].tolist() == [text]


def test_an_article_without_words_is_none(store):
    keep(store, [article(1, "2024-01-01T12:00:00Z", "<img src=x>")])
    assert articles(store, "AAPL", ALWAYS).empty


def test_a_ticker_is_not_an_identity(store):
    news = [article(day, f"2024-01-{day}T12:00:00Z", symbols=["FB"]) for day in (10, 20, 30)]
    keep(store, news, symbol="META", ticker="FB")
    listings = [Listing("META", "FB", date(2012, 5, 18), date(2024, 1, 20)), Listing("META", "META", date(2024, 1, 21))]
    assert articles(store, "META", listings)["article_id"].tolist() == ["10", "20"]
    assert set(articles(store, "META", listings)["symbol"]) == {"META"}
    assert articles(store, "META", listings[1:]).empty


def test_an_article_about_a_tickers_former_owner_is_not_about_the_next_one(store):
    late = article(1, "2024-01-10T12:00:00Z", updated="2024-03-10T12:00:00Z", symbols=["S14"])
    keep(store, [late, article(2, "2024-03-11T12:00:00Z", symbols=["S14"])], symbol="LATER", ticker="S14")
    assert articles(store, "LATER", [Listing("LATER", "S14", date(2024, 3, 1))])["article_id"].tolist() == ["2"]
    keep(store, [late], symbol="OLD", ticker="S14")
    assert articles(store, "OLD", [Listing("OLD", "S14", date(2020, 1, 2), date(2024, 1, 31))]).empty, "changed later"


def test_a_day_of_a_listing_ends_in_new_york(store):
    keep(store, [article(1, "2024-01-21T04:59:59Z"), article(2, "2024-01-21T05:00:00Z")])
    until = [Listing("AAPL", "AAPL", date(1980, 12, 12), date(2024, 1, 20))]
    assert articles(store, "AAPL", until)["article_id"].tolist() == ["1"]


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b'{"pages": []}', b'{"pages": [{}]}', b"[" * 10_000])
def test_what_cannot_be_read_is_an_error(store, body):
    days = {"first": date(2024, 1, 1), "last": date(2024, 5, 31)}
    key = RawKey("alpaca", "news", "AAPL")
    store.put(key, body, fetched_at=datetime(2024, 6, 1, tzinfo=UTC), **days, request={"symbols": "AAPL"})
    with pytest.raises((VendorError, IncompleteDataError)):
        articles(store, "AAPL", ALWAYS)


def test_a_cut_chain_of_pages_is_an_error(store):
    pages = [{"news": [article(1, "2024-01-01T12:00:00Z")], "next_page_token": "more"}]
    key = RawKey("alpaca", "news", "AAPL")
    days = {"first": date(2024, 1, 1), "last": date(2024, 5, 31)}
    body = json.dumps({"pages": pages}).encode()
    store.put(key, body, fetched_at=datetime(2024, 6, 1, tzinfo=UTC), **days, request={"symbols": "AAPL"})
    with pytest.raises(IncompleteDataError, match="last page"):
        articles(store, "AAPL", ALWAYS)


MINUTES = st.integers(0, 100_000)
ARTICLES = st.lists(
    st.tuples(st.integers(0, 30), MINUTES, MINUTES, st.sampled_from(["up", "down", "flat", "<b>up</b>"])), max_size=25
)


def stored(folder: Path, rows, changed: bool, cut: pd.Timestamp) -> RawStore:
    """Keep articles in two answers; ``changed`` gives what was known after a moment another text, and more of it."""
    store = RawStore(folder)
    news = []
    for number, created, later, text in rows:
        first = pd.Timestamp("2024-01-01T00:00:00Z") + pd.Timedelta(minutes=created)
        last = first + pd.Timedelta(minutes=later if later % 3 == 0 else 0)
        other = changed and last >= cut
        news.append(
            article(number, first.isoformat(), "corrupted" if other else text, last.isoformat(), summary="x" * other)
        )
    news.sort(key=lambda one: one["updated_at"])
    half = len(news) // 2
    keep(store, news[:half])
    keep(store, news[half:], hour=1)
    return store


@given(rows=ARTICLES, after=MINUTES)
@settings(max_examples=30, deadline=None)
def test_what_is_known_later_changes_nothing(tmp_path_factory, rows, after):
    """Whatever is changed that was known from a moment on, what was known before it stays the same."""
    cut = pd.Timestamp("2024-01-01T00:00:00Z") + pd.Timedelta(minutes=after)
    seen = [
        known(articles(stored(tmp_path_factory.mktemp("raw"), rows, changed, cut), "AAPL", ALWAYS), cut, "published_at")
        for changed in (False, True)
    ]
    pd.testing.assert_frame_equal(*seen)


def test_the_week_weighs_single_articles_by_their_age(store):
    days = ["2024-03-01", "2024-03-05", "2024-03-07"]
    keep(store, [article(number, f"{day}T12:00:00Z") for number, day in enumerate(days)])
    table = articles(store, "AAPL", ALWAYS).assign(score=[1.0, -0.5, 0.25])
    at = pd.Timestamp("2024-03-08T12:00:00Z")
    scores, count = sentiment_scores(table, at, ["AAPL"])
    weights = [2.718281828459045 ** (-age / 7) for age in (7, 3, 1)]
    wanted = sum(w * s for w, s in zip(weights, (1.0, -0.5, 0.25), strict=True)) / sum(weights)
    assert count.tolist() == [3]
    assert scores[0] == pytest.approx(wanted, abs=1e-15)
