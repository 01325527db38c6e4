"""SAC sample by sample: environment steps of a whole default training, against stable-baselines3."""

from __future__ import annotations

from allocator_pipeline.allocators.recipes import Recipe, recipe
from benchmarks.clock import cpu_seconds
from benchmarks.market import random_states
from benchmarks.row import Row
from benchmarks.training import capture, describe, network_count, reference_training, whole_training

REFERENCE_STEPS = 1_040


def row(chosen: Recipe | None = None, reference_steps: int = REFERENCE_STEPS, repeats: int = 3) -> Row:
    weeks = random_states()
    sac = chosen or recipe("sac", "default")

    def ours() -> float:
        learner, seconds = whole_training(sac, weeks)
        return learner.steps * network_count(sac) / seconds

    def reference() -> float:
        return reference_steps / cpu_seconds(lambda: reference_training("sac", weeks, reference_steps))

    return Row(
        recipe=f"{describe(sac)}, {network_count(sac)} networks in one stack, from market to served policy; "
        f"stable-baselines3 with `reference` on one environment, {reference_steps:,} steps",
        unit="environment steps per CPU second",
        ours=ours,
        reference=reference,
        repeats=repeats,
        facts=capture("sac"),
    )
