"""How every request to the Hub is sent: few tries, bounded time and size, and the token to one host only.

`huggingface_hub` retries some of its calls without a limit to the wait that the server asks for, and others not at
all; most have no timeout. It lets one give it an HTTP client, and this is the transport below that client, so that one
rule holds for all calls: what may pass is tried again here, and what does not pass ends here in one typed error.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx2
from huggingface_hub.utils import parse_ratelimit_headers

from allocator_pipeline.config import LOOPBACK
from allocator_pipeline.errors import HubError
from allocator_pipeline.registry.artifacts import MAX_FILE_BYTES

PASSING = (408, 425, 429, 500, 502, 503, 504)
"""Answers after which the same request may succeed."""

REFUSED = {401: "refuses the token, or wants one", 403: "does not allow that with this token"}


@dataclass(frozen=True)
class Patience:
    """What is given to the Hub before it is an error.

    Parameters
    ----------
    tries : int
        Of one request.
    wait, longest_wait : float
        Seconds before the second try, doubled before each later one; and the longest ``Retry-After`` that is obeyed.
    connect, read : float
        Seconds for a connection and for each piece of an answer.
    call, total : float
        Seconds for one answer as a whole, and for all requests of a session.
    calls : int
        Requests of a session.
    max_bytes : int
        Size of one answer, unpacked.
    """

    tries: int = 4
    wait: float = 1.0
    longest_wait: float = 60.0
    connect: float = 10.0
    read: float = 30.0
    call: float = 300.0
    total: float = 1200.0
    calls: int = 2000
    max_bytes: int = MAX_FILE_BYTES + 2**20


class PatientTransport(httpx2.BaseTransport):
    """Sends requests within a `Patience`.

    Parameters
    ----------
    endpoint : str
        The Hub's address. Requests to another host carry no token, and must be https.
    patience : Patience
    inner : httpx2.BaseTransport
        Sends one request once.
    sleep, clock : callable
        For tests.
    """

    def __init__(
        self,
        endpoint: str,
        patience: Patience,
        inner: httpx2.BaseTransport,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._home, self._patience, self._inner = httpx2.URL(endpoint), patience, inner
        self._sleep, self._clock = sleep, clock
        self._end, self._left = clock() + patience.total, patience.calls

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Return the whole answer, already read.

        Raises
        ------
        HubError
            If the Hub refuses (401, 403), or tries, time or size are used up.
        """
        self._check_host(request)
        request.read()  # a body that is a stream could not be sent twice
        request.headers["accept-encoding"] = "identity"
        wait, why = self._patience.wait, ""
        for number in range(1, self._patience.tries + 1):
            self._count(request)
            try:
                response = self._once(request)
            except httpx2.TransportError as error:
                why, asked = f"broke off ({type(error).__name__})", None
            else:
                if response.status_code in REFUSED:
                    raise _error(request, REFUSED[response.status_code], "check HF_TOKEN and the repository's name.")
                if not _passing(response):
                    return response
                why, asked = f"answered {response.status_code}", _asked_wait(response)
            pause = wait if asked is None else max(asked, 0.0)
            if pause > self._patience.longest_wait:
                raise _error(request, f"{why} and asks to wait {pause:.0f} s", "run it again after that time.")
            if number < self._patience.tries:
                self._sleep(pause)
                wait *= 2
        raise _error(request, f"{why}, {self._patience.tries} times", "run it again later.")

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()

    def _check_host(self, request: httpx2.Request) -> None:
        url, home = request.url, self._home
        if (url.scheme, url.host, url.port) == (home.scheme, home.host, home.port):
            return
        request.headers.pop("authorization", None)
        if url.scheme != "https" and not (home.host in LOOPBACK and url.host in LOOPBACK):
            raise _error(request, "was named by the Hub and is no https address", "report it to the Hub.")

    def _count(self, request: httpx2.Request) -> None:
        self._left -= 1
        if self._left < 0 or self._clock() > self._end:
            raise _error(request, "has used up the time or the requests of one session", "run it again later.")

    def _once(self, request: httpx2.Request) -> httpx2.Response:
        patience = self._patience
        request.extensions = {
            **request.extensions,
            "timeout": {"connect": patience.connect, "read": patience.read, "write": patience.read, "pool": None},
        }
        end, body = self._clock() + patience.call, bytearray()
        response = self._inner.handle_request(request)
        try:
            for piece in response.iter_bytes():
                body += piece
                if len(body) > patience.max_bytes:
                    raise _error(request, f"sends more than {patience.max_bytes} bytes", "look at the repository.")
                if self._clock() > end:
                    raise httpx2.ReadTimeout("the answer takes too long", request=request)
        finally:
            response.close()
        headers = httpx2.Headers([pair for pair in response.headers.multi_items() if pair[0].lower() not in _HOP])
        return httpx2.Response(response.status_code, headers=headers, content=bytes(body), request=request)


_HOP = ("content-encoding", "content-length", "transfer-encoding")
"""Headers that describe how an answer was sent, not what it holds."""


def _passing(response: httpx2.Response) -> bool:
    # a 409 of this kind is what huggingface_hub itself would try again without end
    return response.status_code in PASSING or (response.status_code == 409 and b"in progress" in response.content)


def _asked_wait(response: httpx2.Response) -> float | None:
    """Return the seconds that the server asks to wait: ``Retry-After`` in both its forms, or the rate limit's."""
    text = response.headers.get("retry-after", "").strip()
    if text.isdecimal():
        return float(text[:9])
    try:
        return (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
    except (TypeError, ValueError):
        limit = parse_ratelimit_headers(response.headers)
        return float(limit.reset_in_seconds) if limit is not None and limit.remaining == 0 else None


def _error(request: httpx2.Request, why: str, todo: str) -> HubError:
    url = request.url.copy_with(query=None, userinfo=b"")  # a query may hold a signature
    return HubError(f"{url.host} {why}.", todo=todo, source=f"{request.method} {url}")
