"""Environment steps: 1,024 portfolios in arrays against a loop over one Gymnasium environment."""

from __future__ import annotations

import time

import numpy as np

from allocator_pipeline.config import CostConfig
from allocator_pipeline.portfolio.batch import PortfolioBatch
from allocator_pipeline.portfolio.constraints import N_ASSETS, project
from allocator_pipeline.portfolio.env import WeeklyPortfolioEnv
from allocator_pipeline.portfolio.scaler import StateScaler
from allocator_pipeline.portfolio.vec_env import PortfolioVecEnv
from benchmarks.clock import milliseconds
from benchmarks.market import random_states
from benchmarks.row import REPEATS, Row

PORTFOLIOS, VECTOR_STEPS, LOOP_STEPS = 1024, 260, 5200


def row(
    portfolios: int = PORTFOLIOS, vector_steps: int = VECTOR_STEPS, loop_steps: int = LOOP_STEPS, repeats: int = REPEATS
) -> Row:
    states, costs = random_states(), CostConfig()
    scaler = StateScaler.fit(states)
    logits = np.random.default_rng(1).normal(size=(8, portfolios, N_ASSETS)).astype(np.float32)
    many = PortfolioVecEnv(states, scaler, costs, portfolios)
    many.seed(1)
    many.reset()
    one = WeeklyPortfolioEnv(states, scaler, costs)
    one.reset(seed=1)

    def ours() -> float:
        begun = time.process_time()
        for step in range(vector_steps):
            many.step(logits[step % len(logits)])
        return portfolios * vector_steps / (time.process_time() - begun)

    def reference() -> float:
        begun = time.process_time()
        for step in range(loop_steps):
            if one.step(logits[step % len(logits), 0])[3]:
                one.reset()
        return loop_steps / (time.process_time() - begun)

    def breakdown() -> dict[str, float]:
        batch = PortfolioBatch(states, scaler, costs, portfolios)
        everyone = np.arange(portfolios)
        weights = project(logits[0], costs)

        def begin() -> None:
            batch.start(everyone, everyone % (len(states) - 1))

        def begin_and_step() -> None:
            begin()
            batch.step(weights)

        whole, beginning = portfolios / ours() * 1e3, milliseconds(begin)
        parts = {
            "constraint map": milliseconds(lambda: project(logits[0], costs)),
            "accounting (costs, growth, drift, slots)": milliseconds(begin_and_step) - beginning,
            "observation": milliseconds(batch.observe),
            "new episodes (a 52nd of them)": beginning / many.episode_weeks,
        }
        return {"ms of a step of all": whole, **parts, "the rest (ends, infos)": whole - sum(parts.values())}

    return Row(
        recipe=f"random weekly actions: {portfolios:,} portfolios in one PortfolioVecEnv, one in a WeeklyPortfolioEnv",
        unit="steps per CPU second",
        ours=ours,
        reference=reference,
        breakdown=breakdown,
        repeats=repeats,
    )
