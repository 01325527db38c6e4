"""Training by the stacked learners: all members, and the networks of the cross-fit, side by side in one go."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch

from allocator_pipeline.allocators.ensemble import TiltEnsemble
from allocator_pipeline.allocators.policy import TRAINING_FILE, Policy
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
from allocator_pipeline.training.crossfit import cross_fit, folds
from allocator_pipeline.training.drive import Observed, Trained, drive
from allocator_pipeline.training.labelled import Recalled, Replay
from allocator_pipeline.training.models import training_tensors


def build_learner(recipe: Recipe, market: TensorMarket, seeds: list[int]) -> Learner:
    """Return untrained networks, one for each seed, on a market with as many learners."""
    if isinstance(recipe, PPORecipe):
        return StackedPPO(recipe, market, seeds)
    if isinstance(recipe, DPGRecipe):
        return StackedDPG(recipe, market, seeds)
    return StackedSAC(recipe, market, seeds)


def member_seeds(seed: int, window: int, count: int) -> list[int]:
    """Return a seed for each network of a window, all different."""
    return np.random.SeedSequence([seed, window]).generate_state(count, np.uint32).tolist()


class Part(NamedTuple):
    """Weeks that some networks of a training learn from.

    Parameters
    ----------
    weeks : StateTensors
    networks : int
    """

    weeks: StateTensors
    networks: int


def parts_of(recipe: Recipe, weeks: StateTensors) -> list[Part]:
    """Return what a training learns from: all weeks for the members, and for the cross-fit all but each fold."""
    return [Part(weeks, recipe.members), *(Part(fold.rest, 1) for fold in folds(weeks, recipe.folds))]


def windows_of(parts: Sequence[Part]) -> list[Window]:
    """Return the weeks of each part with a scaler fitted on them."""
    return [Window(part.weeks, StateScaler.fit(part.weeks)) for part in parts]


def make_learner(
    recipe: Recipe,
    windows: Sequence[Window],
    networks: Sequence[int],
    costs: CostConfig,
    seed: int,
    device: str | None = None,
) -> Learner:
    """Return untrained networks, so many for each window, in the order of the windows.

    Parameters
    ----------
    recipe : Recipe
    windows : sequence of Window
    networks : sequence of int
        How many for each.
    costs : CostConfig
    seed : int
    device : str, optional
        A GPU where there is one, else the CPU, if not given.
    """
    market = TensorMarket(
        windows,
        [window for window, count in enumerate(networks) for _ in range(count)],
        costs,
        recipe.n_envs,
        episode_weeks=recipe.episode_weeks,
        device=device or ("cuda" if torch.cuda.is_available() else "cpu"),
    )
    seeds = [number for window, count in enumerate(networks) for number in member_seeds(seed, window, count)]
    return build_learner(recipe, market, seeds)


def networks(recipe: Recipe) -> str:
    """Return how many networks take each of the steps that progress counts, for a label; nothing if it is one."""
    count = recipe.members + recipe.folds
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
    parts = parts_of(recipe, weeks)
    windows = windows_of(parts)
    learner = make_learner(recipe, windows, [part.networks for part in parts], costs, seed)
    drive(learner, observed)
    served = served_policy(recipe, learner, windows, weeks, costs)
    return Trained(served, policy_files(served, learner))


def served_policy(
    recipe: Recipe, learner: Learner, windows: Sequence[Window], weeks: StateTensors, costs: CostConfig
) -> Policy:
    """Return the members as a policy, shrunk by what the networks of the cross-fit, if there are any, earn.

    Parameters
    ----------
    recipe : Recipe
    learner : Learner
        On the windows of `parts_of`.
    windows : sequence of Window
    weeks : StateTensors
        All training weeks.
    costs : CostConfig
    """
    symbols = tuple(weeks.symbols[-1].tolist())

    def policy(of: Recipe, scaler: StateScaler, first: int) -> Policy:
        return Policy(of, costs, scaler, symbols, TiltEnsemble(of, _rows(learner.actor, first, of.members)))

    members = policy(recipe, windows[0].scaler, 0)
    if not recipe.folds:
        return members
    alone = dataclasses.replace(recipe, members=1, folds=0)
    judges = [policy(alone, window.scaler, recipe.members + k) for k, window in enumerate(windows[1:])]
    judged = [(judge, fold.unseen) for judge, fold in zip(judges, folds(weeks, recipe.folds), strict=True)]
    return dataclasses.replace(members, shrinkage=cross_fit(judged))


def continue_stacked(
    prior: Policy,
    recipe: Recipe,
    files: Mapping[str, bytes],
    weeks: StateTensors,
    recalled: Recalled,
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
    recalled : Recalled
        Labelled experience.
    seed : int
    observed : Observed

    Raises
    ------
    CorruptArtifactError
        If the files do not fit.
    TrainingDivergedError
        If a number stops being finite.
    """
    window = Window(weeks, prior.scaler, recalled.starting, recalled.start_weights)
    learner = make_learner(recipe, [window], [recipe.members], prior.costs, seed)
    fill(learner.trained(), training_tensors(files), TRAINING_FILE)
    if isinstance(learner, StackedSAC) and recalled.replay is not None:
        _remember(learner, recalled.replay)
    drive(learner, observed)
    network = TiltEnsemble(prior.recipe, _rows(learner.actor, 0, recipe.members))
    symbols = tuple(weeks.symbols[-1].tolist())
    policy = Policy(prior.recipe, prior.costs, prior.scaler, symbols, network, prior.shrinkage)
    return Trained(policy, policy_files(policy, learner))


def _remember(learner: StackedSAC, replay: Replay) -> None:
    """Give recorded weeks to every member."""
    members = len(replay.actions)
    inputs, after, rewards = (
        torch.from_numpy(part).expand(members, *part.shape) for part in (replay.inputs, replay.after, replay.rewards)
    )
    actions = torch.from_numpy(replay.actions)[..., None].to(inputs)
    learner.remember(torch.cat([inputs, actions], -1), rewards, after, replay.share)


def policy_files(policy: Policy, learner: Learner) -> dict[str, bytes]:
    """Return the files of a policy and of what fine-tuning needs to continue its members' training."""
    kept = _rows(learner.trained(), 0, policy.recipe.members)
    return {**policy.to_files(), TRAINING_FILE: tensors_to_bytes(kept)}


def _rows(tensors: Mapping[str, torch.Tensor], first: int, count: int) -> dict[str, torch.Tensor]:
    """Return the numbers of some of the learners; counters belong to all."""
    rows = slice(first, first + count)
    return {name: (value[rows] if value.dim() else value).detach().cpu() for name, value in tensors.items()}
