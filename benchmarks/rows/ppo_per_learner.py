"""PPO per learner: the folds and seeds of a walk-forward in one stack, against one training of the plan's length."""

from __future__ import annotations

import dataclasses

from allocator_pipeline.allocators.recipes import Recipe, recipe
from allocator_pipeline.training.stacked import Part
from benchmarks.clock import cpu_seconds
from benchmarks.market import random_states
from benchmarks.row import Row
from benchmarks.training import capture, describe, engine_training, reference_training, whole_training

FOLDS, WEEKS_A_YEAR, FIRST_FOLD = 8, 52, 520


def row(chosen: Recipe | None = None, steps: int | None = None, folds: int = FOLDS, repeats: int = 3) -> Row:
    plan = recipe("ppo", "reference").total_steps if steps is None else steps
    base = chosen or recipe("ppo", "default")
    ppo = dataclasses.replace(base, total_steps=max(base.total_steps, plan))
    weeks = random_states(FIRST_FOLD + WEEKS_A_YEAR * folds)
    years = [weeks[: FIRST_FOLD + WEEKS_A_YEAR * fold] for fold in range(1, folds + 1)]

    def trainings(of: Recipe) -> float:
        return folds * of.members / engine_training(of, [Part(year, of.members) for year in years])[1]

    def reference() -> float:
        return 1.0 / cpu_seconds(lambda: reference_training("ppo", weeks, plan))

    def breakdown() -> dict[str, float]:
        short = dataclasses.replace(ppo, total_steps=plan)
        return {
            "CPU seconds of a network": 1.0 / trainings(ppo),
            f"the same with {plan:,} steps instead of {ppo.total_steps:,}": 1.0 / trainings(short),
            # The pipeline stacks one policy's networks, and trains years in processes: this is what it serves.
            "CPU seconds of a served policy: members and cross-fit of one year": whole_training(base, years[0])[1],
            "CPU seconds of the reference": 1.0 / reference(),
        }

    return Row(
        recipe=f"{describe(ppo)}, {folds} folds x {ppo.members} seeds in one stack; one training of stable-baselines3 "
        f"with `reference`, {plan:,} steps",
        unit="networks trained per CPU second",
        ours=lambda: trainings(ppo),
        reference=reference,
        breakdown=breakdown,
        repeats=repeats,
        facts=capture("ppo"),
    )
