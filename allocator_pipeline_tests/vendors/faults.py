"""How any vendor fails, whatever it sells: for each client's tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from allocator_pipeline_tests.vendors.server import Fault, Reply

HTML = {"Content-Type": "text/html"}
ELSEWHERE = "http://127.0.0.2:9/elsewhere"


@dataclass(frozen=True)
class Case:
    """A fault that lasts, and how often one request may be sent because of it.

    Parameters
    ----------
    name : str
    fault : callable
        Makes it anew.
    tries : int or None
        How many requests at most; None for those that a client's `Patience` allows.
    answer_of : str or None
        The vendor for which that is no fault: so it says that it has nothing of a name.
    """

    name: str
    fault: Callable[[], Fault]
    tries: int | None = None
    answer_of: str | None = None


def _reply(body: bytes = b"", status: int = 200, **headers: str) -> Callable[[], Fault]:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda: Fault(reply=Reply(body, status, {"Content-Type": "application/json", **names}))


CASES = (
    Case("429", _reply(b"{}", 429)),
    Case("429 with a short Retry-After", _reply(b"{}", 429, Retry_After="0")),
    Case("429 with a Retry-After of an hour", _reply(b"{}", 429, Retry_After="3600"), tries=1),
    Case("429 with a Retry-After of nonsense", _reply(b"{}", 429, Retry_After="soon")),
    Case("500", _reply(b"{}", 500)),
    Case("502 as a page", _reply(b"<html>Bad gateway</html>", 502, **HTML)),
    Case("503", _reply(b"", 503)),
    Case("401", _reply(b'{"message": "unauthorized"}', 401), tries=1),
    Case("403", _reply(b'{"message": "forbidden"}', 403), tries=1),
    Case("404", _reply(b"{}", 404), tries=1),
    Case("hang", lambda: Fault("hang")),
    Case("reset", lambda: Fault("reset")),
    Case("drip", lambda: Fault("drip")),
    Case("truncate", lambda: Fault("truncate")),
    Case("bomb", lambda: Fault("bomb")),
    Case("empty body", _reply(b"")),
    Case("truncated JSON in a whole answer", lambda: Fault("change", change=lambda body: body[: len(body) // 2])),
    Case("page", _reply(b"<!doctype html><title>Sorry</title>", **HTML)),
    Case("null", _reply(b"null")),
    Case("empty object", _reply(b"{}"), answer_of="alphavantage"),
    Case("empty list", _reply(b"[]")),
    Case("wrong schema", _reply(b'{"data": {"rows": 3}}')),
    Case("deep nesting", _reply(b"[" * 100_000)),
    Case("not UTF-8", _reply(b'{"\xff\xfe": 1}')),
    Case("redirect to another host", _reply(b"", 302, Location=ELSEWHERE)),
    Case("permanent redirect to another host", _reply(b"", 308, Location=ELSEWHERE)),
)
"""Each ends in one typed error within bounded tries and time; nothing is recorded as fetched."""
