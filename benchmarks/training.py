"""Both sides of the rows of training speed: stacked learners, and stable-baselines3 on one environment."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv

from allocator_pipeline.allocators.recipes import Recipe, recipe
from allocator_pipeline.config import CostConfig, Settings
from allocator_pipeline.learners.base import Learner
from allocator_pipeline.portfolio.env import WeeklyPortfolioEnv
from allocator_pipeline.portfolio.scaler import StateScaler
from allocator_pipeline.portfolio.state import StateTensors
from allocator_pipeline.training.models import Model, build_model
from allocator_pipeline.training.stacked import Part, make_learner, parts_of, served_policy, windows_of
from benchmarks.capture import capture_facts

COSTS = CostConfig()


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


def stack(chosen: Recipe, parts: Sequence[Part], device: str = "cpu") -> Learner:
    """Return untrained networks, part after part."""
    torch.set_num_threads(1)
    return make_learner(chosen, windows_of(parts), [part.networks for part in parts], COSTS, 0, device)


def train(learner: Learner) -> None:
    """Train to the end."""
    while learner.steps < learner.total_steps:
        learner.advance()


def engine_training(chosen: Recipe, parts: Sequence[Part]) -> tuple[Learner, float]:
    """Return trained networks, and the CPU seconds from building their market to their last update."""
    begun = time.process_time()
    learner = stack(chosen, parts)
    train(learner)
    return learner, time.process_time() - begun


def whole_training(chosen: Recipe, weeks: StateTensors) -> tuple[Learner, float]:
    """Train what a policy needs; return its networks, and the CPU seconds from building their market to serving it."""
    torch.set_num_threads(1)
    begun = time.process_time()
    parts = parts_of(chosen, weeks)
    windows = windows_of(parts)
    learner = make_learner(chosen, windows, [part.networks for part in parts], COSTS, 0, "cpu")
    train(learner)
    served_policy(chosen, learner, windows, weeks, COSTS)
    return learner, time.process_time() - begun


def network_count(chosen: Recipe) -> int:
    """Return the networks of a whole training: the members, and those of the cross-fit."""
    return chosen.members + chosen.folds


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
