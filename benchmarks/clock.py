"""CPU time of this process, on one thread."""

from __future__ import annotations

import time
from collections.abc import Callable


def cpu_seconds(work: Callable[[], object], repeats: int = 1) -> float:
    """Return the CPU seconds that some work takes, done so many times; its results are let go at once."""
    begun = time.process_time()
    for _ in range(repeats):
        work()
    return time.process_time() - begun


def milliseconds(work: Callable[[], object], repeats: int = 200) -> float:
    """Return the mean CPU milliseconds of some work, after one run that is not counted."""
    work()
    return cpu_seconds(work, repeats) / repeats * 1e3
