"""SAC of stable-baselines3, built from a recipe.

Haarnoja et al. (2018), Soft Actor-Critic Algorithms and Applications, arXiv:1812.05905. Twin critics, Polyak-averaged
targets, a learned entropy coefficient alpha; log standard deviations are clamped to [-20, 2].
"""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3 import SAC
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.sac.policies import SACPolicy

from allocator_pipeline.allocators.networks import dropping_features
from allocator_pipeline.allocators.ppo import ACTIVATIONS
from allocator_pipeline.allocators.recipes import SACRecipe
from allocator_pipeline.allocators.tensors import adam_tensors
from allocator_pipeline.errors import ConfigurationError


def _policy_kwargs(recipe: SACRecipe) -> dict[str, Any]:
    return {
        "net_arch": {"pi": list(recipe.actor_sizes), "qf": list(recipe.critic_sizes)},
        "activation_fn": ACTIVATIONS[recipe.activation],
        # The policy's own optimisers only: that of alpha is made apart, without decay.
        "optimizer_kwargs": {"weight_decay": recipe.weight_decay},
    }


def build(recipe: SACRecipe, env: VecEnv, seed: int) -> SAC:
    """Return an untrained SAC on an environment."""
    rows = env.num_envs // recipe.n_envs  # network decisions in one environment step
    rate = recipe.learning_rate
    model = SAC(
        "MlpPolicy",
        env,
        learning_rate=LinearSchedule(rate, 0.0, 1.0) if recipe.decay else rate,
        buffer_size=recipe.buffer_steps * rows,
        learning_starts=recipe.warmup_steps * rows if recipe.warmup == "random" else 0,
        batch_size=recipe.batch_size,
        tau=recipe.tau,
        gamma=recipe.gamma,
        train_freq=1,
        gradient_steps=1,
        ent_coef=f"auto_{recipe.init_alpha}",
        policy_kwargs=_policy_kwargs(recipe),
        seed=seed,
        device="cpu",
    )
    dropping_features(model.actor.optimizer, next(model.actor.latent_pi.parameters()), recipe.feature_penalty)
    return model


def network(recipe: SACRecipe, observation_space: spaces.Box, action_space: spaces.Box) -> SACPolicy:
    """Return the networks alone, as `build` makes them, for serving; the global random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        return SACPolicy(observation_space, action_space, lambda _: 0.0, **_policy_kwargs(recipe))


def training_state(model: SAC) -> dict[str, torch.Tensor]:
    """Return the tensors beside the networks' that continued training needs: alpha and three times Adam's.

    They are the very tensors that the optimisers hold. A copy of alpha would be trained in vain.
    """
    if model.log_ent_coef is None or model.ent_coef_optimizer is None:
        raise ConfigurationError("This SAC does not learn its alpha.", todo="build it from a recipe.")
    return {
        "log_alpha": model.log_ent_coef,
        **adam_tensors(model.actor.optimizer, "actor_optimizer"),
        **adam_tensors(model.critic.optimizer, "critic_optimizer"),
        **adam_tensors(model.ent_coef_optimizer, "alpha_optimizer"),
    }
