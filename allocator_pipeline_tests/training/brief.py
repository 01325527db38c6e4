"""Trains one short recipe of each kind under a checkpoint."""

from __future__ import annotations

import dataclasses
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from safetensors.torch import save

from allocator_pipeline.allocators.recipes import RECIPES, DPGRecipe, PPORecipe, Recipe, SACRecipe
from allocator_pipeline.config import CostConfig
from allocator_pipeline.learners.base import Learner
from allocator_pipeline.learners.dpg import StackedDPG
from allocator_pipeline.learners.ppo import StackedPPO
from allocator_pipeline.learners.sac import StackedSAC
from allocator_pipeline.portfolio.objective import Objective
from allocator_pipeline.portfolio.scaler import StateScaler
from allocator_pipeline.portfolio.tensor_market import TensorMarket, Window
from allocator_pipeline.training.checkpoints import Checkpoint
from allocator_pipeline.training.drive import Observed, drive
from allocator_pipeline.training.drive_sb3 import ResumableModel, learn
from allocator_pipeline.training.environments import rows_per_step, training_env
from allocator_pipeline.training.models import Model, build_model
from allocator_pipeline.training.progress import Progress, silent
from allocator_pipeline_tests.portfolio.conftest import make_states

WEEKS = 13
STATES = make_states(60)  # once: building the calendar takes longer than a training
PENALTIES = Objective(volatility=0.1, drawdown=0.2)
CHANGES: dict[str, tuple[tuple[str, str], dict[str, object]]] = {
    "ppo": (
        ("ppo", "default"),
        {"n_envs": 4, "rollout_steps": WEEKS, "batch_size": 256, "total_steps": 12 * 4 * WEEKS},
    ),
    "sac": (("sac", "default"), {"n_envs": 4, "warmup_steps": 80, "total_steps": 400, "batch_size": 64, "gamma": 0.9}),
    "dpg": (("dpg", "default"), {"n_envs": 4, "total_steps": 12 * 4 * WEEKS, "objective": PENALTIES}),
    "ppo-reference": (("ppo", "reference"), {"total_steps": 8 * 52, "episode_weeks": WEEKS, "objective": PENALTIES}),
    "sac-reference": (("sac", "reference"), {"total_steps": 120, "warmup_steps": 30, "buffer_steps": 70}),
    "sac-agents": (("sac", "default_sb3"), {"n_envs": 2, "warmup_steps": 40, "total_steps": 100}),
    "ppo-agents": (("ppo", "default_sb3"), {"n_envs": 2, "rollout_steps": 5, "batch_size": 80, "total_steps": 80}),
}
STACKED = ("ppo", "sac", "dpg")
FILL_STEPS = {"sac-agents": 20}


def brief(kind: str) -> Recipe:
    key, changes = CHANGES[kind]
    found: Recipe = dataclasses.replace(RECIPES[key], **{"episode_weeks": WEEKS, **changes})
    return found


def make_learner(kind: str, recipe: Recipe) -> Learner:
    market = TensorMarket(
        [Window(part, StateScaler.fit(part)) for part in (STATES, STATES[:40])],
        [0, 1],
        CostConfig(),
        recipe.n_envs,
        episode_weeks=recipe.episode_weeks,
    )
    if isinstance(recipe, PPORecipe):
        return StackedPPO(recipe, market, [1, 2])
    if isinstance(recipe, DPGRecipe):
        return StackedDPG(recipe, market, [1, 2])
    return StackedSAC(recipe, market, [1, 2])


def make_model(recipe: Recipe) -> Model:
    return build_model(recipe, training_env(recipe, STATES, StateScaler.fit(STATES), CostConfig()), 7)


def train(kind: str, path: Path | None, progress: Progress = silent, every_seconds: float = 0.0) -> bytes:
    """Train to the end and return all that was trained, as bytes."""
    torch.set_num_threads(1)
    recipe = brief(kind)
    checkpoint = None if path is None else Checkpoint(path, f"of {kind}", every_seconds, progress)
    observed = Observed(kind, progress, checkpoint)
    trained: dict[str, torch.Tensor]
    if kind in STACKED:
        learner = make_learner(kind, recipe)
        drive(learner, observed)
        trained = learner.trained()
    else:
        model = make_model(recipe)
        learn(model, recipe.total_steps, rows_per_step(recipe), observed, FILL_STEPS.get(kind, 0))
        assert isinstance(recipe, PPORecipe | SACRecipe)
        trained = ResumableModel(model).trained()
    return save({name: tensor.detach().clone().contiguous() for name, tensor in trained.items()})


def train_and_tell(kind: str, path: Path, heard: Connection) -> None:
    """Train in a process of its own; send what is said, and then what was trained."""
    heard.send_bytes(train(kind, path, lambda message: heard.send_bytes(message.encode())))
