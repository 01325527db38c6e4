"""The environment that a recipe trains in."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from stable_baselines3.common.vec_env import VecEnv

from allocator_pipeline.allocators.recipes import DPGRecipe, Recipe, SACRecipe
from allocator_pipeline.config import CostConfig
from allocator_pipeline.portfolio.agents_env import AgentsVecEnv
from allocator_pipeline.portfolio.constraints import N_ASSETS
from allocator_pipeline.portfolio.scaler import StateScaler
from allocator_pipeline.portfolio.state import StateTensors
from allocator_pipeline.portfolio.vec_env import PortfolioVecEnv


def training_env(
    recipe: Recipe,
    states: StateTensors,
    scaler: StateScaler,
    costs: CostConfig,
    starting: Mapping[str, Mapping[str, float]] | None = None,
    start_weights: np.ndarray | None = None,
) -> VecEnv:
    """Return the environment of a recipe over some weeks.

    Parameters
    ----------
    recipe : Recipe
    states : StateTensors
        Weeks with known returns.
    scaler : StateScaler
    costs : CostConfig
    starting : mapping of str to Holdings, optional
        What is held when an episode starts in a week; all cash where absent.
    start_weights : ndarray, optional
        How often an episode starts in each week that leaves room for it; equally often if absent.
    """
    if recipe.view == "flat":
        return PortfolioVecEnv(
            states,
            scaler,
            costs,
            recipe.n_envs,
            episode_weeks=recipe.episode_weeks,
            action_bound=recipe.action_bound,
            starting=starting,
            objective=recipe.objective,
            start_weights=start_weights,
        )
    return AgentsVecEnv(
        states,
        scaler,
        costs,
        recipe.n_envs,
        episode_weeks=recipe.episode_weeks,
        action_bound=recipe.action_bound,
        starting=starting,
        objective=recipe.objective,
        start_weights=start_weights,
        reward_factor=recipe.reward_scale if isinstance(recipe, SACRecipe) else 1.0,
        bootstrap=not isinstance(recipe, DPGRecipe) and recipe.gamma > 0,
    )


def rows_per_step(recipe: Recipe) -> int:
    """Return how many network decisions one environment step takes."""
    return 1 if recipe.view == "flat" else N_ASSETS
