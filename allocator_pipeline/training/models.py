"""Models in training: built from a recipe, restored from a policy's files, and written to them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.vec_env import VecEnv

from allocator_pipeline.allocators import ppo, sac
from allocator_pipeline.allocators.policy import TRAINING_FILE, Policy
from allocator_pipeline.allocators.recipes import PPORecipe, Recipe, SACRecipe
from allocator_pipeline.allocators.tensors import fill, tensors_from_bytes, tensors_to_bytes
from allocator_pipeline.errors import ConfigurationError, CorruptArtifactError

Model = PPO | SAC


def build_model(recipe: Recipe, env: VecEnv, seed: int) -> Model:
    """Return an untrained model on an environment."""
    if isinstance(recipe, SACRecipe):
        return sac.build(recipe, env, seed)
    if isinstance(recipe, PPORecipe):
        return ppo.build(recipe, env, seed)
    raise ConfigurationError("stable-baselines3 has no gradient through the market.", todo="use the stacked engine.")


def training_state(model: Model) -> dict[str, torch.Tensor]:
    """Return the tensors beside the network's that continued training needs; they are the model's own, not copies."""
    return sac.training_state(model) if isinstance(model, SAC) else ppo.training_state(model)


def policy_files(policy: Policy, model: Model) -> dict[str, bytes]:
    """Return the files of a policy and of what fine-tuning needs to continue its training."""
    return {**policy.to_files(), TRAINING_FILE: tensors_to_bytes(training_state(model))}


def restore(model: Model, policy: Policy, files: Mapping[str, bytes]) -> None:
    """Put a model where the training of a stored policy ended: network, optimisers and, for SAC, alpha.

    Raises
    ------
    CorruptArtifactError
        If ``training.safetensors`` is absent or does not fit.
    """
    stored = training_tensors(files)
    fill(model.policy.state_dict(), policy.network.state_dict(), "the policy")
    fill(training_state(model), stored, TRAINING_FILE)


def training_tensors(files: Mapping[str, bytes]) -> dict[str, torch.Tensor]:
    """Return the tensors that continued training needs.

    Raises
    ------
    CorruptArtifactError
        If ``training.safetensors`` is absent or damaged.
    """
    if TRAINING_FILE not in files:
        raise CorruptArtifactError(f"{TRAINING_FILE} is absent.", todo="train the policy again.", source=TRAINING_FILE)
    return tensors_from_bytes(files[TRAINING_FILE], TRAINING_FILE)
