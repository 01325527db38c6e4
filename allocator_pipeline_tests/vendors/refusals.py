"""What every client's failure has to be: one typed error, bounded, with nothing stored and no key shown."""

from __future__ import annotations

import contextlib
import io
import logging
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from allocator_pipeline.clients.answer import Answer
from allocator_pipeline.errors import AllocatorError, IncompleteDataError, VendorError
from allocator_pipeline.market.raw import RawKey, RawStore
from allocator_pipeline.transport import Patience
from allocator_pipeline_tests.vendors.server import VendorServer

QUICK = Patience(
    tries=2,
    wait=0.001,
    longest_wait=0.01,
    connect=5.0,
    read=5.0,
    call=5.0,
    total=10.0,
    calls=20,
    max_bytes=4 * 2**20,
)
"""Does not wait between tries; what is sent at all arrives in this time, on a busy machine too."""

HASTY = replace(QUICK, read=0.2, call=0.3)
"""For servers that send nothing, or hardly anything."""

SECONDS = 15.0


def refused(
    server: VendorServer,
    ask: Callable[[], Answer],
    root: Path,
    secrets: tuple[str, ...],
    tries: int | None = None,
) -> AllocatorError:
    """Ask a server that goes wrong, put the answer into a store, and return the error that comes in its place.

    Parameters
    ----------
    server : VendorServer
        With its faults set.
    ask : callable
    root : Path
        Of a raw store that nothing may be in afterwards.
    secrets : tuple of str
        What may be in no text.
    tries : int, optional
        Most requests; None for those of `QUICK`.
    """
    before, started = len(server.requests), time.monotonic()
    with shown() as log, pytest.raises((VendorError, IncompleteDataError)) as caught:
        _fetch(ask, RawStore(root))
    assert time.monotonic() - started < SECONDS
    assert 1 <= len(server.requests) - before <= (QUICK.tries if tries is None else tries)
    assert list(root.rglob("*")) == []
    error = caught.value
    assert error.todo
    assert error.source
    assert error.symbol
    trace = "".join(traceback.TracebackException.from_exception(error, capture_locals=False).format())
    for text in (str(error), repr(error), repr(error.__dict__), trace, log.getvalue()):
        for secret in secrets:
            assert secret not in text
    return error


def _fetch(ask: Callable[[], Answer], store: RawStore) -> None:
    answer = ask()
    store.put(
        RawKey("vendor", "kind", "name"),
        answer.body,
        fetched_at=answer.fetched_at,
        first=date(2020, 1, 1),
        last=date(2020, 1, 2),
        request=answer.request,
    )


@contextlib.contextmanager
def shown() -> Iterator[io.StringIO]:
    """Yield everything that any library logs, at every level."""
    stream = io.StringIO()
    handler, root = logging.StreamHandler(stream), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield stream
    finally:
        root.setLevel(level)
        root.removeHandler(handler)
