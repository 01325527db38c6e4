from __future__ import annotations

import pytest
import torch
from stable_baselines3 import SAC
from stable_baselines3.sac import policies

from allocator_pipeline.allocators import sac
from allocator_pipeline.allocators.policy import action_space, observation_space
from allocator_pipeline.allocators.recipes import SACRecipe, recipe
from allocator_pipeline.config import CostConfig
from allocator_pipeline.errors import ConfigurationError
from allocator_pipeline.portfolio.agents_env import AgentsVecEnv
from allocator_pipeline.portfolio.scaler import StateScaler
from allocator_pipeline.portfolio.vec_env import PortfolioVecEnv
from allocator_pipeline.studies.planted import planted_states

STATES = planted_states(1, 60, 0.1)
SCALER = StateScaler.fit(STATES)


def chosen(name: str) -> SACRecipe:
    found = recipe("sac", name)
    assert isinstance(found, SACRecipe)
    return found


def reference_model() -> SAC:
    return sac.build(chosen("reference"), PortfolioVecEnv(STATES, SCALER, CostConfig(), 1), seed=1)


def default_model() -> SAC:
    wanted = chosen("default")
    return sac.build(wanted, AgentsVecEnv(STATES, SCALER, CostConfig(), wanted.n_envs), seed=1)


def test_reference_builds_the_plans_algorithm() -> None:
    model = reference_model()
    actor = [tuple(parameter.shape) for parameter in model.actor.parameters()]
    assert actor == [(64, 136), (64,), (64, 64), (64,), (16, 64), (16,), (16, 64), (16,)]
    assert next(tuple(p.shape) for p in model.critic.q_networks[1].parameters()) == (64, 136 + 16)
    assert (policies.LOG_STD_MIN, policies.LOG_STD_MAX) == (-20, 2)
    assert (model.tau, model.gamma, model.batch_size) == (0.005, 0.99, 64)
    assert (model.replay_buffer.buffer_size, model.learning_starts) == (10_000, 100)
    assert float(model.log_ent_coef.detach().exp()) == pytest.approx(0.2)
    assert model.target_entropy == -16.0
    assert model.lr_schedule(1.0) == model.lr_schedule(0.0) == 3e-4


def test_weight_decay_excludes_alpha() -> None:
    model = reference_model()
    assert model.actor.optimizer.param_groups[0]["weight_decay"] == 1e-4
    assert model.critic.optimizer.param_groups[0]["weight_decay"] == 1e-4
    assert model.ent_coef_optimizer.param_groups[0]["weight_decay"] == 0.0


def test_default_counts_in_portfolio_weeks() -> None:
    model, wanted = default_model(), chosen("default")
    assert model.n_envs == 16 * wanted.n_envs
    assert model.learning_starts == 16 * wanted.warmup_steps
    assert model.replay_buffer.buffer_size * model.n_envs == 16 * wanted.buffer_steps
    assert model.target_entropy == -1.0


def test_alpha_in_the_training_state_is_the_one_that_is_learned() -> None:
    model = default_model()
    tensors = sac.training_state(model)
    assert tensors["log_alpha"] is model.log_ent_coef
    assert model.ent_coef_optimizer.param_groups[0]["params"][0] is tensors["log_alpha"]
    before = tensors["log_alpha"].detach().clone()
    model.learn(model.learning_starts + 2 * model.n_envs)
    assert float(tensors["alpha_optimizer.0.step"]) == 2.0
    assert not torch.equal(tensors["log_alpha"].detach(), before)


def test_a_fixed_alpha_is_refused() -> None:
    model = SAC("MlpPolicy", AgentsVecEnv(STATES, SCALER, CostConfig(), 1), ent_coef=0.1, buffer_size=100, device="cpu")
    with pytest.raises(ConfigurationError, match="does not learn its alpha"):
        sac.training_state(model)


@pytest.mark.parametrize("name", ["reference", "default"])
def test_serving_builds_the_networks_that_training_builds(name: str) -> None:
    wanted = chosen(name)
    torch.manual_seed(5)
    state = torch.get_rng_state()
    served = sac.network(wanted, observation_space(wanted), action_space(wanted))
    assert torch.equal(torch.get_rng_state(), state)
    trained = (reference_model() if name == "reference" else default_model()).policy
    assert {k: v.shape for k, v in served.state_dict().items()} == {k: v.shape for k, v in trained.state_dict().items()}
