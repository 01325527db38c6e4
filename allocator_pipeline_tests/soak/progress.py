"""How far a soak has come: a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import pandas as pd

from allocator_pipeline_tests.soak.world import FIRST_WEEK, World

QUIET = 30.0
"""Least seconds between two lines."""


@dataclass
class Progress:
    """Says how far two worlds have come.

    Parameters
    ----------
    worlds : mapping of str to World
    weeks : int
    say : callable
        Receives the lines.
    """

    worlds: dict[str, World]
    weeks: int
    say: Callable[[str], None]
    _begun: float = field(default_factory=time.monotonic)
    _told: float = 0.0

    def tell(self) -> None:
        """Say it, if the last line is old enough."""
        passed = time.monotonic() - self._begun
        if passed - self._told < QUIET:
            return
        self._told = passed
        first = pd.Timestamp(FIRST_WEEK, tz="UTC")
        lived = {name: max(0, (world.now - first).days // 7) for name, world in self.worlds.items()}
        told = ", ".join(f"{name} {min(weeks, self.weeks)}" for name, weeks in lived.items())
        self.say(f"{timedelta(seconds=round(passed))}: of {self.weeks} weeks {told}")
