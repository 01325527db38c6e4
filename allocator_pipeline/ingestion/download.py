"""Download what is missing: one question after the other, each answer kept at once, all failures told at the end."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby

from allocator_pipeline.clients.answer import Answer
from allocator_pipeline.errors import (
    AllocatorError,
    ConfigurationError,
    StorageError,
    VendorDownError,
    VendorError,
    VendorRefusedError,
)
from allocator_pipeline.ingestion.asking import Ask
from allocator_pipeline.ingestion.failed import LastFailed
from allocator_pipeline.ingestion.todo import Failure, todo
from allocator_pipeline.market.live.needs import Need
from allocator_pipeline.market.raw import RawStore

ENOUGH = 10
"""After so many failures in a row that look as if the vendor were down (`VendorDownError`) the others are not asked
for. What is wrong with one symbol's answer says nothing about others and does not count."""

TOLD = 3
"""So many failures are told in full at the end; each has had a line of its own before."""


@dataclass(frozen=True)
class Downloaded:
    """What a download did.

    Parameters
    ----------
    asked : int
        Answers that were fetched and kept.
    symbols : tuple of str
        What they are about.
    size : int
        Bytes of them.
    """

    asked: int
    symbols: tuple[str, ...]
    size: int


def download(
    feed: str,
    needs: Sequence[Need],
    store: RawStore,
    open_ask: Callable[[], Ask],
    progress: Callable[[str], None] = lambda line: None,
    quiet: float = 0.0,
) -> Downloaded:
    """Fetch what is missing of some needs.

    Parameters
    ----------
    feed : str
        For messages.
    needs : sequence of Need
    store : RawStore
        Keeps each answer as soon as it is there, so that what was interrupted goes on from there.
    open_ask : callable
        Opens the client; called only if something is missing, so that nothing else needs keys or a network.
    progress : callable
        Receives a line about what was fetched, and one about each failure.
    quiet : float
        Least seconds between two lines about what was fetched.

    Returns
    -------
    Downloaded

    Raises
    ------
    VendorRefusedError
        If the vendor refuses the keys, or its quota is used up; the rest is not asked for.
    VendorError
        If some answers failed, or records kept are damaged: it names every symbol. All the others are kept.
    ConfigurationError, StorageError
        At once.
    """
    last_failed = LastFailed(store.root, feed)
    open_now = todo(needs, store, last_failed.moments())
    failures = dict(open_now.damaged)
    for symbol, ((first, last), error) in failures.items():
        progress(f"{feed}: {symbol} {first} to {last} failed: {error}")
    if not open_now.questions:
        progress(f"{feed}: nothing {'else ' if failures else ''}is missing; nothing is asked")
        if failures:
            raise _failed(feed, failures, 0, stopped=False)
        return Downloaded(0, (), 0)
    ask, start = open_ask(), time.monotonic()
    done: list[str] = []
    size, down, left, told = 0, 0, len(open_now.questions), 0.0
    waiting = deque(
        (symbol, list(group)) for symbol, group in groupby(open_now.questions, lambda question: question[0].key.name)
    )
    while waiting and down < ENOUGH:
        symbol, questions = waiting.popleft()
        try:
            for need, (first, last) in questions:
                answer = ask(need, first, last)
                _keep(store, need, answer, first, last)
                size, left, down = size + len(answer.body), left - 1, 0
                done.append(symbol)
                passed = time.monotonic() - start
                if passed - told >= quiet or not left:
                    told = passed
                    progress(f"{feed}: {symbol} {first} to {last}; {_left(len(done), left, passed)}")
        except (ConfigurationError, StorageError):
            raise
        except VendorRefusedError as refusal:
            raise VendorRefusedError(
                f"{refusal.problem} That was about {first} to {last}; {left} of {len(open_now.questions)} questions "
                f"of {feed} are open.",
                todo=f"{refusal.todo} What has been fetched is kept; run it again for the rest.",
                source=refusal.source,
                symbol=symbol,
            ) from None
        except AllocatorError as error:  # what else would be asked about that symbol is left for the next run
            failures[symbol], down = ((first, last), error), down + isinstance(error, VendorDownError)
            last_failed.add(symbol)
            progress(f"{feed}: {symbol} {first} to {last} failed: {error}")
    if failures:
        raise _failed(feed, failures, len(done), stopped=bool(waiting))
    return Downloaded(len(done), tuple(dict.fromkeys(done)), size)


def _keep(store: RawStore, need: Need, answer: Answer, first: date, last: date) -> None:
    store.put(need.key, answer.body, fetched_at=answer.fetched_at, first=first, last=last, request=answer.request)


def _left(done: int, left: int, seconds: float) -> str:
    remaining = timedelta(seconds=round(seconds / done * left))
    return f"{left} left, about {remaining}" if left else "all asked"


def _failed(feed: str, failures: Mapping[str, Failure], kept: int, *, stopped: bool) -> VendorError:
    """Return one error for all failures: names and days of all, and the first few as they are."""
    rest = (
        f" The others were not asked for, as {ENOUGH} in a row had failed as if the vendor were down."
        if stopped
        else ""
    )
    named = ", ".join(f"{symbol} {first} to {last}" for symbol, ((first, last), _) in failures.items())
    told = " ".join(f"{symbol}: {error}" for symbol, (_, error) in list(failures.items())[:TOLD])
    return VendorError(
        f"{len(failures)} of the symbols of {feed} failed: {named}. {kept} answers are kept.{rest} "
        f"The first of them in full: {told}",
        todo="mend what it says, or run it again later: only what is missing is asked for.",
        source=feed,
        symbol=next(iter(failures)),
    )
