"""Full training: a new scaler and a new network, on all the weeks through a year."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import torch

from allocator_pipeline.allocators.policy import Policy
from allocator_pipeline.allocators.recipes import Recipe, recipe, recipe_values
from allocator_pipeline.artifact import Artifact, Identity
from allocator_pipeline.config import CostConfig, algorithm_of
from allocator_pipeline.errors import ConfigurationError
from allocator_pipeline.portfolio.objective import Objective
from allocator_pipeline.portfolio.rollout import simulate
from allocator_pipeline.portfolio.state import StateTensors
from allocator_pipeline.training.by_sb3 import train_sb3
from allocator_pipeline.training.drive import observe
from allocator_pipeline.training.progress import Progress, silent
from allocator_pipeline.training.stacked import networks, train_stacked
from allocator_pipeline.training.weeks import last_exit, training_weeks

MAX_SEED = 2**32
"""Seeds are below it: numpy and stable-baselines3 take no others."""

METRIC_WEEKS = 52


def full_identity(
    allocator: str,
    year: int,
    states: StateTensors,
    recipe_name: str,
    seed: int = 42,
    costs: CostConfig | None = None,
    min_years: int = 10,
    objective: Objective | None = None,
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
    recipe_name : str
        ``"default"``, ``"reference"`` or another of `allocators.recipes.RECIPES`.
    seed : int
    costs : CostConfig, optional
    min_years : int
        Calendar years of states that are needed.
    objective : Objective, optional
        In place of the recipe's.

    Raises
    ------
    NotEnoughDataError
        If there are fewer years, or a week is absent.
    ConfigurationError
        If there is no such recipe.
    """
    chosen = _chosen(allocator, recipe_name, seed, objective)
    return _identity(allocator, year, training_weeks(states, year, min_years), chosen, seed, costs or CostConfig())


def train_full(
    allocator: str,
    year: int,
    states: StateTensors,
    recipe_name: str,
    seed: int = 42,
    costs: CostConfig | None = None,
    min_years: int = 10,
    progress: Progress = silent,
    *,
    objective: Objective | None = None,
    checkpoints: Path | None = None,
    tensorboard: Path | None = None,
) -> Artifact:
    """Train the policy of a year; equal arguments give equal bytes.

    Parameters are those of `full_identity`, and:

    Parameters
    ----------
    progress : callable
        Receives steps done, speed and time left.
    checkpoints : Path, optional
        Folder in which an interrupted training leaves off and goes on.
    tensorboard : Path, optional
        Folder for TensorBoard's scalars.

    Returns
    -------
    Artifact
        Files ``policy.json``, ``policy.safetensors`` and ``training.safetensors``; the caller stores it.

    Raises
    ------
    NotEnoughDataError, ConfigurationError
        As `full_identity`.
    TrainingDivergedError
        If a number stops being finite.
    """
    costs = costs or CostConfig()
    weeks = training_weeks(states, year, min_years)
    chosen = _chosen(allocator, recipe_name, seed, objective)
    identity = _identity(allocator, year, weeks, chosen, seed, costs)
    torch.set_num_threads(1)
    label = f"{allocator} {year} {recipe_name}{networks(chosen)}"
    observed = observe(identity, label, progress, checkpoints, tensorboard)
    train = train_stacked if chosen.engine == "stacked" else train_sb3
    trained = train(chosen, weeks, costs, seed, observed)
    return Artifact(identity, trained.files, _facts(year, weeks, recipe_name) | measured(trained.policy, weeks))


def _chosen(allocator: str, recipe_name: str, seed: int, objective: Objective | None) -> Recipe:
    if not 0 <= seed < MAX_SEED:
        raise ConfigurationError(f"The seed is {seed}.", todo=f"choose one from 0 to {MAX_SEED - 1}.")
    chosen = recipe(algorithm_of(allocator), recipe_name)
    return chosen if objective is None else dataclasses.replace(chosen, objective=objective)


def _identity(allocator: str, year: int, weeks: StateTensors, chosen: Recipe, seed: int, costs: CostConfig) -> Identity:
    algorithm = algorithm_of(allocator)
    return Identity(
        kind="policy",
        name=allocator,
        cutoff=last_exit(weeks),
        config={
            "algorithm": algorithm,
            "recipe": recipe_values(chosen),
            "scaler": "pooled",
            "costs": dataclasses.asdict(costs),
            "seed": seed,
            "year": year,
        },
        data=weeks.digest(),
    )


def measured(policy: Policy, weeks: StateTensors, name: str = "last_year_in_sample") -> dict[str, Any]:
    """Return what the manifest says was measured, all of it from the finished policy and its training weeks.

    Their last year in sample, and the evidence for the share of the tilt that is served.

    Parameters
    ----------
    policy : Policy
    weeks : StateTensors
    name : str
        Of the weeks in sample, where they are no year.
    """
    walk = simulate(policy.target_weights, weeks[-METRIC_WEEKS:], policy.costs)
    facts: dict[str, Any] = {
        name: {
            "net_return": float(np.prod(1.0 + walk.net) - 1.0),
            "weekly_turnover": float(walk.turnover.mean()),
        }
    }
    found = policy.shrinkage
    if found.weeks:
        facts |= {"served_share": found.share, "cross_fit_t": found.t, "cross_fit_weeks": found.weeks}
    return facts


def _facts(year: int, weeks: StateTensors, recipe_name: str) -> dict[str, Any]:
    return {
        "year": year,
        "recipe": recipe_name,
        "first_week": str(weeks.weeks[0]),
        "last_week": str(weeks.weeks[-1]),
        "weeks": len(weeks),
        "symbols": weeks.symbols[-1].tolist(),
    }
