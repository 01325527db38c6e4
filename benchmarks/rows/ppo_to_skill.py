"""PPO to skill: CPU seconds until the served policy captures enough of a planted signal out of sample."""

from __future__ import annotations

import itertools
import math
import statistics
import time
from typing import Any

from allocator_pipeline.allocators.recipes import Recipe, recipe
from allocator_pipeline.evaluation.metrics import sharpe_ratio
from allocator_pipeline.portfolio.rollout import simulate
from allocator_pipeline.portfolio.state import StateTensors
from allocator_pipeline.studies.planted import market, opponents, split
from allocator_pipeline.training.stacked import make_learner, parts_of, served_policy, windows_of
from benchmarks.capture import IC
from benchmarks.row import Row
from benchmarks.training import COSTS, capture, describe, stack

FIRST_MARKET, MARKETS = 9_000, 5
"""Generated from these seeds; nothing was tuned or studied on them."""

SKILL = 0.85
"""Share of the oracle's excess net Sharpe ratio over equal weight's."""


def row(chosen: Recipe | None = None, markets: int = MARKETS, skill: float = SKILL) -> Row:
    ppo = chosen or recipe("ppo", "default")
    numbers = itertools.cycle(range(FIRST_MARKET, FIRST_MARKET + markets))
    whole: list[float] = []
    final: list[float] = []
    steps: list[float] = []

    def ours() -> float:
        spent, captured, done = learn(ppo, market(next(numbers), IC))
        reached = next((at for at, share in enumerate(captured) if share >= skill), None)
        whole.append(spent[-1])
        final.append(captured[-1])
        steps.append(math.inf if reached is None else done[reached])
        return math.inf if reached is None else spent[reached]

    stack(ppo, parts_of(ppo, split(market(FIRST_MARKET, IC))[0])).advance()  # torch's own warm-up

    def facts() -> dict[str, Any]:
        reached = [number for number in steps if math.isfinite(number)]
        return {
            "markets that reach it": f"{len(reached)} of {len(steps)}",
            "steps of each network to it (median of those)": statistics.median(reached) if reached else None,
            "CPU seconds of the whole training (median)": statistics.median(whole),
            "captured at the end (median)": statistics.median(final),
            "captured at the end (worst)": min(final),
            **capture("ppo")(),
        }

    return Row(
        recipe=f"{describe(ppo)}, cross-fit included; until the policy as served captures {skill} of the oracle on the "
        f"test weeks of a planted market (IC {IC}), looked at after each iteration off the clock; {markets} markets",
        unit="CPU seconds (less is better)",
        ours=ours,
        repeats=markets,
        warm_up=False,
        facts=facts,
    )


def learn(ppo: Recipe, states: StateTensors) -> tuple[list[float], list[float], list[int]]:
    """Train on a market, looking at the test weeks after each iteration.

    Returns
    -------
    tuple of lists
        After each iteration: CPU seconds so far if training ended there with its cross-fit, the share captured, and
        the environment steps of each network.
    """
    training, test = split(states)
    equal, oracle = opponents(states, COSTS)
    begun = time.process_time()
    parts = parts_of(ppo, training)
    windows = windows_of(parts)
    learner = make_learner(ppo, windows, [part.networks for part in parts], COSTS, 0, "cpu")
    training_time = time.process_time() - begun
    spent, captured, steps = [], [], []
    while learner.steps < learner.total_steps:
        begun = time.process_time()
        learner.advance()
        trained = time.process_time()
        training_time += trained - begun
        policy = served_policy(ppo, learner, windows, training, COSTS)
        spent.append(training_time + time.process_time() - trained)
        walked = float(sharpe_ratio(simulate(policy.target_weights, test, COSTS).net))
        captured.append((walked - equal) / (oracle - equal))
        steps.append(learner.steps)
    return spent, captured, steps
