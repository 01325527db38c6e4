"""How each feed's needs become questions to its vendor's client; clients are imported only where they are used."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import date
from functools import cache
from typing import Any

from allocator_pipeline.clients.answer import Answer
from allocator_pipeline.clients.edgar import read_tickers
from allocator_pipeline.market.live.bars import require_joined
from allocator_pipeline.market.live.facts import NOBODY, NOTHING
from allocator_pipeline.market.live.held import held_sessions
from allocator_pipeline.market.live.market import LiveMarket
from allocator_pipeline.market.live.needs import FEEDS, Need
from allocator_pipeline.market.live.own import ASKED
from allocator_pipeline.market.live.quarters import require_not_lost
from allocator_pipeline.market.live.second_bars import require_begun
from allocator_pipeline.market.raw import RawKey

Ask = Callable[[Need, date, date], Answer]
"""Asks a vendor about the days from a first to a last one, both included."""

TICKERS = RawKey("edgar", "tickers", "all")


def open_client(vendor: str, env: Mapping[str, str] | None = None) -> Any:
    """Return the client of a vendor of data.

    Parameters
    ----------
    vendor : {"yahoo", "alpaca", "edgar", "alphavantage", "fred"}
    env : mapping, optional
        Defaults to ``os.environ``.

    Raises
    ------
    ConfigurationError
        If a key that it needs is not set; it names the variable.
    """
    env = os.environ if env is None else env
    if vendor == "yahoo":
        from allocator_pipeline.clients.yahoo import YahooClient

        return YahooClient(env)
    if vendor == "alpaca":
        from allocator_pipeline.clients.alpaca_data import AlpacaDataClient

        return AlpacaDataClient(env)
    if vendor == "edgar":
        from allocator_pipeline.clients.edgar import EdgarClient

        return EdgarClient(env)
    if vendor == "alphavantage":
        from allocator_pipeline.clients.alphavantage import AlphaVantageClient

        return AlphaVantageClient(env)
    from allocator_pipeline.clients.fred import FredClient

    return FredClient(env)


def require_keys(feeds: Iterable[str], env: Mapping[str, str] | None = None) -> None:
    """Open the client of every feed, so that a key that is missing is told before any vendor is asked.

    Raises
    ------
    ConfigurationError
        As `open_client`.
    """
    for vendor in dict.fromkeys(FEEDS[feed] for feed in feeds):
        open_client(vendor, env)


def asking(feed: str, client: Any, market: LiveMarket) -> Ask:
    """Return what asks a client for a feed.

    Parameters
    ----------
    feed : str
        One of `needs.FEEDS`.
    client : object
        Of that feed's vendor.
    market : LiveMarket
        What is asked for; bars that do not fit on those it has are refused, and so are the second source's where they
        begin later than those, and fundamentals that lack most quarters that were there before.
    """
    if feed == "yahoo_bars":

        def bars(need: Need, first: date, last: date) -> Answer:
            answer: Answer = client.bars(need.asked, first, last)
            symbol = need.key.name
            require_joined(market.raw, symbol, market.by_symbol[symbol], answer.body, answer.fetched_at)
            return answer

        return bars
    if feed == "alpaca_bars":

        def second(need: Need, first: date, last: date) -> Answer:
            answer: Answer = client.bars(need.asked, first, last)
            symbol = need.key.name
            ours = held_sessions(market.raw, RawKey("yahoo", "bars", symbol), market.by_symbol[symbol])
            require_begun(answer.body, symbol, need.asked, ours, max(first, need.first), last)
            return answer

        return second
    if feed == "edgar_facts":
        tickers = cache(lambda: _tickers(client, market))

        def facts(need: Need, first: date, last: date) -> Answer:
            numbered = need.asked.isdecimal()
            answer = client.facts(need.asked) if numbered else _facts_by_ticker(need.asked, client, *tickers())
            answer = replace(answer, request={**answer.request, ASKED: need.asked})
            require_not_lost(market.raw, need.key, answer.body, answer.request)
            return answer

        return facts
    if feed == "alphavantage_statements":

        def statement(need: Need, first: date, last: date) -> Answer:
            answer: Answer = client.statement(need.key.kind, need.asked)
            require_not_lost(market.raw, need.key, answer.body, answer.request)
            return answer

        return statement
    if feed == "fred_series":
        return lambda need, first, last: client.observations(need.asked, first, last)
    if feed == "alpaca_news":
        return lambda need, first, last: client.news(need.asked, first, last)
    return lambda need, first, last: client.bars(need.asked, first, last)


def _facts_by_ticker(ticker: str, client: Any, listed: Answer, numbers: Mapping[str, str]) -> Answer:
    """Ask for the facts of the company that a ticker means; nothing, where the SEC's list does not name one."""
    number = numbers.get(ticker, numbers.get(ticker.replace(".", "-")))
    if number is None:  # the list itself is kept once, and not with each company that it does not name
        return replace(listed, body=b"", request={**listed.request, NOTHING: NOBODY})
    answer: Answer = client.facts(number)
    return answer


def _tickers(client: Any, market: LiveMarket) -> tuple[Answer, dict[str, str]]:
    """Ask the SEC for its list of today's tickers, keep it, and return it with the companies that it names."""
    answer: Answer = client.tickers()
    day = answer.fetched_at.date()
    market.raw.put(TICKERS, answer.body, fetched_at=answer.fetched_at, first=day, last=day, request=answer.request)
    return answer, read_tickers(answer.body)
