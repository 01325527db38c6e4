"""Environment steps: 1,024 portfolios in arrays against a loop over one Gymnasium environment."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from allocator_pipeline.config import CostConfig
from allocator_pipeline.portfolio.batch import PortfolioBatch
from allocator_pipeline.portfolio.constraints import N_ASSETS, project
from allocator_pipeline.portfolio.env import WeeklyPortfolioEnv
from allocator_pipeline.portfolio.scaler import StateScaler
from allocator_pipeline.portfolio.vec_env import PortfolioVecEnv
from benchmarks.market import random_states
from benchmarks.row import Row

PORTFOLIOS, VECTOR_STEPS, LOOP_STEPS = 1024, 260, 5200


def row() -> Row:
    states, costs = random_states(), CostConfig()
    scaler = StateScaler.fit(states)
    logits = np.random.default_rng(1).normal(size=(8, PORTFOLIOS, N_ASSETS)).astype(np.float32)
    many = PortfolioVecEnv(states, scaler, costs, PORTFOLIOS)
    many.seed(1)
    many.reset()
    one = WeeklyPortfolioEnv(states, scaler, costs)
    one.reset(seed=1)

    def ours() -> float:
        begun = time.process_time()
        for step in range(VECTOR_STEPS):
            many.step(logits[step % len(logits)])
        return PORTFOLIOS * VECTOR_STEPS / (time.process_time() - begun)

    def reference() -> float:
        begun = time.process_time()
        for step in range(LOOP_STEPS):
            if one.step(logits[step % len(logits), 0])[3]:
                one.reset()
        return LOOP_STEPS / (time.process_time() - begun)

    def breakdown() -> dict[str, float]:
        batch = PortfolioBatch(states, scaler, costs, PORTFOLIOS)
        everyone = np.arange(PORTFOLIOS)
        weights = project(logits[0], costs)

        def week() -> None:
            batch.start(everyone, everyone % (len(states) - 1))
            batch.step(weights)

        return {
            "whole step": PORTFOLIOS / ours() * 1e3,
            "constraint map": _milliseconds(lambda: project(logits[0], costs)),
            "accounting": _milliseconds(week),
            "observation": _milliseconds(batch.observe),
        }

    return Row(
        recipe=f"random weekly actions: {PORTFOLIOS:,} portfolios in one PortfolioVecEnv, one in a WeeklyPortfolioEnv",
        unit="steps per CPU second",
        ours=ours,
        reference=reference,
        breakdown=breakdown,
    )


def _milliseconds(work: Callable[[], object], repeats: int = 200) -> float:
    begun = time.process_time()
    for _ in range(repeats):
        work()
    return (time.process_time() - begun) / repeats * 1e3
