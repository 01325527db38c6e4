"""PPO end to end: a whole default training, cross-fit included, against stable-baselines3 with the plan's recipe."""

from __future__ import annotations

from allocator_pipeline.allocators.recipes import Recipe, recipe
from benchmarks.clock import cpu_seconds
from benchmarks.market import random_states
from benchmarks.row import Row
from benchmarks.training import capture, describe, network_count, reference_training, whole_training

REFERENCE_STEPS = 2_080


def row(chosen: Recipe | None = None, reference_steps: int = REFERENCE_STEPS, repeats: int = 5) -> Row:
    weeks = random_states()
    ppo = chosen or recipe("ppo", "default")

    def ours() -> float:
        learner, seconds = whole_training(ppo, weeks)
        return learner.steps * network_count(ppo) / seconds

    def reference() -> float:
        return reference_steps / cpu_seconds(lambda: reference_training("ppo", weeks, reference_steps))

    return Row(
        recipe=f"{describe(ppo)}, {network_count(ppo)} networks in one stack, from market to served policy; "
        f"stable-baselines3 with `reference` on one environment, {reference_steps:,} steps",
        unit="environment steps per CPU second",
        ours=ours,
        reference=reference,
        repeats=repeats,
        facts=capture("ppo"),
    )
