"""DPG: weeks lived through and differentiated, by a whole default training."""

from __future__ import annotations

from collections.abc import Sequence

from allocator_pipeline.allocators.recipes import Recipe, recipe
from allocator_pipeline.training.stacked import Part
from benchmarks.market import random_states
from benchmarks.row import Row
from benchmarks.training import capture, describe, engine_training, network_count, whole_training

STACKS = (1, 32)
"""Networks side by side, for comparison."""


def row(chosen: Recipe | None = None, stacks: Sequence[int] = STACKS, repeats: int = 5) -> Row:
    weeks = random_states()
    dpg = chosen or recipe("dpg", "default")

    def ours() -> float:
        learner, seconds = whole_training(dpg, weeks)
        return learner.steps * network_count(dpg) / seconds

    def breakdown() -> dict[str, float]:
        found = {}
        for count in stacks:
            learner, seconds = engine_training(dpg, [Part(weeks, count)])
            found[f"{count} network{'s' * (count > 1)}"] = learner.steps * count / seconds
        return found

    return Row(
        recipe=f"{describe(dpg)}, {network_count(dpg)} networks in one stack, from market to served policy",
        unit="weeks per CPU second",
        ours=ours,
        breakdown=breakdown,
        repeats=repeats,
        facts=capture("dpg"),
    )
