from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO

from allocator_pipeline.allocators import ppo
from allocator_pipeline.allocators.policy import action_space, observation_space
from allocator_pipeline.allocators.recipes import PPORecipe, recipe
from allocator_pipeline.config import CostConfig
from allocator_pipeline.portfolio.agents_env import AgentsVecEnv
from allocator_pipeline.portfolio.scaler import StateScaler
from allocator_pipeline.portfolio.vec_env import PortfolioVecEnv
from allocator_pipeline.studies.planted import planted_states

STATES = planted_states(1, 60, 0.1)
SCALER = StateScaler.fit(STATES)


def chosen(name: str) -> PPORecipe:
    found = recipe("ppo", name)
    assert isinstance(found, PPORecipe)
    return found


def reference_model() -> PPO:
    return ppo.build(chosen("reference"), PortfolioVecEnv(STATES, SCALER, CostConfig(), 1), seed=1)


def test_reference_builds_the_plans_algorithm() -> None:
    model = reference_model()
    sizes = [tuple(parameter.shape) for name, parameter in model.policy.named_parameters() if "policy_net" in name]
    assert sizes == [(64, 136), (64,), (64, 64), (64,)]
    assert isinstance(model.policy.mlp_extractor.policy_net[1], torch.nn.Tanh)
    assert model.policy.action_net.out_features == 16
    assert (model.n_steps, model.n_epochs, model.gamma, model.gae_lambda) == (52, 10, 0.99, 0.95)
    assert model.batch_size == 52  # 64 is more than a rollout has
    assert model.clip_range(1.0) == model.clip_range(0.0) == 0.2
    assert model.lr_schedule(1.0) == model.lr_schedule(0.0) == 3e-4


def test_default_is_one_small_network_for_all_assets() -> None:
    wanted = chosen("default_sb3")
    model = ppo.build(wanted, AgentsVecEnv(STATES, SCALER, CostConfig(), 2), seed=1)
    hidden = wanted.hidden_sizes[0]
    parameters = model.policy.mlp_extractor.policy_net.parameters()
    assert sum(parameter.numel() for parameter in parameters) == hidden * 10 + hidden
    assert model.lr_schedule(1.0) == wanted.learning_rate
    assert model.lr_schedule(0.0) == 0.0


def test_without_a_critic_values_are_zero_and_stay_so() -> None:
    wanted = dataclasses.replace(
        chosen("default_sb3"), critic=False, episode_weeks=10, rollout_steps=10, gamma=0.9, batch_size=160, n_epochs=2
    )
    env = AgentsVecEnv(STATES, SCALER, CostConfig(), 2, episode_weeks=10, action_bound=wanted.action_bound)
    model = ppo.build(wanted, env, seed=1)
    before = {name: value.clone() for name, value in model.policy.state_dict().items()}
    model.learn(640)
    after = model.policy.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if "value" not in name}
    assert not any(name.startswith("mlp_extractor.value_net") for name in before)
    assert not model.policy.predict_values(torch.randn(50, 10)).any()


@pytest.mark.parametrize("name", ["reference", "default"])
def test_serving_builds_the_network_that_training_builds(name: str) -> None:
    wanted = chosen(name)
    torch.manual_seed(5)
    state = torch.get_rng_state()
    served = ppo.network(wanted, observation_space(wanted), action_space(wanted))
    assert torch.equal(torch.get_rng_state(), state)
    env = (
        PortfolioVecEnv(STATES, SCALER, CostConfig(), 1, action_bound=wanted.action_bound)
        if wanted.view == "flat"
        else AgentsVecEnv(STATES, SCALER, CostConfig(), 2, action_bound=wanted.action_bound)
    )
    trained = ppo.build(wanted, env, 1).policy
    assert {k: v.shape for k, v in served.state_dict().items()} == {k: v.shape for k, v in trained.state_dict().items()}
    served.load_state_dict(trained.state_dict())
    seen = np.random.default_rng(0).normal(size=(8, *env.observation_space.shape)).astype(np.float32)
    np.testing.assert_array_equal(
        served.predict(seen, deterministic=True)[0], trained.predict(seen, deterministic=True)[0]
    )


def test_training_state_is_the_optimisers_own() -> None:
    model = reference_model()
    tensors = ppo.training_state(model)
    count = len(list(model.policy.parameters()))
    assert len(tensors) == 3 * count
    assert float(tensors["policy_optimizer.0.step"]) == 0.0
    model.learn(52)
    assert float(tensors["policy_optimizer.0.step"]) == 10.0  # the same tensor, stepped
