"""Daily bars, dividends and splits from Yahoo, asked through yfinance; no key is needed.

``ALLOCATOR_YAHOO_URL`` may name a server on this machine in Yahoo's place.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from urllib.parse import urlsplit

import pandas as pd

from allocator_pipeline.clients.answer import Answer
from allocator_pipeline.clients.question import endpoint
from allocator_pipeline.clients.vendor import Pace
from allocator_pipeline.config import LOOPBACK
from allocator_pipeline.errors import IncompleteDataError, UnsafeNameError
from allocator_pipeline.market import calendar
from allocator_pipeline.market.live.adjust import growth
from allocator_pipeline.market.live.chart import read_chart, yahoo_ticker
from allocator_pipeline.market.live.completeness import require_whole
from allocator_pipeline.market.live.macro import check_index_days
from allocator_pipeline.market.live.settled import last_settled
from allocator_pipeline.market.source import NEW_YORK
from allocator_pipeline.transport import Patience

URL = "https://query2.finance.yahoo.com"
PATIENCE = Patience(jitter=0.5)

INTERVAL = 2.5
"""Seconds from one request to the next. Yahoo publishes no limit; this is the advice of yfinance's documentation."""

TICKER = re.compile(r"\^?[A-Z0-9]{1,8}([.-][A-Z0-9]{1,3})?")
"""Shorter than an ISIN, which yfinance would look up first."""

PROBE = "AAPL"


class YahooClient:
    """Yahoo's charts.

    Parameters
    ----------
    env : mapping, optional
        Defaults to ``os.environ``.
    patience : Patience, optional
        For one chart.
    now : callable, optional
        The present, with a time zone.

    Raises
    ------
    ConfigurationError
        If ``ALLOCATOR_YAHOO_URL`` names another machine.
    """

    def __init__(
        self,
        env: Mapping[str, str] | None = None,
        patience: Patience | None = None,
        now: Callable[[], pd.Timestamp] = calendar.now,
    ) -> None:
        self._url = endpoint(os.environ if env is None else env, "ALLOCATOR_YAHOO_URL", URL)
        self._patience, self._now = patience or PATIENCE, now
        self._pace = Pace(0.0 if urlsplit(self._url).hostname in LOOPBACK else INTERVAL)

    def bars(self, ticker: str, first: date, last: date) -> Answer:
        """Return the daily chart of a ticker, whole from ``first`` to ``last``.

        The chart goes on to the present, because the splits up to then are what its prices have been divided by; what
        comes after ``last`` may be incomplete. It may begin later than ``first`` if the ticker did.

        Parameters
        ----------
        ticker : str
            Such as ``BRK.B`` or ``^VIX``.
        first, last : date
            Both included.

        Returns
        -------
        Answer
            The body is the chart as JSON, as received (`market.live.chart.read_chart` reads it).

        Raises
        ------
        UnsafeNameError
            If that is no ticker; nothing is asked.
        IncompleteDataError
            If a session is missing (of a yield, more than bonds have holidays), or one up to ``last`` has not settled.
        MarketDataError
            If a dividend is not less than the price of the day before.
        VendorError, VendorRefusedError
            If Yahoo does not answer, refuses, or answers nonsense.
        """
        name = _checked(ticker)
        started = self._now()
        settled, wanted = last_settled(started), calendar.sessions(first, last)
        if wanted.empty or wanted[-1].date() > settled:
            raise IncompleteDataError(
                f"From {first} to {last} there is no session, or one that has not settled yet.",
                todo=f"ask for days up to {settled}.",
                source="yahoo",
                symbol=ticker,
            )
        from allocator_pipeline.clients.yahoo_session import ask_chart

        tomorrow = started.tz_convert(NEW_YORK).date() + timedelta(days=1)
        body, request = ask_chart(self._url, name, first, tomorrow, NEW_YORK, self._patience, self._pace)
        fetched_at = self._now().to_pydatetime()
        chart = read_chart(body, fetched_at, name)
        if ticker.startswith("^"):
            check_index_days(
                set(pd.DatetimeIndex(chart.sessions.index).date), ticker, max(first, chart.first_trade or first), last
            )
        else:
            require_whole(chart, first, last)
        growth(chart.sessions, "yahoo", ticker)  # which refuses what no company can have paid
        return Answer(body, fetched_at, request)

    def check(self) -> str:
        """Ask for a few days of one stock, and say what works."""
        last = last_settled(self._now())
        answer = self.bars(PROBE, last - timedelta(days=7), last)
        chart = read_chart(answer.body, answer.fetched_at)
        day, close = chart.sessions.index[-1], chart.sessions["close"].iloc[-1]
        return f"Yahoo answers without a key: {PROBE} closed at {close:.2f} USD on {day.date()}."


def _checked(ticker: str) -> str:
    if not isinstance(ticker, str) or not TICKER.fullmatch(ticker):
        raise UnsafeNameError(
            f"{str(ticker)[:40]!r} is no ticker.",
            todo="write it in capitals, such as AAPL, BRK.B or ^VIX.",
            source="yahoo",
        )
    return yahoo_ticker(ticker)
