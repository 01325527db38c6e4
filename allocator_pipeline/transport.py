"""How requests are sent over HTTP: few tries, bounded time and size, and what is secret to one host only.

What may pass is tried again here, and what does not pass ends here in one typed error that holds no secret: neither
query nor headers are ever part of it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import ClassVar

import httpx2

from allocator_pipeline.config import LOOPBACK
from allocator_pipeline.errors import AllocatorError

PASSING = (408, 425, 429, 500, 502, 503, 504)
"""Answers after which the same request may succeed."""

REFUSED = (401, 403)
"""Answers to keys that are wrong, or may not do that: never tried again."""


@dataclass(frozen=True)
class Patience:
    """What is given to a server before it is an error.

    Parameters
    ----------
    tries : int
        Of one request.
    wait, longest_wait : float
        Seconds before the second try, doubled before each later one; and the longest ``Retry-After`` that is obeyed.
    jitter : float
        Greatest share by which a wait of our own is stretched at random, so that many clients do not return at once.
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
    jitter: float = 0.0
    connect: float = 10.0
    read: float = 30.0
    call: float = 300.0
    total: float = 1200.0
    calls: int = 2000
    max_bytes: int = 64 * 2**20


class PatientTransport(httpx2.BaseTransport):
    """Sends requests within a `Patience`.

    Parameters
    ----------
    endpoint : str
        The server's address. A request to another host is refused, unless a subclass allows it.
    patience : Patience
    inner : httpx2.BaseTransport
        Sends one request once.
    sleep, clock : callable
        For tests.
    """

    error: ClassVar[type[AllocatorError]] = AllocatorError
    refusal: ClassVar[type[AllocatorError]] = AllocatorError
    """Raised for `REFUSED`."""

    down: ClassVar[type[AllocatorError] | None] = None
    """Raised where no answer has come when tries or time are used up; None for `error`."""

    credential: ClassVar[str] = "key"
    """What the server wants to know who asks."""

    keys: ClassVar[str] = "check the keys."
    """What to do about a refusal."""

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
        AllocatorError
            Of the kinds of the class: if the server refuses (401, 403), or tries, time or size are used up.
        """
        url, home = request.url, self._home
        if (url.scheme, url.host, url.port) != (home.scheme, home.host, home.port):
            self._check_foreign(request)
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
                    refuses, forbids = f"refuses the {self.credential}, or wants one", "does not allow that"
                    why = refuses if response.status_code == 401 else f"{forbids} with the {self.credential}"
                    raise self._failure(request, why, self.keys, self.refusal)
                if not self._passing(response):
                    return response
                why, asked = f"answered {response.status_code}", self._asked_wait(response)
            # not a draw that any result depends on
            pause = wait * (1 + self._patience.jitter * random.random()) if asked is None else max(asked, 0.0)  # noqa: S311
            if pause > self._patience.longest_wait:
                asks = f"{why} and asks to wait {pause:.0f} s"
                raise self._failure(request, asks, "run it again after that time.", self.down)
            if number < self._patience.tries:
                self._sleep(pause)
                wait *= 2
        raise self._failure(request, f"{why}, {self._patience.tries} times", "run it again later.", self.down)

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()

    def _check_foreign(self, request: httpx2.Request) -> None:
        raise self._failure(request, "is another host than the one asked, and is not asked", "report it to the vendor.")

    def _passing(self, response: httpx2.Response) -> bool:
        return response.status_code in PASSING

    def _asked_wait(self, response: httpx2.Response) -> float | None:
        """Return the seconds that the server asks to wait: ``Retry-After`` in both its forms."""
        text = response.headers.get("retry-after", "").strip()
        if text.isdecimal():
            return float(text[:9])
        try:
            return (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
        except (TypeError, ValueError):
            return None

    def _count(self, request: httpx2.Request) -> None:
        self._left -= 1
        if self._left < 0 or self._clock() > self._end:
            used_up = "has used up the time or the requests of one session"
            raise self._failure(request, used_up, "run it again later.", self.down)

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
                    raise self._failure(
                        request, f"sends more than {patience.max_bytes} bytes", "look at what it sends."
                    )
                if self._clock() > end:
                    raise httpx2.ReadTimeout("the answer takes too long", request=request)
        finally:
            response.close()
        headers = httpx2.Headers([pair for pair in response.headers.multi_items() if pair[0].lower() not in _HOP])
        return httpx2.Response(response.status_code, headers=headers, content=bytes(body), request=request)

    def _failure(
        self, request: httpx2.Request, why: str, todo: str, kind: type[AllocatorError] | None = None
    ) -> AllocatorError:
        url = request.url.copy_with(query=None, userinfo=b"")  # a query may hold a key or a signature
        return (kind or self.error)(f"{url.host} {why}.", todo=todo, source=f"{request.method} {url}")


def foreign_is_safe(request: httpx2.Request, home: httpx2.URL) -> bool:
    """Tell whether a request to another host is encrypted, or stays on this machine."""
    return request.url.scheme == "https" or (home.host in LOOPBACK and request.url.host in LOOPBACK)


_HOP = ("content-encoding", "content-length", "transfer-encoding")
"""Headers that describe how an answer was sent, not what it holds."""
