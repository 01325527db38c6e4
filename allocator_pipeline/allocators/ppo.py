"""PPO of stable-baselines3, built from a recipe.

Schulman, Wolski, Dhariwal, Radford, Klimov (2017), Proximal Policy Optimization Algorithms, arXiv:1707.06347.
"""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import VecEnv

from allocator_pipeline.allocators.networks import dropping_features
from allocator_pipeline.allocators.recipes import PPORecipe
from allocator_pipeline.allocators.tensors import adam_tensors

VALUE_WEIGHT = 0.5
"""Weight of the value network's loss beside the policy's."""

ACTIVATIONS = {"tanh": torch.nn.Tanh, "relu": torch.nn.ReLU}


def _policy_kwargs(recipe: PPORecipe) -> dict[str, Any]:
    sizes = list(recipe.hidden_sizes)
    return {
        "net_arch": {"pi": sizes, "vf": sizes if recipe.critic else []},
        "activation_fn": ACTIVATIONS[recipe.activation],
        "log_std_init": recipe.log_std_init,
    }


def build(recipe: PPORecipe, env: VecEnv, seed: int) -> PPO:
    """Return an untrained PPO on an environment; without a critic its values are exactly 0 and stay so."""
    rate = recipe.learning_rate
    model = PPO(
        "MlpPolicy",
        env,
        learning_rate=LinearSchedule(rate, 0.0, 1.0) if recipe.decay else rate,
        n_steps=recipe.rollout_steps,
        # A batch larger than the rollout (64 of 52 in the plan's table) is the whole rollout.
        batch_size=min(recipe.batch_size, recipe.rollout_steps * env.num_envs),
        n_epochs=recipe.n_epochs,
        gamma=recipe.gamma,
        gae_lambda=recipe.gae_lambda,
        clip_range=recipe.clip_range,
        ent_coef=recipe.ent_coef,
        vf_coef=VALUE_WEIGHT if recipe.critic else 0.0,
        policy_kwargs=_policy_kwargs(recipe),
        seed=seed,
        device="cpu",
    )
    if not recipe.critic:
        torch.nn.init.zeros_(model.policy.value_net.weight)
        torch.nn.init.zeros_(model.policy.value_net.bias)
    first = next(model.policy.mlp_extractor.policy_net.parameters())
    dropping_features(model.policy.optimizer, first, recipe.feature_penalty)
    return model


def network(recipe: PPORecipe, observation_space: spaces.Box, action_space: spaces.Box) -> ActorCriticPolicy:
    """Return the network alone, as `build` makes it, for serving; the global random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        return ActorCriticPolicy(observation_space, action_space, lambda _: 0.0, **_policy_kwargs(recipe))


def training_state(model: PPO) -> dict[str, torch.Tensor]:
    """Return the tensors beside the network's that continued training needs: Adam's."""
    return adam_tensors(model.policy.optimizer, "policy_optimizer")
