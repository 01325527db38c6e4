"""Thresholds step by step: the same numbers as from the start, whatever was followed before."""

from __future__ import annotations

import numpy as np

from allocator_pipeline.evaluation.evidence import Thresholds
from allocator_pipeline.registry import sequence
from allocator_pipeline.registry.sequence import next_thresholds

DRAWS = 2_000


def rows(correlation: float, tries: int) -> list[list[list[float]]]:
    return [[[correlation] * at + [1.0], [0.5 * correlation] * at + [1.0]] for at in range(tries)]


def from_the_start(wanted: list[list[list[float]]], seed: int = 1) -> tuple[list[float], list[float]]:
    thresholds = Thresholds(2, DRAWS, seed)
    found = [thresholds.next(np.array(row)) for row in wanted][-1]
    return found.tolist(), thresholds.spent.tolist()


def test_steps_and_jumps_give_the_same_bits() -> None:
    one, other = rows(0.9, 12), rows(0.3, 12)
    for wanted in (one[:1], one[:2], one[:7], other[:4], one[:7], one[:3], other[:12], one[:12], one[:12]):
        assert next_thresholds(wanted, DRAWS, 1) == from_the_start(wanted)
    assert next_thresholds(one, DRAWS, 2) == from_the_start(one, 2)


def test_the_next_try_of_the_same_sequence_costs_one_step(monkeypatch) -> None:
    drawn = []
    monkeypatch.setattr(
        sequence.Thresholds, "next", lambda self, row, real=Thresholds.next: drawn.append(1) or real(self, row)
    )
    for tries in range(1, 21):
        next_thresholds(rows(0.7, tries), DRAWS, 3)
    assert len(drawn) == 20
