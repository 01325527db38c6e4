"""Alpaca's market data over real HTTP: whole answers, or one typed error within bounds."""

from __future__ import annotations

import json
import logging
import time
import traceback
from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from allocator_pipeline.clients import alpaca_data
from allocator_pipeline.clients.alpaca_data import AlpacaDataClient
from allocator_pipeline.errors import (
    AllocatorError,
    ConfigurationError,
    IncompleteDataError,
    UnsafeNameError,
    VendorError,
    VendorRefusedError,
)
from allocator_pipeline.market import calendar
from allocator_pipeline.market.live.alpaca import bars_in, news_in
from allocator_pipeline.transport import Patience
from allocator_pipeline_tests.vendors.alpaca_data import KEYS, AlpacaData
from allocator_pipeline_tests.vendors.faults import CASES
from allocator_pipeline_tests.vendors.server import Fault, Reply, VendorServer

FIRST, LAST = date(2024, 1, 2), date(2024, 3, 28)
PATIENCE = Patience(tries=3, wait=0.001, longest_wait=0.05, connect=10, read=10, call=20, total=60, max_bytes=2**20)
HASTY = replace(PATIENCE, read=0.3, call=0.6)
"""For a vendor that says nothing, or little; a busy machine may take longer than that for an answer."""
QUESTIONS = {
    "news": lambda client: client.news("AAPL", FIRST, LAST),
    "bars": lambda client: client.bars("AAPL", FIRST, LAST),
}


def news_table(count: int = 130) -> pd.DataFrame:
    """Articles of some minutes each; every tenth is about MSFT too."""
    return pd.DataFrame(
        {
            "article_id": np.arange(count) + 1000,
            "symbol": ["AAPL,MSFT" if row % 10 == 0 else "AAPL" for row in range(count)],
            "published_at": pd.date_range("2024-01-02 15:00", periods=count, freq="7h", tz="UTC"),
            "text": [f"Apple's <news> & more, {row}" for row in range(count)],
        }
    )


def bars_table() -> pd.DataFrame:
    days = calendar.sessions("2023-11-01", "2024-04-30")
    return pd.DataFrame({"date": days, "symbol": "AAPL", "close": 180.0 + np.sin(np.arange(len(days)))})


@pytest.fixture(scope="module")
def vendor() -> AlpacaData:
    return AlpacaData(news_table(), bars_table())


@pytest.fixture
def server(vendor) -> Iterator[VendorServer]:
    with vendor.server() as running:
        yield running


@pytest.fixture
def client(vendor, server) -> AlpacaDataClient:
    return AlpacaDataClient(vendor.env(server), PATIENCE)


def refused(ask, client, kind: type[AllocatorError] = VendorError) -> AllocatorError:
    """Return the one typed error, which shows no key."""
    with pytest.raises((VendorError, IncompleteDataError)) as caught:
        ask(client)
    assert isinstance(caught.value, kind)
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + repr(vars(caught.value))
    shown += repr(client)
    for key in KEYS.values():
        assert key not in shown
    assert caught.value.symbol == "AAPL"
    return caught.value


def test_news_come_with_all_pages(client, server):
    told = []
    answer = client.news("AAPL", FIRST, LAST, told.append)
    found = news_in(answer.body, "AAPL")
    wanted = news_table()
    assert [article.id for article in found] == wanted["article_id"].tolist()
    assert [len(page["news"]) for page in json.loads(answer.body)["pages"]] == [50, 50, 30]
    assert all(request.headers["apca-api-key-id"] == KEYS["APCA_API_KEY_ID"] for request in server.requests)
    assert answer.request["symbols"] == "AAPL"
    assert "page_token" not in answer.request
    assert told == ["AAPL: 130 items on 3 pages of news"]


def test_days_without_news_are_a_whole_answer(client):
    assert news_in(client.news("TSLA", FIRST, LAST).body, "TSLA") == []


def test_a_day_ends_at_midnight_in_new_york(vendor, server, client):
    of_a_day = news_in(client.news("AAPL", date(2024, 1, 3), date(2024, 1, 3)).body, "AAPL")
    local = news_table()["published_at"].dt.tz_convert("America/New_York").dt.date
    assert [article.id for article in of_a_day] == news_table()["article_id"][local == date(2024, 1, 3)].tolist()


def test_bars_come_with_ten_days_before_them(client, server):
    answer = client.bars("AAPL", FIRST, LAST)
    closes = bars_in(answer.body, "AAPL")
    wanted = bars_table().set_index("date")["close"]["2023-12-23":"2024-03-28"]
    assert list(closes.values()) == wanted.tolist()
    assert [pd.Timestamp(day) for day in closes] == wanted.index.tolist()
    assert server.requests[0].query["asof"] == "2024-03-28"


def test_a_page_of_bars_leads_to_the_next(vendor, server, client, monkeypatch):
    answer = vendor.answer

    def short_pages(asked):
        return answer(type(asked)(asked.path, {**asked.query, "limit": "7"}, asked.headers))

    server.answer = short_pages
    whole = bars_in(client.bars("AAPL", FIRST, LAST).body, "AAPL")
    assert len(server.requests) == -(-len(whole) // 7)
    assert len(whole) == len(calendar.sessions("2023-12-23", "2024-03-28"))


def test_a_share_that_was_listed_later_has_fewer_bars(server, client):
    server.answer = AlpacaData(bars=bars_table().iloc[60:]).answer
    assert len(bars_in(client.bars("AAPL", FIRST, LAST).body, "AAPL")) == len(calendar.sessions("2024-01-30", LAST))


@pytest.mark.parametrize("gone", ["2024-03-28", "2024-02-05", "all"])
def test_sessions_that_lack_are_an_error(server, client, gone):
    table = bars_table()
    server.answer = AlpacaData(bars=table[(table["date"] != gone) & (gone != "all")]).answer
    error = refused(QUESTIONS["bars"], client, IncompleteDataError)
    assert error.source == "alpaca bars"
    assert ("2024-01-02" if gone == "all" else gone) in str(error)
    assert error.week == "2024-01-02 to 2024-03-28"


@pytest.mark.parametrize(("question", "skip"), [("news", 0), ("news", 1), ("bars", 0)])  # bars are one page
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_lasts_is_one_error_within_bounds(vendor, server, caplog, case, question, skip):
    slow = case.name in ("hang", "drip")
    client = AlpacaDataClient(vendor.env(server), HASTY if slow else PATIENCE)
    caplog.set_level(logging.DEBUG)
    fault = case.fault()
    fault.skip = skip
    server.faults.append(fault)
    began = time.monotonic()
    refused(QUESTIONS[question], client, AllocatorError)
    assert time.monotonic() - began < 20
    pages = skip + 1  # of which each may be tried so often
    assert len(server.requests) <= (pages * HASTY.tries if slow else skip + (case.tries or PATIENCE.tries))
    assert not any(key in caplog.text for key in KEYS.values())


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("kind", ["reset", "hang", "drip", "truncate"])
def test_what_passes_is_tried_again(vendor, client, server, question, kind):
    undisturbed = QUESTIONS[question](client).body
    server.faults.append(Fault(kind, times=1))
    hasty = AlpacaDataClient(vendor.env(server), replace(HASTY, tries=6) if kind in ("hang", "drip") else PATIENCE)
    assert QUESTIONS[question](hasty).body == undisturbed


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_busy_vendor_is_asked_again(client, server, status):
    undisturbed = client.news("AAPL", FIRST, LAST).body
    server.faults.append(Fault(reply=Reply(b"{}", status, {"Retry-After": "0"}), times=2, skip=1))
    server.requests.clear()
    assert client.news("AAPL", FIRST, LAST).body == undisturbed
    assert len(server.requests) == 5


def test_the_limit_of_a_minute_is_waited_for(server, client):
    reply = Reply(b"{}", 429, {"X-RateLimit-Reset": str(int(time.time()) + 3600)})
    server.faults.append(Fault(reply=reply))
    assert "asks to wait" in str(refused(QUESTIONS["news"], client))
    assert len(server.requests) == 1
    server.faults[:] = [Fault(reply=Reply(b"{}", 429, {"X-RateLimit-Reset": "7"}), times=1)]  # is long past
    assert client.news("AAPL", FIRST, LAST).body


def test_a_vendor_counts_requests(server, client, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 1_700_000_030.0)  # ten seconds before a minute ends
    server.answer = AlpacaData(news_table(), per_minute=2).answer
    assert "asks to wait" in str(refused(QUESTIONS["news"], client))
    assert len(server.requests) == 3


def paged(change):
    """Return a fault that changes a page."""

    def changed(body: bytes) -> bytes:
        page = json.loads(body)
        change(page)
        return json.dumps(page).encode()

    return Fault("change", change=changed)


def with_token(token):
    return lambda page: page.update(next_page_token=token)


def each(page, **fields):
    for article in page["news"]:
        article.update(fields)


def bar(page, **fields):
    page["bars"]["AAPL"][3].update(fields)


BAD_PAGES = {
    "news": {
        "same token for ever": with_token("again"),
        "empty token": with_token(""),
        "token is a number": with_token(7),
        "no token at all": lambda page: page.pop("next_page_token"),
        "empty page that is not the last": lambda page: page.update(news=[], next_page_token="more"),
        "no articles": lambda page: page.pop("news"),
        "articles are null": lambda page: page.update(news=None),
        "articles are an object": lambda page: page.update(news={}),
        "article is text": lambda page: page.update(news=["article"]),
        "another symbol": lambda page: each(page, symbols=["MSFT"]),
        "no symbol": lambda page: each(page, symbols=[]),
        "symbols as text": lambda page: each(page, symbols="AAPL"),
        "before the span": lambda page: each(
            page, created_at="2023-06-01T12:00:00Z", updated_at="2023-06-01T12:00:00Z"
        ),
        "after the span": lambda page: each(page, created_at="2024-06-01T12:00:00Z", updated_at="2024-06-01T12:00:00Z"),
        "time without a zone": lambda page: each(page, created_at="2024-01-02T12:00:00"),
        "no time": lambda page: each(page, created_at=None),
        "time is a number": lambda page: each(page, updated_at=1704200000),
        "impossible time": lambda page: each(page, updated_at="2024-02-30T12:00:00Z"),
        "headline is null": lambda page: each(page, headline=None),
        "headline is a number": lambda page: each(page, headline=3),
        "id is text": lambda page: each(page, id="12"),
        "id is negative": lambda page: each(page, id=-1),
        "id is NaN": lambda page: each(page, id=float("nan")),
        "id is true": lambda page: each(page, id=True),
    },
    "bars": {
        "same token for ever": with_token("again"),
        "empty token": with_token(""),
        "no token at all": lambda page: page.pop("next_page_token"),
        "bars are a list": lambda page: page.update(bars=[]),
        "bars are null": lambda page: page.update(bars=None),
        "no bars": lambda page: page.update(bars={}),
        "bars of another": lambda page: page.update(bars={"MSFT": page["bars"]["AAPL"]}),
        "bars of another too": lambda page: page["bars"].update(MSFT=page["bars"]["AAPL"]),
        "close is NaN": lambda page: bar(page, c=float("nan")),
        "close is infinite": lambda page: bar(page, c=float("inf")),
        "close is null": lambda page: bar(page, c=None),
        "close is text": lambda page: bar(page, c="180"),
        "close is zero": lambda page: bar(page, c=0),
        "close is negative": lambda page: bar(page, c=-1.5),
        "open is missing": lambda page: page["bars"]["AAPL"][3].pop("o"),
        "volume is negative": lambda page: bar(page, v=-1),
        "a day twice": lambda page: page["bars"]["AAPL"].insert(4, page["bars"]["AAPL"][3]),
        "days fall": lambda page: page["bars"]["AAPL"].reverse(),
        "a day before": lambda page: bar(page, t="2020-01-02T05:00:00Z"),
        "a day after": lambda page: bar(page, t="2024-05-02T04:00:00Z"),
        "day without a zone": lambda page: bar(page, t="2024-01-02T05:00:00"),
        "a day is missing": lambda page: page["bars"]["AAPL"].pop(20),
        "the last day is missing": lambda page: page["bars"]["AAPL"].pop(),
    },
}


@pytest.mark.parametrize(
    ("question", "name"), [(question, name) for question, changes in BAD_PAGES.items() for name in changes]
)
def test_bad_pages_are_one_error(client, server, question, name):
    server.faults.append(paged(BAD_PAGES[question][name]))
    error = refused(QUESTIONS[question], client, AllocatorError)
    assert error.todo
    assert len(server.requests) <= 3


def test_pages_that_turn_in_a_circle_are_seen(client, server):
    number = iter(range(10**6))
    # ever new tokens, but the server knows none of them and begins again
    answer = AlpacaData(news_table()).answer
    server.answer = lambda asked: answer(
        type(asked)(
            asked.path, {name: text for name, text in asked.query.items() if name != "page_token"}, asked.headers
        )
    )
    server.faults.append(paged(lambda page: page.update(next_page_token=str(next(number)))))
    assert "nothing new" in str(refused(QUESTIONS["news"], client))
    assert len(server.requests) == 2


def test_pages_without_an_end_are_cut_off(client, server, monkeypatch):
    monkeypatch.setattr(alpaca_data, "PAGES", 6)
    numbers = iter(range(10**6))

    def endless(page):
        number = next(numbers)
        page["news"] = [{**page["news"][0], "id": number}]
        page["next_page_token"] = str(number)

    answer = AlpacaData(news_table(3)).answer
    server.answer = lambda asked: answer(
        type(asked)(
            asked.path, {name: text for name, text in asked.query.items() if name != "page_token"}, asked.headers
        )
    )
    server.faults.append(paged(endless))
    assert "6 pages" in str(refused(QUESTIONS["news"], client, IncompleteDataError))
    assert len(server.requests) == 6


def test_wrong_keys_are_refused_at_once(vendor, server):
    stranger = AlpacaDataClient({**vendor.env(server), "APCA_API_KEY_ID": "PKOTHER"}, PATIENCE)
    refused(QUESTIONS["news"], stranger, VendorRefusedError)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "env",
    [
        {},
        {"APCA_API_KEY_ID": "PKCANARY"},
        {"APCA_API_KEY_ID": "PKCANARY", "APCA_API_SECRET_KEY": "canary\nInjected: 1"},
        {"APCA_API_KEY_ID": "PKCANARY", "APCA_API_SECRET_KEY": "canary\u20ac"},
        *[
            {"APCA_API_KEY_ID": "PKCANARY", "APCA_API_SECRET_KEY": "canary", "ALLOCATOR_ALPACA_DATA_URL": url}
            for url in (
                "https://evil.example",
                "http://127.0.0.1.evil.example",
                "http://127.0.0.1@evil.example",
                "https://data.alpaca.markets",
                "ftp://127.0.0.1",
                "http://[::1",
                "127.0.0.1",
                "http://10.0.0.1",
            )
        ],
    ],
)
def test_what_could_lose_a_key_is_refused(env):
    with pytest.raises(ConfigurationError) as caught:
        AlpacaDataClient(env)
    assert "canary" not in "".join(traceback.format_exception(caught.value)).lower()


HOSTILE = (
    "", " ", "../..",
    "/etc/passwd", "A/B", "AAPL,MSFT", "AAPL&x=1", "AAPL?x", "aapl", "^GSPC", "A\x00", "A\nB", "A" * 300,
    "'; DROP TABLE x;--", "..", ".", "-", "BRK..B", "\u0410APL", "AAPL ", "%41", "http://x", "{}", None, 7,
)  # fmt: skip


@pytest.mark.parametrize("ticker", HOSTILE, ids=ascii)
@pytest.mark.parametrize("question", ["news", "bars"])
def test_no_hostile_ticker_is_asked_for(client, server, ticker, question):
    with pytest.raises(UnsafeNameError):
        getattr(client, question)(ticker, FIRST, LAST)
    assert server.requests == []


@pytest.mark.parametrize("ticker", ["BRK.B", "BRK-B"])
def test_classes_of_shares_have_a_dot(server, client, ticker):
    server.answer = AlpacaData(bars=bars_table().assign(symbol="BRK.B")).answer
    assert client.bars(ticker, FIRST, LAST).request["symbols"] == "BRK.B"


@pytest.mark.parametrize("written", ["BRK.B", "BRK-B", "BRK/B"])
def test_articles_may_write_a_class_of_shares_otherwise(server, client, written):
    vendor = AlpacaData(news_table(3).assign(symbol=written))
    vendor.news["BRK.B"] = vendor.news[written]
    server.answer = vendor.answer
    assert len(news_in(client.news("BRK.B", FIRST, LAST).body, "BRK.B")) == 3


def test_a_check_says_what_works(server, client):
    days = calendar.sessions(pd.Timestamp.now().date() - pd.Timedelta(days=40), pd.Timestamp.now().date())
    server.answer = AlpacaData(news_table(), pd.DataFrame({"date": days, "symbol": "AAPL", "close": 1.0})).answer
    assert "can be read" in client.check()
    assert len(server.requests) == 2
