"""SAC update by update: the learners of a default training in one stack, against stable-baselines3."""

from __future__ import annotations

import dataclasses
from typing import cast

from allocator_pipeline.allocators.recipes import Recipe, SACRecipe, recipe
from benchmarks.clock import cpu_seconds
from benchmarks.market import random_states
from benchmarks.row import Row
from benchmarks.training import capture, describe, network_count, reference_training, updates_of, whole_training

REFERENCE_STEPS = 1_040


def row(chosen: SACRecipe | None = None, reference_steps: int = REFERENCE_STEPS, repeats: int = 3) -> Row:
    weeks = random_states()
    sac, plan = (cast(SACRecipe, recipe("sac", name)) for name in ("default", "reference"))
    sac = chosen or sac

    def updates(of: Recipe) -> float:
        learner, seconds = whole_training(of, weeks)
        return updates_of(learner) * network_count(of) / seconds

    def reference() -> float:
        seconds = cpu_seconds(lambda: reference_training("sac", weeks, reference_steps))
        return (reference_steps - plan.warmup_steps) / seconds

    def breakdown() -> dict[str, float]:
        equal = dataclasses.replace(sac, batch_size=plan.batch_size)
        return {f"updates per CPU second with the plan's batches of {plan.batch_size} rows": updates(equal)}

    return Row(
        recipe=f"{describe(sac)}, {network_count(sac)} networks in one stack, an update counted for each; "
        f"stable-baselines3 with `reference` (batches of {plan.batch_size} rows), {reference_steps:,} steps",
        unit="gradient updates per CPU second",
        ours=lambda: updates(sac),
        reference=reference,
        breakdown=breakdown,
        repeats=repeats,
        facts=capture("sac"),
    )
