"""PPO at full throttle: 1,024 portfolios of one network, whatever it learns."""

from __future__ import annotations

import dataclasses
from typing import cast

from allocator_pipeline.allocators.recipes import PPORecipe, recipe
from allocator_pipeline.portfolio.constraints import N_ASSETS
from allocator_pipeline.training.stacked import Part
from benchmarks.clock import cpu_seconds
from benchmarks.market import random_states
from benchmarks.row import Row
from benchmarks.training import describe, engine_training, reference_training

PORTFOLIOS, ROLLOUTS, EPOCHS, BATCHES = 1024, 4, 1, 4
REFERENCE_STEPS = 2_080


def wide(base: PPORecipe, portfolios: int = PORTFOLIOS) -> PPORecipe:
    """Return a recipe with many portfolios, a few large batches and one pass over them."""
    return dataclasses.replace(
        base,
        name="throughput",
        n_envs=portfolios,
        batch_size=portfolios * base.episode_weeks * N_ASSETS // BATCHES,
        n_epochs=EPOCHS,
        total_steps=portfolios * base.episode_weeks * ROLLOUTS,
    )


def row(portfolios: int = PORTFOLIOS, reference_steps: int = REFERENCE_STEPS, repeats: int = 5) -> Row:
    weeks = random_states()
    ppo = wide(cast(PPORecipe, recipe("ppo", "default")), portfolios)

    def ours() -> float:
        learner, seconds = engine_training(ppo, [Part(weeks, 1)])
        return learner.steps / seconds

    def reference() -> float:
        return reference_steps / cpu_seconds(lambda: reference_training("ppo", weeks, reference_steps))

    return Row(
        recipe=f"{describe(ppo)}, {EPOCHS} pass over each rollout, one network, from market to last update; "
        f"stable-baselines3 with `reference` on one environment, {reference_steps:,} steps",
        unit="environment steps per CPU second",
        ours=ours,
        reference=reference,
        repeats=repeats,
        facts=lambda: {"recipe": "ppo/throughput", "capture": "not asked of this row: it says what the machine can do"},
    )
