"""Full training: a new scaler and a new network, on all the weeks through a year."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch

from allocator_pipeline.allocators.policy import Policy
from allocator_pipeline.allocators.recipes import recipe, recipe_values
from allocator_pipeline.artifact import Artifact, Identity
from allocator_pipeline.config import CostConfig, algorithm_of
from allocator_pipeline.portfolio.scaler import StateScaler
from allocator_pipeline.portfolio.state import StateTensors
from allocator_pipeline.training.environments import rows_per_step, training_env
from allocator_pipeline.training.models import build_model, policy_files
from allocator_pipeline.training.progress import Progress, learn, silent
from allocator_pipeline.training.weeks import last_exit, training_weeks


def full_identity(
    allocator: str,
    year: int,
    states: StateTensors,
    recipe_name: str,
    seed: int = 42,
    costs: CostConfig | None = None,
    min_years: int = 10,
) -> Identity:
    """Return what the policy of a year is made of, and so its version, without training it.

    Parameters
    ----------
    allocator : str
        Such as ``"ppo_lstm"``.
    year : int
        Year of the policy: it is trained on the weeks through it.
    states : StateTensors
        All the successive weeks there are up to that year; later ones are ignored.
    recipe_name : {"default", "reference"}
    seed : int
    costs : CostConfig, optional
    min_years : int
        Calendar years of states that are needed.

    Raises
    ------
    NotEnoughDataError
        If there are fewer years, or a week is absent.
    ConfigurationError
        If there is no such recipe.
    """
    return _identity(allocator, year, training_weeks(states, year, min_years), recipe_name, seed, costs or CostConfig())


def train_full(
    allocator: str,
    year: int,
    states: StateTensors,
    recipe_name: str,
    seed: int = 42,
    costs: CostConfig | None = None,
    min_years: int = 10,
    progress: Progress = silent,
) -> Artifact:
    """Train the policy of a year; equal arguments give equal bytes.

    Parameters are those of `full_identity`, and ``progress`` that receives a message after each tenth of the steps.

    Returns
    -------
    Artifact
        Files ``policy.json``, ``policy.safetensors`` and ``training.safetensors``; nothing is written to disk.

    Raises
    ------
    NotEnoughDataError, ConfigurationError
        As `full_identity`.
    WeightsError
        If training diverges.
    """
    costs = costs or CostConfig()
    weeks = training_weeks(states, year, min_years)
    identity = _identity(allocator, year, weeks, recipe_name, seed, costs)
    chosen = recipe(algorithm_of(allocator), recipe_name)
    torch.set_num_threads(1)
    scaler = StateScaler.fit(weeks)
    env = training_env(chosen, weeks, scaler, costs)
    model = build_model(chosen, env, seed)
    learn(model, chosen.total_steps, rows_per_step(chosen), f"{allocator} {year} {recipe_name}", progress)
    policy = Policy(chosen, costs, scaler, tuple(weeks.symbols[-1].tolist()), model.policy)
    return Artifact(identity, policy_files(policy, model), _facts(year, weeks, recipe_name))


def _identity(
    allocator: str, year: int, weeks: StateTensors, recipe_name: str, seed: int, costs: CostConfig
) -> Identity:
    algorithm = algorithm_of(allocator)
    return Identity(
        kind="policy",
        name=allocator,
        cutoff=last_exit(weeks),
        config={
            "algorithm": algorithm,
            "recipe": recipe_values(recipe(algorithm, recipe_name)),
            "scaler": "pooled",
            "costs": dataclasses.asdict(costs),
            "seed": seed,
            "year": year,
        },
        data=weeks.digest(),
    )


def _facts(year: int, weeks: StateTensors, recipe_name: str) -> dict[str, Any]:
    return {
        "year": year,
        "recipe": recipe_name,
        "first_week": str(weeks.weeks[0]),
        "last_week": str(weeks.weeks[-1]),
        "weeks": len(weeks),
        "symbols": weeks.symbols[-1].tolist(),
    }
