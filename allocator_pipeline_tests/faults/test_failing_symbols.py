"""Symbols that fail every time keep nobody from the others; a vendor that is down is left alone soon."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path

import pytest

from allocator_pipeline.clients import alpaca_data, vendor, yahoo
from allocator_pipeline.errors import VendorError
from allocator_pipeline.ingestion.asking import asking, open_client
from allocator_pipeline.ingestion.download import ENOUGH, download
from allocator_pipeline.market.live.market import LiveMarket
from allocator_pipeline.market.live.needs import FEEDS
from allocator_pipeline.market.raw import RawKey, RawStore
from allocator_pipeline.transport import Patience
from allocator_pipeline_tests.vendors.server import Fault, Reply
from allocator_pipeline_tests.vendors.small import SYMBOLS, live_market, made_up
from allocator_pipeline_tests.vendors.together import Vendors

QUICK = Patience(tries=2, wait=0.001, longest_wait=0.01, connect=1.0, read=0.1, call=0.2, total=3.0, max_bytes=2**21)
HALF, WHOLE = date(2019, 6, 28), date(2019, 12, 31)
BAD = [f"{symbol}X" for symbol in SYMBOLS[:ENOUGH]]
"""Beside good ones in the list, as they stand there in alphabetical order."""


@pytest.fixture(scope="module")
def truth():
    return made_up(3, [])


@pytest.fixture
def vendors(truth, monkeypatch):
    with Vendors(truth) as started:
        for name, value in started.env.items():
            monkeypatch.setenv(name, value)
        for module in (alpaca_data, vendor, yahoo):
            monkeypatch.setattr(module, "PATIENCE", QUICK)
        yield started


def market_with_ten_more(vendors: Vendors, folder: Path, end: date, listed_to: str) -> LiveMarket:
    market = live_market(vendors, folder, second_source=False)
    rows = "".join(f"{name},1990-01-01,{listed_to},{name},{number}\n" for number, name in enumerate(BAD, 2000))
    market.config.candidates.write_text(market.config.candidates.read_text() + rows)
    return LiveMarket(replace(market.config, end=end), RawStore(market.raw.root), market.scores)


def run(market: LiveMarket, feed: str) -> str:
    """Return what a download says that fails."""
    needs = market.needs(feed, market.first, market.last)
    with pytest.raises(VendorError) as caught:
        download(feed, needs, market.raw, partial(asking, feed, open_client(FEEDS[feed]), market))
    return caught.value.problem


def up_to(market: LiveMarket, day: date) -> list[str]:
    """Return the good symbols with an answer up to a day."""
    return [name for name in SYMBOLS if any(one.last == day for one in market.raw.records(bars(name)))]


def bars(name: str) -> RawKey:
    return RawKey("yahoo", "bars", name)


@pytest.mark.parametrize("wrong", ["lacks a session", "is re-used", "is in another currency", "is answered by 500"])
def test_ten_symbols_that_fail_for_ever_keep_nobody_from_the_others(vendors, tmp_path, wrong):
    server = vendors.servers["yahoo"]
    for place, name in enumerate(BAD):
        days = server.bars[name.rstrip("X")].assign(symbol=name)
        if wrong == "lacks a session":
            days = days[days["date"] != days["date"].iloc[40 + place]]
        elif wrong == "is re-used":
            days = days[days["date"] >= "2019-03-01"]
        server.bars[name] = days
    if wrong == "is in another currency":
        server.faults.append(Fault(kind="change", change=lambda body: body.replace(b'"USD"', b'"CAD"'), match="X$"))
    elif wrong == "is answered by 500":
        server.faults.append(Fault(reply=Reply(b"", 500), match="X$"))
    for end in (HALF, WHOLE):
        market = market_with_ten_more(vendors, tmp_path, end, "2018-06-29" if wrong == "is re-used" else "")
        assert "10 of the symbols" in run(market, "yahoo_bars")
        assert up_to(market, end) == SYMBOLS


@pytest.mark.parametrize("reply", [Reply(b"", 503), Reply(b"", 301), Reply(b"<html>We are back soon.</html>"), None])
def test_a_vendor_that_is_down_is_left_alone_after_ten(vendors, tmp_path, reply):
    market = live_market(vendors, tmp_path)
    for feed, name in FEEDS.items():
        needs, server = market.needs(feed, market.first, market.last), vendors.servers[name]
        server.faults[:] = [Fault("reset") if reply is None else Fault(reply=reply)]
        for _ in range(2):
            before = len(server.requests)
            with pytest.raises(VendorError):
                download(feed, needs, market.raw, partial(asking, feed, open_client(name), market))
            assert 0 < len(server.requests) - before <= ENOUGH * QUICK.tries
