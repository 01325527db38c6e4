"""Training by stable-baselines3: one network of either view."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from stable_baselines3 import SAC

from allocator_pipeline.allocators.policy import Policy
from allocator_pipeline.allocators.recipes import Recipe, SACRecipe
from allocator_pipeline.config import CostConfig
from allocator_pipeline.portfolio.scaler import StateScaler
from allocator_pipeline.portfolio.state import StateTensors
from allocator_pipeline.training.drive import Observed, Trained
from allocator_pipeline.training.drive_sb3 import learn
from allocator_pipeline.training.environments import rows_per_step, training_env
from allocator_pipeline.training.labelled import Recalled, Replay
from allocator_pipeline.training.models import build_model, policy_files, restore


def train_sb3(recipe: Recipe, weeks: StateTensors, costs: CostConfig, seed: int, observed: Observed) -> Trained:
    """Train one network; parameters and result as of `stacked.train_stacked`."""
    scaler = StateScaler.fit(weeks)
    model = build_model(recipe, training_env(recipe, weeks, scaler, costs), seed)
    learn(model, recipe.total_steps, rows_per_step(recipe), observed)
    policy = Policy(recipe, costs, scaler, tuple(weeks.symbols[-1].tolist()), model.policy)
    return Trained(policy, policy_files(policy, model))


def continue_sb3(
    prior: Policy,
    recipe: Recipe,
    files: Mapping[str, bytes],
    weeks: StateTensors,
    recalled: Recalled,
    seed: int,
    observed: Observed,
) -> Trained:
    """Train the network of a stored policy further; parameters and result as of `stacked.continue_stacked`."""
    env = training_env(recipe, weeks, prior.scaler, prior.costs, recalled.starting, recalled.start_weights)
    model = build_model(recipe, env, seed)
    restore(model, prior, files)
    if isinstance(model, SAC) and recalled.replay is not None:
        _remember(model, recalled.replay, recipe)
    fill_steps = recipe.warmup_steps if isinstance(recipe, SACRecipe) else 0
    learn(model, recipe.total_steps, rows_per_step(recipe), observed, fill_steps)
    policy = Policy(prior.recipe, prior.costs, prior.scaler, tuple(weeks.symbols[-1].tolist()), model.policy)
    return Trained(policy, policy_files(policy, model))


def _remember(model: SAC, replay: Replay, recipe: Recipe) -> None:
    """Put recorded weeks in the replay buffer, again and again, until they are their share of what it will hold."""
    portfolios, own = recipe.n_envs, -(-recipe.total_steps // recipe.n_envs)
    for turn in range(round(replay.share / (1.0 - replay.share) * own)):
        which = np.arange(turn * portfolios, (turn + 1) * portfolios) % len(replay.inputs)
        rows = portfolios * replay.inputs.shape[1]
        model.replay_buffer.add(  # type: ignore[union-attr]
            replay.inputs[which].reshape(rows, -1),
            replay.after[which].reshape(rows, -1),
            replay.actions[0, which].reshape(rows, -1),
            replay.rewards[which].reshape(rows),
            np.zeros(rows),  # a week is never terminal
            [{}] * rows,
        )
