"""Tries, waits, sizes and hosts of single requests, with a clock of the test's own."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx2
import pytest

from allocator_pipeline.errors import HubError
from allocator_pipeline.hub.transport import HubTransport
from allocator_pipeline.transport import Patience

HUB = "https://hub.example"


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now, self.slept = 0.0, []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def client(clock, answer, **patience) -> httpx2.Client:
    inner = httpx2.MockTransport(answer)
    transport = HubTransport(HUB, Patience(**patience), inner, clock.sleep, lambda: clock.now)
    return httpx2.Client(transport=transport, follow_redirects=True)


def answers(*responses):
    """Give one answer after the other, the last one for ever; an exception is raised."""
    left = list(responses)

    def give(request: httpx2.Request) -> httpx2.Response:
        item = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(item, Exception):
            raise item
        return httpx2.Response(item.status_code, headers=item.headers, content=item.content)

    return give


def test_waits_double(clock):
    asking = client(clock, answers(httpx2.Response(500)), tries=4)
    with pytest.raises(HubError, match="answered 500, 4 times"):
        asking.get(f"{HUB}/x")
    assert clock.slept == [1, 2, 4]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "nonsense"}, 1),
        ({"ratelimit": '"api";r=0;t=9'}, 9),
        ({"ratelimit": '"api";r=5;t=9'}, 1),
        ({}, 1),
    ],
)
def test_the_hub_may_ask_for_a_wait(clock, headers, seconds):
    asking = client(clock, answers(httpx2.Response(429, headers=headers), httpx2.Response(200, content=b"ok")))
    assert asking.get(f"{HUB}/x").content == b"ok"
    assert clock.slept == [seconds]


def test_a_wait_may_be_a_date(clock):
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    asking = client(clock, answers(httpx2.Response(503, headers={"retry-after": later}), httpx2.Response(200)))
    asking.get(f"{HUB}/x")
    assert 20 < clock.slept[0] <= 30


@pytest.mark.parametrize("text", ["61", "9" * 400])
def test_nobody_waits_for_hours(clock, text):
    asking = client(clock, answers(httpx2.Response(429, headers={"retry-after": text})))
    with pytest.raises(HubError, match="asks to wait"):
        asking.get(f"{HUB}/x")
    assert clock.slept == []


@pytest.mark.parametrize(
    "error", [httpx2.ConnectError("no"), httpx2.ReadTimeout("slow"), httpx2.RemoteProtocolError("?")]
)
def test_connections_that_break_are_tried_again(clock, error):
    asking = client(clock, answers(error, error, httpx2.Response(200, content=b"ok")))
    assert asking.get(f"{HUB}/x").content == b"ok"


def test_a_conflict_in_progress_is_bounded(clock):
    busy = httpx2.Response(409, content=b"another conflicting operation is in progress")
    with pytest.raises(HubError, match="409"):
        client(clock, answers(busy)).post(f"{HUB}/x")
    assert client(clock, answers(httpx2.Response(409))).post(f"{HUB}/x").status_code == 409


def test_a_body_that_is_a_stream_is_sent_whole_again(clock):
    seen = []

    def give(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.read())
        return httpx2.Response(200 if len(seen) == 3 else 500)

    def body() -> Iterator[bytes]:
        yield b"half "
        yield b"and half"

    client(clock, give).put(f"{HUB}/x", content=body())
    assert seen == [b"half and half"] * 3


def test_an_endless_or_inflated_answer_is_refused(clock):
    bomb = gzip.compress(bytes(10**6))

    def give(request: httpx2.Request) -> httpx2.Response:
        headers = {"content-encoding": "gzip"} if request.url.path == "/bomb" else {}
        content = bomb if request.url.path == "/bomb" else bytes(10**6)
        return httpx2.Response(200, headers=headers, stream=httpx2.ByteStream(content))

    for path in ("bomb", "long"):
        with pytest.raises(HubError, match="sends more than"):
            client(clock, give, max_bytes=10**5).get(f"{HUB}/{path}")


def test_a_slow_drip_ends(clock):
    class Drip(httpx2.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            while True:
                clock.now += 20
                yield b"x"

    with pytest.raises(HubError, match="ReadTimeout"):
        client(clock, lambda request: httpx2.Response(200, stream=Drip()), tries=2).get(f"{HUB}/x")


def test_a_session_is_bounded(clock):
    asking = client(clock, answers(httpx2.Response(200)), calls=3)
    for _ in range(3):
        asking.get(f"{HUB}/x")
    with pytest.raises(HubError, match="used up"):
        asking.get(f"{HUB}/x")
    late = client(clock, answers(httpx2.Response(200)), total=5)
    clock.now += 6
    with pytest.raises(HubError, match="used up"):
        late.get(f"{HUB}/x")


def test_the_token_stays_at_home(clock):
    seen = {}

    def give(request: httpx2.Request) -> httpx2.Response:
        seen[request.url.host] = request.headers.get("authorization")
        return httpx2.Response(200)

    asking = client(clock, give)
    for host in ("hub.example", "cdn.example"):
        asking.get(f"https://{host}/x", headers={"authorization": "Bearer hf_canary"})
    assert seen == {"hub.example": "Bearer hf_canary", "cdn.example": None}


@pytest.mark.parametrize(
    "elsewhere", ["http://cdn.example/x", "http://hub.example/x", "http://127.0.0.1/x", "http://169.254.1.1/x"]
)
def test_a_redirect_in_clear_is_not_followed(clock, elsewhere):
    asking = client(clock, answers(httpx2.Response(302, headers={"location": elsewhere})))
    with pytest.raises(HubError, match="no https"):
        asking.get(f"{HUB}/x")


def test_an_error_shows_no_signature(clock):
    with pytest.raises(HubError) as caught:
        client(clock, answers(httpx2.Response(500))).get(f"{HUB}/x?X-Amz-Signature=canary")
    assert "canary" not in str(caught.value)
