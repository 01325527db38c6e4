"""Training by the stacked learners: all members, on all weeks and on each half of them, side by side in one go."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from allocator_pipeline.allocators.ensemble import TiltEnsemble
from allocator_pipeline.allocators.policy import TRAINING_FILE, Policy, Shrinkage
from allocator_pipeline.allocators.recipes import DPGRecipe, PPORecipe, Recipe
from allocator_pipeline.allocators.tensors import fill, tensors_to_bytes
from allocator_pipeline.config import CostConfig
from allocator_pipeline.learners.base import Learner
from allocator_pipeline.learners.dpg import StackedDPG
from allocator_pipeline.learners.ppo import StackedPPO
from allocator_pipeline.learners.sac import StackedSAC
from allocator_pipeline.portfolio.scaler import StateScaler
from allocator_pipeline.portfolio.state import StateTensors
from allocator_pipeline.portfolio.tensor_market import TensorMarket, Window
from allocator_pipeline.training.crossfit import cross_fit, halves
from allocator_pipeline.training.drive import Observed, Trained, drive
from allocator_pipeline.training.models import training_tensors


def build_learner(recipe: Recipe, market: TensorMarket, seeds: list[int]) -> Learner:
    """Return untrained networks, one for each seed, on a market with as many learners."""
    if isinstance(recipe, PPORecipe):
        return StackedPPO(recipe, market, seeds)
    if isinstance(recipe, DPGRecipe):
        return StackedDPG(recipe, market, seeds)
    return StackedSAC(recipe, market, seeds)


def member_seeds(seed: int, part: int, members: int) -> list[int]:
    """Return a seed for each member of a part of the weeks, all different."""
    return np.random.SeedSequence([seed, part]).generate_state(members, np.uint32).tolist()


def make_learner(recipe: Recipe, windows: list[Window], costs: CostConfig, seed: int) -> Learner:
    """Return the untrained members of a recipe for each window: learner ``part * members + member``."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    market = TensorMarket(
        windows,
        [part for part in range(len(windows)) for _ in range(recipe.members)],
        costs,
        recipe.n_envs,
        episode_weeks=recipe.episode_weeks,
        device=device,
    )
    seeds = [number for part in range(len(windows)) for number in member_seeds(seed, part, recipe.members)]
    return build_learner(recipe, market, seeds)


def networks(recipe: Recipe) -> str:
    """Return how many networks take each of the steps that progress counts, for a label; nothing if it is one."""
    count = recipe.members * (3 if recipe.shrinkage else 1)
    return f" ({count} networks)" if count > 1 else ""


def train_stacked(recipe: Recipe, weeks: StateTensors, costs: CostConfig, seed: int, observed: Observed) -> Trained:
    """Train the members of a recipe and measure how much of their tilt to serve.

    Parameters
    ----------
    recipe : Recipe
        With the ``stacked`` engine.
    weeks : StateTensors
        Training weeks.
    costs : CostConfig
    seed : int
    observed : Observed
        Where progress, checkpoints and scalars go.

    Returns
    -------
    Trained
        The policy, and its files with what fine-tuning continues from.

    Raises
    ------
    TrainingDivergedError
        If a number stops being finite.
    """
    parts = [weeks, *halves(weeks)] if recipe.shrinkage else [weeks]
    windows = [Window(part, StateScaler.fit(part)) for part in parts]
    learner = make_learner(recipe, windows, costs, seed)
    drive(learner, observed)
    symbols = tuple(weeks.symbols[-1].tolist())
    policies = [
        Policy(recipe, costs, window.scaler, symbols, TiltEnsemble(recipe, _members(learner.actor, recipe, part)))
        for part, window in enumerate(windows)
    ]
    served = policies[0]
    if recipe.shrinkage:
        _, earlier, later = policies
        served = _with(served, cross_fit([(later, parts[1]), (earlier, parts[2])]))
    return Trained(served, policy_files(served, learner))


def continue_stacked(
    prior: Policy,
    recipe: Recipe,
    files: Mapping[str, bytes],
    weeks: StateTensors,
    starting: Mapping[str, Mapping[str, float]],
    seed: int,
    observed: Observed,
) -> Trained:
    """Train the members of a stored policy further; scaler and shrinkage stay.

    Parameters
    ----------
    prior : Policy
    recipe : Recipe
        How to train now.
    files : mapping of str to bytes
        The prior's, with the optimisers (and SAC's alpha) that go on.
    weeks : StateTensors
    starting : mapping of str to Holdings
        What was really held in a week.
    seed : int
    observed : Observed

    Raises
    ------
    CorruptArtifactError
        If the files do not fit.
    TrainingDivergedError
        If a number stops being finite.
    """
    learner = make_learner(recipe, [Window(weeks, prior.scaler, starting)], prior.costs, seed)
    fill(learner.trained(), training_tensors(files), TRAINING_FILE)
    drive(learner, observed)
    network = TiltEnsemble(prior.recipe, _members(learner.actor, recipe, 0))
    symbols = tuple(weeks.symbols[-1].tolist())
    policy = Policy(prior.recipe, prior.costs, prior.scaler, symbols, network, prior.shrinkage)
    return Trained(policy, policy_files(policy, learner))


def policy_files(policy: Policy, learner: Learner) -> dict[str, bytes]:
    """Return the files of a policy and of what fine-tuning needs to continue its members' training."""
    kept = _members(learner.trained(), policy.recipe, 0)
    return {**policy.to_files(), TRAINING_FILE: tensors_to_bytes(kept)}


def _members(tensors: Mapping[str, torch.Tensor], recipe: Recipe, part: int) -> dict[str, torch.Tensor]:
    """Return the numbers of a part's members; counters belong to all."""
    rows = slice(part * recipe.members, (part + 1) * recipe.members)
    return {name: (value[rows] if value.dim() else value).detach().cpu() for name, value in tensors.items()}


def _with(policy: Policy, found: Shrinkage) -> Policy:
    return Policy(policy.recipe, policy.costs, policy.scaler, policy.symbols, policy.network, found)
