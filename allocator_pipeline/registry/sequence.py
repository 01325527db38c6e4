"""The thresholds of a sequence of tries, one step after the other.

They follow from correlations and seed alone. Drawing a whole sequence anew for each of its tries would take time with
the square of their number, so the draws of the sequence last followed are kept: its next try costs one step, any other
sequence is followed from its start. The numbers are the same either way.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from allocator_pipeline.evaluation.evidence import Thresholds

Rows = Sequence[Sequence[Sequence[float]]]
"""For each try, for each baseline, the correlations with the tries of the sequence up to it."""


class _Followed:
    """A sequence as far as it has been followed."""

    def __init__(self, draws: int, seed: int) -> None:
        self.key = (draws, seed)
        self.rows: list[list[list[float]]] = []
        self.thresholds: Thresholds | None = None

    def leads_to(self, rows: list[list[list[float]]], key: tuple[int, int]) -> bool:
        return self.key == key and len(self.rows) < len(rows) and rows[: len(self.rows)] == self.rows

    def step(self, row: list[list[float]]) -> tuple[list[float], list[float]]:
        if self.thresholds is None:
            self.thresholds = Thresholds(len(row), *self.key)
        found = self.thresholds.next(np.asarray(row, dtype=np.float64))
        self.rows.append(row)
        return found.tolist(), self.thresholds.spent.tolist()


_last = _Followed(0, 0)


def next_thresholds(rows: Rows, draws: int, seed: int) -> tuple[list[float], list[float]]:
    """Return the thresholds of the last of some successive tries.

    Parameters
    ----------
    rows : Rows
        All tries of the sequence, the first first.
    draws, seed : int
        As of `evaluation.evidence.Thresholds`.

    Returns
    -------
    tuple of (list of float, list of float)
        By baseline: the threshold, and the error spent after it.
    """
    global _last  # for its speed only
    wanted = [[list(row) for row in each] for each in rows]
    if not _last.leads_to(wanted, (draws, seed)):
        _last = _Followed(draws, seed)
    while True:
        found = _last.step(wanted[len(_last.rows)])
        if len(_last.rows) == len(wanted):
            return found
