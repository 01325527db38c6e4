"""Kills at random moments, and a watcher that looks at the champions all the while."""

from __future__ import annotations

import random
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pandas as pd

from allocator_pipeline_tests.soak.world import World, finish

WEEK_SECONDS = 8.0
"""At most what a week takes; a kill falls within it."""
LOOK_SECONDS = 0.25
TO_GO = pd.Timedelta(days=21)
"""At least so much is still to be lived after the random instant of a kill."""


@dataclass
class Watcher:
    """Looks whether every champion verifies and the record of verdicts only grows.

    Parameters
    ----------
    world : World
    looks : int
        How often it has looked.
    tell : callable
        Called after each look.
    """

    world: World
    looks: int = 0
    tell: Callable[[], None] = lambda: None
    _seen: dict[str, list[str]] = field(default_factory=dict)

    def look(self) -> None:
        """Look once."""
        seals = self.world.verdicts()
        for name, before in self._seen.items():
            assert seals[name][: len(before)] == before, f"{name}: a verdict was changed or lost"
        self._seen = seals
        self.looks += 1

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look all the while; what was found wrong is raised at the end."""
        stop, wrong = threading.Event(), list[BaseException]()

        def watch() -> None:
            try:
                while not stop.wait(LOOK_SECONDS):
                    self.look()
                    self.tell()
            except BaseException as error:  # raised again below
                wrong.append(error)

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
        self.look()
        if wrong:
            raise wrong[0]


@dataclass(frozen=True)
class Disturber:
    """Kills the operator at random moments and starts it again until it has lived through its weeks.

    Parameters
    ----------
    world : World
    until : Timestamp
    share : float
        Of the source's reads that fail.
    kills : int
    seed : int
    """

    world: World
    until: pd.Timestamp
    share: float
    kills: int
    seed: int

    def run(self) -> list[str]:
        """Live through it, and return the simulated instants of the kills.

        A kill falls at most a week after a random instant, and early enough to fall before the end.
        """
        rng, start, killed_at = random.Random(self.seed), self.world.now, []
        latest = min((self.until - start) * 0.9, self.until - start - TO_GO)
        moments = sorted(start + latest * rng.random() for _ in range(self.kills))
        process = self._start()
        try:
            for moment in moments:
                while self.world.now < moment and process.poll() is None:
                    time.sleep(0.1)
                time.sleep(rng.uniform(0.0, WEEK_SECONDS))
                if process.poll() is None:
                    process.kill()
                    killed_at.append(f"{self.world.now:%Y-%m-%d %H:%M}")
                    process.communicate()
                    process = self._start()
            finish(process)
        finally:
            process.kill()
        return killed_at

    def _start(self) -> subprocess.Popen[str]:
        return self.world.start(self.until, self.share, self.seed)
