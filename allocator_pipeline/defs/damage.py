"""What a tick makes of damage: the allocator that it is of is left out and named, and the others go on."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

import dagster as dg

from allocator_pipeline.errors import AllocatorError

Answer = TypeVar("Answer")
Otherwise = TypeVar("Otherwise")

_error = logging.getLogger(__name__).error


class Damage:
    """The allocators that a tick leaves out, because what is stored of them cannot be read.

    Parameters
    ----------
    log : callable
        Takes an error's words, once a tick for each allocator; the log of the tick.
    """

    def __init__(self, log: Callable[[str], None] = _error) -> None:
        self._log, self._told = log, dict[str, str]()

    def ask(self, allocator: str, question: Callable[[], Answer], otherwise: Otherwise) -> Answer | Otherwise:
        """Return what is asked of an allocator, or ``otherwise`` where it is damaged, which is told."""
        try:
            return question()
        except AllocatorError as error:
            if allocator not in self._told:
                self._told[allocator] = f"{allocator} is left out: {error}"
                self._log(self._told[allocator])
            return otherwise

    def skip(self, reason: str) -> dg.SkipReason:
        """Return why a tick asks for nothing: what is damaged, and the reason given."""
        return dg.SkipReason(" ".join([*self._told.values(), reason]))
