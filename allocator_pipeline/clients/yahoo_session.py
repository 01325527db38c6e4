"""What lies below yfinance: a session that sends nothing but the chart, within a patience, and keeps the answer.

yfinance knows how Yahoo is asked. When it fails it raises nothing and returns an empty frame, so its frames are not
even made: what Yahoo answered is taken here. It would also fetch a cookie and a crumb, which the chart does not need;
that is not sent. Nor does it keep anything on disk: one of its caches is a pickle.

This module takes half a second to import; import it inside functions.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from datetime import date
from typing import Any, ClassVar
from urllib.parse import urlsplit

import httpx2
import yfinance
from curl_cffi import CurlOpt
from curl_cffi.curl import CURL_WRITEFUNC_ERROR
from curl_cffi.requests import Response, Session
from curl_cffi.requests.exceptions import DNSError, RequestException, Timeout

from allocator_pipeline.clients.vendor import Pace, VendorTransport, kind_of
from allocator_pipeline.config import LOOPBACK
from allocator_pipeline.errors import AllocatorError, NothingThereError, VendorError
from allocator_pipeline.market.live.macro import OTHER_SERIES
from allocator_pipeline.market.membership import OUT_OF_THE_LIST
from allocator_pipeline.transport import Patience

CHART = "/v8/finance/chart/"

_ONE_AT_A_TIME = threading.Lock()
"""yfinance has one session for the whole process."""

# Its caches cannot be created there and are therefore off, which is how yfinance itself treats a read-only home.
yfinance.set_tz_cache_location(os.path.join(os.devnull, "none"))
logging.getLogger("yfinance").addHandler(logging.NullHandler())
logging.getLogger("yfinance").propagate = False
logging.getLogger("yfinance").setLevel(logging.CRITICAL + 1)


def ask_chart(
    endpoint: str, ticker: str, first: date, end: date, zone: str, patience: Patience, pace: Pace
) -> tuple[bytes, dict[str, str]]:
    """Ask for the daily chart of a ticker through yfinance.

    Parameters
    ----------
    endpoint : str
        Address of Yahoo, or of a server on this machine.
    ticker : str
        As Yahoo writes it.
    first, end : date
        The first day, and the day after the last.
    zone : str
        Time zone in which these days begin.
    patience : Patience
    pace : Pace
        That of all requests to Yahoo.

    Returns
    -------
    bytes, dict of str to str
        The body as it came, and path and parameters of the request.

    Raises
    ------
    VendorError, VendorRefusedError
        If Yahoo does not answer with a chart, or refuses.
    """
    with _ONE_AT_A_TIME, _Recorder(endpoint, patience, pace, ticker) as session:
        asked = yfinance.Ticker(ticker, session=session)
        asked._tz = zone  # else it asks Yahoo for it, once more for each ticker
        try:
            asked.history(start=first, end=end, interval="1d", auto_adjust=False, actions=True)
        except _Answered as answered:
            return answered.body, session.asked
        except _Failed as failed:
            raise failed.error from None
        raise _failed("was not asked by yfinance", ticker)


class _Answered(BaseException):
    """Ends what yfinance does with the answer: nobody reads its frame. No `Exception`, for it holds these back."""

    def __init__(self, body: bytes) -> None:
        self.body = body


class _Failed(BaseException):
    """The same with an error."""

    def __init__(self, error: AllocatorError) -> None:
        self.error = error


class YahooTransport(VendorTransport):
    """Sends requests to Yahoo within a `Patience`."""

    credential: ClassVar[str] = "cookie"
    keys: ClassVar[str] = "wait some hours, or install a newer yfinance: no key of yours is asked for."


class _Recorder(Session[Response]):
    """The session that yfinance is given: one chart, asked for once."""

    def __init__(self, endpoint: str, patience: Patience, pace: Pace, ticker: str) -> None:
        local = urlsplit(endpoint).hostname in LOOPBACK
        # no proxy between us and a server on this machine
        options = {CurlOpt.NOPROXY: "*"} if local else {}
        super().__init__(impersonate="chrome", allow_redirects=False, curl_options=options)
        self.endpoint, self.ticker = endpoint, ticker
        self.transport = YahooTransport(endpoint, patience, _Curl(super().request, pace, patience.max_bytes))
        self.asked: dict[str, str] = {}

    def request(self, method: Any, url: str, params: Any = None, **_: Any) -> Response:  # type: ignore[override]
        """Send the request for the chart, and no other."""
        parts = urlsplit(url)
        home = parts.scheme == "https" and (parts.hostname or "").endswith(".yahoo.com")
        wanted = home and method == "GET" and parts.path.startswith(CHART) and "period1" in (params or {})
        if not wanted:
            raise DNSError("not asked")  # what yfinance takes for a blocked host, and goes on without
        asked = {name: str(value) for name, value in params.items() if name != "crumb"}
        self.asked = {"path": parts.path, **asked}
        request = httpx2.Request("GET", f"{self.endpoint}{parts.path}", params=asked)
        try:
            answer = self.transport.handle_request(request)
            if answer.status_code in (400, 404):
                raise _nothing(answer.status_code, self.ticker)
            if answer.status_code != 200:
                raise _failed(_why(answer.status_code), self.ticker, kind_of(answer.status_code))
        except AllocatorError as error:
            kind = type(error)
            raise _Failed(kind(error.problem, todo=error.todo, source=error.source, symbol=self.ticker)) from None
        raise _Answered(answer.content)


class _Curl(httpx2.BaseTransport):
    """Sends a request once, as a browser would: Yahoo turns others away."""

    def __init__(self, send: Callable[..., Response], pace: Pace, max_bytes: int) -> None:
        self._send, self._pace, self._max_bytes = send, pace, max_bytes

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self._pace.wait()
        times, body = request.extensions["timeout"], bytearray()

        def take(piece: bytes) -> int:
            body.extend(piece)  # unpacked
            return len(piece) if len(body) <= self._max_bytes else CURL_WRITEFUNC_ERROR

        try:
            answer = self._send(
                "GET", str(request.url), timeout=(times["connect"], times["read"]), content_callback=take
            )
        except Timeout:
            raise httpx2.ReadTimeout("no answer in time", request=request) from None
        except RequestException:
            if len(body) <= self._max_bytes:
                raise httpx2.ReadError("no whole answer", request=request) from None
            return httpx2.Response(200, content=bytes(body))  # too large, which is for the patience to say
        wait = answer.headers.get("retry-after")
        return httpx2.Response(
            answer.status_code, headers={} if wait is None else {"retry-after": wait}, content=bytes(body)
        )


def _why(status: int) -> str:
    return f"answers with status {status}" + (", a redirect, which is not followed" if 300 <= status < 400 else "")


def _nothing(status: int, ticker: str) -> NothingThereError:
    todo = f"{OUT_OF_THE_LIST}: Yahoo drops most of what is no longer listed, and knows present tickers only."
    return NothingThereError(
        f"Yahoo has nothing of that ticker in that span (status {status}).",
        todo=f"run it again later, {OTHER_SERIES}." if ticker.startswith("^") else todo,
        source="yahoo",
        symbol=ticker,
    )


def _failed(why: str, ticker: str, kind: type[VendorError] = VendorError) -> VendorError:
    return kind(
        f"Yahoo {why}.",
        todo="look whether it is the ticker of those days; else run it again later.",
        source="yahoo",
        symbol=ticker,
    )
