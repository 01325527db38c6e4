from __future__ import annotations

import torch

from allocator_pipeline.allocators import ppo, sac
from allocator_pipeline.allocators.networks import drop_features
from allocator_pipeline.allocators.recipes import PPO_DEFAULT, SAC_DEFAULT
from allocator_pipeline.config import CostConfig
from allocator_pipeline.portfolio.agents_env import AgentsVecEnv
from allocator_pipeline.portfolio.scaler import N_FEATURES, StateScaler
from allocator_pipeline.studies.planted import planted_states


def test_a_feature_loses_the_threshold_of_its_norm_and_is_dropped_below_it() -> None:
    weight = torch.randn(3, N_FEATURES + 2, 6, dtype=torch.float64)
    weight[1, 4] *= 1e-3
    before = weight.clone()
    drop_features(weight, 0.25)
    norm = before.norm(dim=-1)
    expected = before * (1.0 - 0.25 / norm).clamp(min=0.0)[..., None]
    torch.testing.assert_close(weight[:, :N_FEATURES], expected[:, :N_FEATURES])
    assert (weight[1, 4] == 0.0).all()
    torch.testing.assert_close(weight[:, N_FEATURES:], before[:, N_FEATURES:], atol=0, rtol=0)
    drop_features(weight, 0.25)
    assert torch.isfinite(weight).all()


def test_it_is_the_minimum_of_penalty_and_distance() -> None:
    """The definition of a proximal step: 1/2 |x - w|^2 + threshold * sum of norms, smallest where it leads."""
    start = torch.randn(N_FEATURES + 2, 5, dtype=torch.float64)
    found = start.clone()
    drop_features(found, 0.6)

    def worth(weight: torch.Tensor) -> torch.Tensor:
        return 0.5 * (weight - start).square().sum() + 0.6 * weight[:N_FEATURES].norm(dim=-1).sum()

    for _ in range(50):
        assert worth(found) <= worth(found + 0.05 * torch.randn_like(found))


def test_no_threshold_changes_nothing() -> None:
    weight = torch.randn(2, 10, 4)
    before = weight.clone()
    drop_features(weight, 0.0)
    assert torch.equal(weight, before)


def test_stable_baselines3_drops_features_after_each_step() -> None:
    states = planted_states(1, 120, 0.1)
    env = AgentsVecEnv(states, StateScaler.fit(states), CostConfig(), 2, episode_weeks=52)
    for model, layer, optimizer in (
        (built := ppo.build(PPO_DEFAULT, env, 0), built.policy.mlp_extractor.policy_net[0], built.policy.optimizer),
        (other := sac.build(SAC_DEFAULT, env, 0), other.actor.latent_pi[0], other.actor.optimizer),
    ):
        optimizer.param_groups[0]["lr"] = 1e3  # any feature falls below a threshold of that size
        for parameter in model.policy.parameters():
            parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
        assert (layer.weight[:, :N_FEATURES] == 0.0).all()
        assert (layer.weight[:, N_FEATURES:] != 0.0).any()
