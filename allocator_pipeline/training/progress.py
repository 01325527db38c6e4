"""Progress of a training in words, for a terminal and for Dagster's event log alike."""

from __future__ import annotations

import time
from collections.abc import Callable

Progress = Callable[[str], None]

REPORTS = 10
"""Messages in one training, if it is fast."""

SLOW_SECONDS = 10.0
"""After so long without a message there is one in between."""


def silent(message: str) -> None:
    """Ignore progress messages."""


class Meter:
    """Says how far a training is, how fast, and how long it will still take.

    Wall time goes into these messages and nowhere else.

    Parameters
    ----------
    label : str
        Begins each message.
    total : int
        Steps in all.
    done : int
        Steps done before, by a training that was interrupted; they do not count for the speed.
    progress : callable
        Receives the messages.
    """

    def __init__(self, label: str, total: int, done: int, progress: Progress) -> None:
        self.label, self.total, self.first, self.progress = label, total, done, progress
        self._tenths = done * REPORTS // total
        self._began = self._told = time.monotonic()

    def reached(self, done: int) -> bool:
        """Tell of ``done`` steps if a tenth is complete or the last message is long ago; return whether it was told."""
        now, tenths = time.monotonic(), done * REPORTS // self.total
        if tenths <= self._tenths and now - self._told < SLOW_SECONDS:
            return False
        self._tenths, self._told = tenths, now
        speed = (done - self.first) / max(now - self._began, 1e-6)
        left = (
            f"{duration((self.total - done) / speed)} left"
            if done < self.total
            else f"done in {duration(now - self._began)}"
        )
        self.progress(f"{self.label}: {done:,} of {self.total:,} steps, {_short(speed)} steps/s, {left}")
        return True


def duration(seconds: float) -> str:
    """Return a time such as ``0.2 s``, ``35 s``, ``3 min 20 s`` or ``2 h 5 min``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _short(speed: float) -> str:
    """Return a speed with two or three figures that mean something."""
    if speed < 100:
        return f"{speed:.1f}"
    return f"{round(speed, -3 if speed >= 10_000 else -1):,.0f}"
