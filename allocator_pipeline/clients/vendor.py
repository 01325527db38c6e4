"""How a vendor of data is asked: with its keys, at its pace, and what is not an answer.

A key is put into a request below everything that could log, keep or show that request.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import ClassVar
from urllib.parse import urlsplit

import httpx2

from allocator_pipeline.clients.answer import Answer
from allocator_pipeline.config import LOOPBACK
from allocator_pipeline.errors import (
    AllocatorError,
    NothingThereError,
    VendorDownError,
    VendorError,
    VendorRefusedError,
)
from allocator_pipeline.transport import Patience, PatientTransport

PATIENCE = Patience(jitter=0.5)


HEADERS = {"User-Agent": "allocator_pipeline", "Accept": "application/json"}
"""Sent unless a client has its own: some hosts refuse a caller that does not say what it is."""


class VendorTransport(PatientTransport):
    """Sends requests to a vendor within a `Patience`."""

    error: ClassVar[type[AllocatorError]] = VendorError
    refusal: ClassVar[type[AllocatorError]] = VendorRefusedError
    down: ClassVar[type[AllocatorError] | None] = VendorDownError


def kind_of(status: int) -> type[VendorError]:
    """Return the kind of error for a status that is no answer: only 4xx is about what was asked for."""
    if status == 404:
        return NothingThereError
    return VendorError if 400 <= status < 500 else VendorDownError


class Pace:
    """Keeps requests apart, whichever thread sends them.

    Parameters
    ----------
    seconds : float
        From one request to the next, at least.
    sleep, clock : callable
        For tests.
    """

    def __init__(
        self,
        seconds: float,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seconds, self._sleep, self._clock = seconds, sleep, clock
        self._next, self._lock = float("-inf"), threading.Lock()

    def wait(self) -> None:
        """Wait until the next request may be sent."""
        with self._lock:
            now = self._clock()
            if now < self._next:
                self._sleep(self._next - now)
            self._next = max(now, self._next) + self._seconds


class _Keyed(httpx2.BaseTransport):
    """Adds the keys to a copy of each request, at a vendor's pace."""

    def __init__(
        self, inner: httpx2.BaseTransport, parameters: Mapping[str, str], headers: Mapping[str, str], pace: Pace
    ) -> None:
        self._inner, self._parameters, self._headers, self._pace = inner, parameters, headers, pace

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self._pace.wait()
        keyed = httpx2.Request(
            request.method,
            request.url.copy_merge_params(self._parameters),
            headers={**request.headers, **self._headers},
            extensions=request.extensions,
        )
        return self._inner.handle_request(keyed)

    def close(self) -> None:
        self._inner.close()


@lru_cache(maxsize=2)
def _trusted(trust_env: bool) -> ssl.SSLContext:
    return httpx2.create_ssl_context(trust_env=trust_env)  # reads every root certificate, which takes a while


class Connection:
    """One address of a vendor.

    Neither redirects nor cookies nor proxies are followed.

    Parameters
    ----------
    url : str
        As `clients.question.endpoint` returns it.
    transport : type of VendorTransport
    patience : Patience or None
        Of one question; None for `PATIENCE`.
    pace : Pace
        Used for a vendor's own host only: a server on this machine is asked as fast as it answers.
    parameters, headers : mapping of str to str, optional
        What is secret, or personal: sent with every request and shown nowhere.
    """

    def __init__(
        self,
        url: str,
        transport: type[VendorTransport],
        patience: Patience | None,
        pace: Pace,
        parameters: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        local = urlsplit(url).hostname in LOOPBACK
        self._url, self._transport, self._patience = url, transport, patience or PATIENCE
        # questions are seconds apart: a connection that is kept open would only be one that nobody closes
        inner = httpx2.HTTPTransport(
            verify=_trusted(not local), trust_env=not local, limits=httpx2.Limits(max_keepalive_connections=0)
        )
        self._keyed = _Keyed(inner, parameters or {}, {**HEADERS, **(headers or {})}, Pace(0.0) if local else pace)

    def ask(self, path: str, parameters: Mapping[str, str], name: str, days: str | None = None) -> tuple[int, Answer]:
        """Send one question, and return the status and what came.

        Parameters
        ----------
        path : str
        parameters : mapping of str to str
            Without keys.
        name : str
            Symbol or series that it is about, for errors.
        days : str, optional
            The days that it is about, for errors.

        Raises
        ------
        VendorDownError
            If there is no whole answer within the patience.
        VendorError
            If it is too large.
        VendorRefusedError
            If the vendor refuses the key (401, 403).
        """
        # a question has a patience of its own: a client may live for as many questions as there are symbols
        patient = self._transport(self._url, self._patience, self._keyed)
        request = httpx2.Request("GET", self._url + path, params=dict(parameters))
        try:
            response = patient.handle_request(request)
        except AllocatorError as error:
            failure: AllocatorError = type(error)(
                error.problem, todo=error.todo, source=error.source, symbol=name, week=days
            )
        except httpx2.HTTPError as error:  # such as an answer that cannot be unpacked
            failure = VendorDownError(
                f"{request.url.host} sends what cannot be read ({type(error).__name__}).",
                todo="run it again later.",
                source=self._url + path,
                symbol=name,
                week=days,
            )
        else:
            asked = {"path": path, **parameters}
            return response.status_code, Answer(response.content, datetime.now(UTC), asked)
        raise failure  # here, so that the first error, which may hold the request, is not its context

    def answer(self, path: str, parameters: Mapping[str, str], name: str, days: str | None = None) -> Answer:
        """Send one question, and return the answer if the status is 200.

        Raises
        ------
        VendorError, VendorRefusedError
            As `ask`; also for any other status. A redirect is one of these.
        """
        status, answer = self.ask(path, parameters, name, days)
        if status != 200:
            raise self.unexpected(status, path, name, days)
        return answer

    def unexpected(self, status: int, path: str, name: str, days: str | None = None) -> VendorError:
        """Return the error for a status that is no answer, of the kind that `kind_of` says."""
        why = "which is not followed" if 300 <= status < 400 else "which is no answer"
        return kind_of(status)(
            f"{urlsplit(self._url).hostname} answered {status}, {why}.",
            todo="check that the vendor knows that name; run it again later.",
            source=self._url + path,
            symbol=name,
            week=days,
        )
