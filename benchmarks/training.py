"""Both sides of the rows of training speed: stacked learners, and stable-baselines3 on one environment."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv

from allocator_pipeline.allocators.ensemble import TiltEnsemble
from allocator_pipeline.allocators.policy import Policy
from allocator_pipeline.allocators.recipes import Recipe, recipe
from allocator_pipeline.config import CostConfig, Settings
from allocator_pipeline.learners.base import Learner
from allocator_pipeline.portfolio.env import WeeklyPortfolioEnv
from allocator_pipeline.portfolio.scaler import StateScaler
from allocator_pipeline.portfolio.state import StateTensors
from allocator_pipeline.portfolio.tensor_market import TensorMarket, Window
from allocator_pipeline.training.crossfit import cross_fit, halves
from allocator_pipeline.training.models import Model, build_model
from allocator_pipeline.training.stacked import build_learner
from benchmarks.capture import capture_facts

COSTS = CostConfig()

CROSS_FIT_PARTS = 3
"""All weeks and each half of them."""


def results_folder() -> Path:
    """Return where benchmarks and studies keep their results."""
    return Settings.from_env().data_dir / "results"


def capture(algorithm: str, name: str = "default") -> Callable[[], dict[str, object]]:
    """Return the facts of a row about what its recipe learns."""
    return lambda: capture_facts(algorithm, name, results_folder())


def describe(chosen: Recipe) -> str:
    """Return a recipe in a few words."""
    batch = getattr(chosen, "batch_size", None)
    batches = f", batches of {batch:,} rows" if batch else ""
    return f"{chosen.name}: {chosen.n_envs:,} portfolios, {chosen.total_steps:,} steps{batches}"


def parts_of(weeks: StateTensors, chosen: Recipe) -> list[StateTensors]:
    """Return what networks are trained on: all weeks and, for the cross-fit, each half of them."""
    return [weeks, *halves(weeks)] if chosen.shrinkage else [weeks]


def stack(
    chosen: Recipe, parts: Sequence[StateTensors], copies: int, device: str = "cpu", first_seed: int = 0
) -> Learner:
    """Return untrained networks: so many copies for each part of the weeks, part after part."""
    torch.set_num_threads(1)
    windows = [Window(part, StateScaler.fit(part)) for part in parts]
    which = [part for part in range(len(windows)) for _ in range(copies)]
    market = TensorMarket(windows, which, COSTS, chosen.n_envs, episode_weeks=chosen.episode_weeks, device=device)
    return build_learner(chosen, market, list(range(first_seed, first_seed + len(which))))


def train(learner: Learner) -> None:
    """Train to the end."""
    while learner.steps < learner.total_steps:
        learner.advance()


def whole_training(chosen: Recipe, parts: Sequence[StateTensors], copies: int) -> tuple[Learner, float]:
    """Return trained networks, and the CPU seconds that they took.

    From building their market to their last update; where the parts are those of a cross-fit, to the served policy.
    """
    begun = time.process_time()
    learner = stack(chosen, parts, copies)
    train(learner)
    if chosen.shrinkage and len(parts) == CROSS_FIT_PARTS and copies == chosen.members:
        served_policy(learner, chosen, parts)
    return learner, time.process_time() - begun


def policy_of(learner: Learner, chosen: Recipe, parts: Sequence[StateTensors], part: int) -> Policy:
    """Return the members trained on a part of the weeks as a policy, not shrunk."""
    rows = slice(part * chosen.members, (part + 1) * chosen.members)
    actor = {name: value[rows].detach().cpu().clone() for name, value in learner.actor.items()}
    weeks = parts[part]
    symbols = tuple(weeks.symbols[-1].tolist())
    return Policy(chosen, COSTS, StateScaler.fit(weeks), symbols, TiltEnsemble(chosen, actor))


def served_policy(learner: Learner, chosen: Recipe, parts: Sequence[StateTensors]) -> Policy:
    """Return the policy as it would be served now: shrunk by what the cross-fit finds, if the recipe asks for it."""
    served = policy_of(learner, chosen, parts, 0)
    if not chosen.shrinkage:
        return served
    earlier, later = (policy_of(learner, chosen, parts, part) for part in (1, 2))
    return dataclasses.replace(served, shrinkage=cross_fit([(later, parts[1]), (earlier, parts[2])]))


def updates_of(learner: Learner) -> int:
    """Return the gradient steps that each learner's actor has taken."""
    return int(learner.trained()["actor_optimizer.0.step"])


def reference_training(algorithm: str, weeks: StateTensors, steps: int) -> Model:
    """Train as a user of the plan would: stable-baselines3 on one Gymnasium environment, which it wraps itself so.

    Parameters
    ----------
    algorithm : {"ppo", "sac"}
    weeks : StateTensors
    steps : int
        Environment steps; PPO completes its last rollout.
    """
    torch.set_num_threads(1)
    chosen = recipe(algorithm, "reference")
    one = WeeklyPortfolioEnv(
        weeks, StateScaler.fit(weeks), COSTS, episode_weeks=chosen.episode_weeks, action_bound=chosen.action_bound
    )
    model = build_model(chosen, DummyVecEnv([lambda: Monitor(one)]), seed=0)
    model.learn(steps)
    return model
