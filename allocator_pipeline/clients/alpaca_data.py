"""News and a second source of daily closes from Alpaca's market data API; needs keys, paper keys will do.

alpaca-py has a client for this, which we leave to the paper account: it has no timeouts, no limit of size or of pages
and no Retry-After, follows page tokens without looking at them, and loses the bytes as they came. `PatientTransport`
has all of these, and the format is two lists.

Keys come from ``APCA_API_KEY_ID`` and ``APCA_API_SECRET_KEY``; ``ALLOCATOR_ALPACA_DATA_URL`` may name a server on this
machine instead.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import ClassVar

import httpx2

from allocator_pipeline.clients import question
from allocator_pipeline.clients.answer import Answer
from allocator_pipeline.clients.vendor import Connection, Pace, VendorTransport
from allocator_pipeline.errors import IncompleteDataError
from allocator_pipeline.market import calendar
from allocator_pipeline.market.live.alpaca import (
    BarsPage,
    Chain,
    NewsPage,
    alpaca_ticker,
    bars_in,
    joined,
    read_bars,
    read_news,
    span,
)
from allocator_pipeline.transport import Patience

HOST = "https://data.alpaca.markets"
PATIENCE = Patience(tries=5, longest_wait=65.0, jitter=0.25, max_bytes=16 * 2**20)
SECONDS = 0.3
"""Between two requests: 200 a minute are free. Beyond that the API says when the next minute begins."""

PAGES = 1000
"""Most pages of one answer: 50,000 articles, or a million bars."""

OVERLAP = timedelta(days=10)
"""Bars are asked for from so long before, so that answers of different days can be joined."""

DELAY = timedelta(minutes=16)
"""Free keys may not ask for bars of the last quarter of an hour."""

Progress = Callable[[str], None]


class AlpacaTransport(VendorTransport):
    """Sends requests to Alpaca within a `Patience`."""

    credential: ClassVar[str] = "keys"
    keys: ClassVar[str] = "check APCA_API_KEY_ID and APCA_API_SECRET_KEY, and what your plan at Alpaca includes."

    def _asked_wait(self, response: httpx2.Response) -> float | None:
        """Return the seconds to wait: ``Retry-After``, or until ``X-RateLimit-Reset`` (seconds since 1970)."""
        asked = super()._asked_wait(response)
        reset = response.headers.get("x-ratelimit-reset", "").strip()
        if asked is not None or response.status_code != 429 or not reset.isdecimal():
            return asked
        return float(reset[:12]) - time.time()


class AlpacaDataClient:
    """Alpaca's market data; every call is bounded, and returns a whole answer or raises a typed error.

    Parameters
    ----------
    env : mapping, optional
        Defaults to ``os.environ``.
    patience : Patience, optional
        Of each page; its total time holds for all pages of a question together.

    Raises
    ------
    ConfigurationError
        If the keys are absent or cannot be keys, or the address that is given is not one of this machine.
    """

    def __init__(self, env: Mapping[str, str] | None = None, patience: Patience | None = None) -> None:
        env = os.environ if env is None else env
        todo = "set it to a key of yours at Alpaca; one of a paper account will do."
        self._patience = patience or PATIENCE
        self._connection = Connection(
            question.endpoint(env, "ALLOCATOR_ALPACA_DATA_URL", HOST),
            AlpacaTransport,
            self._patience,
            Pace(SECONDS),
            headers={
                "APCA-API-KEY-ID": question.secret(env, "APCA_API_KEY_ID", todo),
                "APCA-API-SECRET-KEY": question.secret(env, "APCA_API_SECRET_KEY", todo),
            },
        )

    def news(self, ticker: str, first: date, last: date, progress: Progress | None = None) -> Answer:
        """Return all articles about a ticker that appeared or changed in some days.

        Parameters
        ----------
        ticker : str
        first, last : date
            In New York, both included.
        progress : callable, optional
            Receives messages.

        Returns
        -------
        Answer
            ``{"pages": [...]}``: the pages as they came, to the last one. No article is a whole answer too: there are
            days without news.

        Raises
        ------
        UnsafeNameError
            If it is no ticker of a share.
        VendorError
            If Alpaca does not answer or answers nonsense; `VendorRefusedError` if it refuses the keys.
        IncompleteDataError
            If the pages do not end.
        """
        name = alpaca_ticker(ticker)
        start, end = span(first, last)
        query = {"symbols": name, "start": _moment(start), "end": _moment(end), "limit": "50", "sort": "asc"}
        query["include_content"] = "false"
        return self._all(
            "/v1beta1/news",
            query,
            Chain("news", name),
            lambda body: read_news(body, name, first, last),
            question.span(first, last),
            progress,
        )

    def bars(self, ticker: str, first: date, last: date) -> Answer:
        """Return the daily bars of a ticker, adjusted for all corporate actions, with ten days before them.

        Parameters
        ----------
        ticker : str
            As it was known on the last day: who had it then is the company that is meant.
        first, last : date
            In New York, both included; the last one has closed.

        Returns
        -------
        Answer
            ``{"pages": [...]}``, with a bar for every session from the first one on.

        Raises
        ------
        UnsafeNameError, VendorError
            As `news`.
        IncompleteDataError
            If there is no bar, or none for a session after the first one.
        """
        name = alpaca_ticker(ticker)
        start, end = span(first - OVERLAP, last)
        query = {
            "symbols": name,
            "timeframe": "1Day",
            "adjustment": "all",
            "feed": "sip",
            "asof": last.isoformat(),
            "start": _moment(start),
            "end": _moment(min(end, datetime.now(UTC) - DELAY)),
            "limit": "10000",
            "sort": "asc",
        }
        answer = self._all(
            "/v2/stocks/bars",
            query,
            Chain("bars", name),
            lambda body: read_bars(body, name, first - OVERLAP, last),
            question.span(first, last),
        )
        _check_sessions(bars_in(answer.body, name), name, first, last)
        return answer

    def check(self) -> str:
        """Ask for little, and say what works.

        Raises
        ------
        VendorError
            As `news`.
        """
        ended = calendar.sessions("1990-01-01", datetime.now(UTC).date() - timedelta(days=1))[-5:]
        self.bars("AAPL", ended[0].date(), ended[-1].date())
        query = {"symbols": "AAPL", "limit": "1", "include_content": "false"}
        body = self._connection.answer("/v1beta1/news", query, "AAPL").body
        read_news(body, "AAPL", date(2015, 1, 1), datetime.now(UTC).date() + timedelta(days=1))
        return "Alpaca answers these keys: daily bars and news can be read."

    def _all(
        self,
        path: str,
        query: Mapping[str, str],
        chain: Chain,
        read: Callable[[bytes], NewsPage | BarsPage],
        days: str,
        progress: Progress | None = None,
    ) -> Answer:
        """Follow the pages to their end."""
        bodies: list[bytes] = []
        token: str | None = None
        end = time.monotonic() + self._patience.total
        while len(bodies) < PAGES and time.monotonic() < end:
            more = {"page_token": token} if token else {}
            bodies.append(self._connection.answer(path, {**query, **more}, chain.ticker, days).body)
            token = chain.follow(read(bodies[-1]))
            if progress is not None and (token is None or len(bodies) % 10 == 0):
                progress(f"{chain.ticker}: {len(chain.seen):,} items on {len(bodies)} pages of {chain.kind}")
            if token is None:
                return Answer(joined(bodies), datetime.now(UTC), {"path": path, **query})
        raise IncompleteDataError(
            f"Alpaca's {chain.kind} did not end within {len(bodies)} pages.",
            todo="ask for fewer days at a time.",
            source=f"alpaca {chain.kind}",
            symbol=chain.ticker,
            week=days,
        )


def _moment(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _check_sessions(days: Collection[date], ticker: str, first: date, last: date) -> None:
    """Refuse bars that skip a session, or end before the last one."""
    wanted = [day.date() for day in calendar.sessions(first, last)]
    missing = [day for day in wanted if day not in days and (not days or day > min(days))]
    if missing:
        raise IncompleteDataError(
            f"Alpaca has no bar for {len(missing)} of {len(wanted)} sessions, the first on {missing[0]}.",
            todo="check when that share was traded; if it was, run it again later, or do without the second source.",
            source="alpaca bars",
            symbol=ticker,
            week=question.span(first, last),
        )
