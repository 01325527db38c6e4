"""Ask FRED for economic series: market series as they are, all others as first released.

The interface is ``fred/series/observations`` (https://fred.stlouisfed.org/docs/api/fred/series_observations.html).
A series that is revised is asked for over all of real time with output type 4, so that each value comes as first
released and with the day of that. FRED refuses this for more than 2000 releases, which daily series have; daily market
series are not revised.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import date, timedelta
from typing import ClassVar

from allocator_pipeline.clients.answer import Answer
from allocator_pipeline.clients.question import checked, endpoint, secret, span
from allocator_pipeline.clients.vendor import Connection, Pace, VendorTransport
from allocator_pipeline.errors import VendorRefusedError
from allocator_pipeline.market import calendar
from allocator_pipeline.market.live.macro import (
    INITIAL_RELEASES,
    MARKET_SERIES,
    VENDOR,
    check_market_days,
    read_observations,
)
from allocator_pipeline.transport import Patience

URL = "https://api.stlouisfed.org"
PATH = "/fred/series/observations"
INTERVAL = 0.6
"""Seconds between requests; FRED allows 120 a minute."""

REAL_TIME = {"realtime_start": "1776-07-04", "realtime_end": "9999-12-31"}
"""All of real time, in FRED's terms."""

_SERIES = re.compile(r"[A-Z0-9_]{1,40}")


class FredTransport(VendorTransport):
    """Sends requests to FRED within a `Patience`."""

    keys: ClassVar[str] = "check FRED_API_KEY."


class FredClient:
    """FRED's observations.

    Parameters
    ----------
    env : mapping, optional
        Defaults to ``os.environ``. ``FRED_API_KEY``; ``ALLOCATOR_FRED_URL`` for a server on this machine.
    patience : Patience, optional
        With one request.

    Raises
    ------
    ConfigurationError
        If the key is not set, or the address is another host's.
    """

    def __init__(self, env: Mapping[str, str] | None = None, patience: Patience | None = None) -> None:
        env = os.environ if env is None else env
        todo = "set it to your key from https://fredaccount.stlouisfed.org/apikeys."
        self._connection = Connection(
            endpoint(env, "ALLOCATOR_FRED_URL", URL),
            FredTransport,
            patience,
            Pace(INTERVAL),
            parameters={"api_key": secret(env, "FRED_API_KEY", todo)},
        )

    def observations(self, series: str, first: date, last: date) -> Answer:
        """Return the observations of a span (`market.live.macro.read_observations`).

        Parameters
        ----------
        series : str
            Such as ``"VIXCLS"``.
        first, last : date
            Both included.

        Raises
        ------
        UnsafeNameError
            If no series can be called that.
        VendorRefusedError
            If FRED refuses the key.
        VendorError, IncompleteDataError
            If there is no whole answer (`market.live.macro.check_market_days` says what a market series must have).
        """
        market = checked(series, "series", _SERIES) in MARKET_SERIES
        asked = {
            "series_id": series,
            "file_type": "json",
            "observation_start": first.isoformat(),
            "observation_end": last.isoformat(),
            **({} if market else {**REAL_TIME, "output_type": str(INITIAL_RELEASES)}),
        }
        days = span(first, last)
        status, answer = self._connection.ask(PATH, asked, series, days)
        if status == 400 and b"api_key" in answer.body:
            raise VendorRefusedError(
                "FRED refuses the key.", todo=FredTransport.keys, source=VENDOR, symbol=series, week=days
            )
        if status != 200:
            raise self._connection.unexpected(status, PATH, series, days)
        observations = read_observations(answer.body, series)
        if market:
            today = answer.fetched_at.date()
            check_market_days(observations, series, first, min(last, today), today)
        return answer

    def check(self) -> str:
        """Ask for a month of ten-year yields, and say in one sentence what works."""
        today = calendar.now().date()
        answer = self.observations("DGS10", today - timedelta(days=30), today)
        return f"{VENDOR} answers: it has {len(read_observations(answer.body, 'DGS10'))} days of DGS10."
