from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.logger import Logger

from allocator_pipeline.allocators import ppo
from allocator_pipeline.allocators.recipes import PPORecipe, recipe
from allocator_pipeline.allocators.tensors import fill
from allocator_pipeline.config import CostConfig
from allocator_pipeline.errors import ConfigurationError, CorruptArtifactError
from allocator_pipeline.learners.networks import generators, load_random_state, permutations
from allocator_pipeline.learners.ppo import Rollout, StackedPPO
from allocator_pipeline.portfolio.agents_env import AgentsVecEnv
from allocator_pipeline.portfolio.objective import Objective
from allocator_pipeline.portfolio.scaler import StateScaler
from allocator_pipeline.portfolio.tensor_market import TensorMarket, Window
from allocator_pipeline.studies.planted import planted_states
from allocator_pipeline_tests.portfolio.conftest import make_states

COSTS = CostConfig()
WEEKS, PORTFOLIOS = 8, 5
STATES = [make_states(60, 0), make_states(40, 1)]
WINDOWS = [Window(states, StateScaler.fit(states)) for states in STATES]
DEFAULT = recipe("ppo", "default")
assert isinstance(DEFAULT, PPORecipe)
SMALL = dataclasses.replace(
    DEFAULT, hidden_sizes=(7,), action_bound=1.5, log_std_init=-0.5, learning_rate=1e-2, n_epochs=3, batch_size=160,
    n_envs=PORTFOLIOS, episode_weeks=WEEKS, rollout_steps=WEEKS, total_steps=3 * WEEKS * PORTFOLIOS - 1,
)  # fmt: skip


def make(seeds: list[int], window_of: list[int], dtype: torch.dtype = torch.float32, **changes: Any) -> StackedPPO:
    chosen = dataclasses.replace(SMALL, **changes)
    market = TensorMarket(WINDOWS, window_of, COSTS, PORTFOLIOS, episode_weeks=WEEKS, dtype=dtype)
    return StackedPPO(chosen, market, seeds)


def played(learner: StackedPPO) -> Rollout:
    learner.market.start(torch.arange(PORTFOLIOS).mul(6).expand(len(learner.sources), -1))
    return learner.rollout()


def by_sb3(learner: StackedPPO, which: int) -> PPO:
    """Return stable-baselines3's PPO with the numbers of one learner."""
    chosen = dataclasses.replace(learner.recipe, engine="sb3")
    env = AgentsVecEnv(STATES[0], WINDOWS[0].scaler, COSTS, PORTFOLIOS, episode_weeks=WEEKS)
    model = ppo.build(chosen, env, seed=0)
    model.set_logger(Logger(None, []))
    with torch.no_grad():
        for name, tensor in names_in_sb3(model, learner).items():
            tensor.copy_(in_sb3(learner.trained()[name][which], name))
    return model


def in_sb3(tensor: torch.Tensor, name: str) -> torch.Tensor:
    return tensor.T if "weight" in name else tensor.flatten()


def names_in_sb3(model: PPO, learner: StackedPPO) -> dict[str, torch.Tensor]:
    policy, depth = model.policy, len(learner.recipe.hidden_sizes)
    found = {"log_std": policy.log_std}
    for kind, hidden, last in (
        ("actor", policy.mlp_extractor.policy_net, policy.action_net),
        ("critic", policy.mlp_extractor.value_net, policy.value_net),
    ):
        if kind == "actor" or learner.recipe.critic:
            layers = [layer for layer in [*hidden, last] if isinstance(layer, torch.nn.Linear)]
            assert len(layers) == depth + 1
            for i, layer in enumerate(layers):
                found |= {f"{kind}.weight.{i}": layer.weight, f"{kind}.bias.{i}": layer.bias}
    return found


def give(model: PPO, rollout: Rollout, which: int) -> None:
    """Put a learner's rollout into the buffer as stable-baselines3 collects it from `AgentsVecEnv`."""
    rows = 16 * PORTFOLIOS
    inputs, actions, log_probs, rewards = (part[which] for part in rollout[:4])
    value_of = model.policy.predict_values
    model.rollout_buffer.reset()
    with torch.no_grad():
        for t in range(WEEKS):
            seen = inputs[t].reshape(rows, -1)
            mean = model.policy.get_distribution(seen).distribution.mean
            assert (mean - actions[t].reshape(rows, 1)).abs().max() < 10 * model.policy.log_std.exp()
            paid = rewards[t].reshape(rows)
            if t == WEEKS - 1:  # truncated
                paid = paid + model.gamma * value_of(rollout.last[which].reshape(rows, -1)).flatten()
            model.rollout_buffer.add(
                seen.numpy(), actions[t].reshape(rows, 1).numpy(), paid.numpy(), np.full(rows, t == 0),
                value_of(seen), model.policy.evaluate_actions(seen, actions[t].reshape(rows, 1))[1],
            )  # fmt: skip
            np.testing.assert_allclose(
                model.rollout_buffer.log_probs[t], log_probs[t].reshape(rows), atol=2e-5
            )  # the engine's own, from the noise
    model.rollout_buffer.compute_returns_and_advantage(torch.zeros(rows), np.ones(rows))


def orders(learner: StackedPPO, which: int) -> list[np.ndarray]:
    """Return the order of rows of each coming epoch, as stable-baselines3 numbers them: agent by agent, then weeks."""
    source = generators([0], learner.market.device)
    load_random_state(source, learner.position()["random"][which : which + 1])
    found = []
    for _ in range(learner.recipe.n_epochs):
        week, portfolio = np.divmod(permutations(source, WEEKS * PORTFOLIOS)[0].numpy(), PORTFOLIOS)
        agents = portfolio[:, None] * 16 + np.arange(16)
        found.append((agents * WEEKS + week[:, None]).ravel())
    return found


@pytest.mark.parametrize(
    "changes",
    [
        {"critic": True},
        {"critic": False},
        {
            "critic": True,
            "gamma": 0.9,
            "gae_lambda": 0.8,
            "ent_coef": 0.05,
            "hidden_sizes": (6, 5),
            "activation": "relu",
        },
        {"critic": False, "gamma": 0.9, "gae_lambda": 1.0, "clip_range": 0.1},
    ],
)
def test_updates_are_those_of_stable_baselines3(changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    learner = make([3, 4], [0, 1], **changes)
    models = [by_sb3(learner, which) for which in range(2)]
    started = {name: tensor.detach().clone() for name, tensor in learner.trained().items()}
    for _ in range(2):  # new, and with moments and a policy that has moved
        rollout = played(learner)
        coming = [orders(learner, which) for which in range(2)]
        advantages, values = learner.advantages(rollout)
        for which, model in enumerate(models):
            give(model, rollout, which)
            shape = (WEEKS, 16 * PORTFOLIOS)
            np.testing.assert_allclose(model.rollout_buffer.advantages, advantages[which].reshape(shape), atol=1e-5)
            np.testing.assert_allclose(model.rollout_buffer.returns, values[which].reshape(shape), atol=1e-5)
            rows = iter(coming[which])
            monkeypatch.setattr(np.random, "permutation", lambda _count, rows=rows: next(rows))
            model.train()
        learner.update(rollout, SMALL.learning_rate)
        for which, model in enumerate(models):
            for name, tensor in names_in_sb3(model, learner).items():
                found = learner.trained()[name][which].detach()
                torch.testing.assert_close(
                    in_sb3(found, name), tensor.detach(), atol=5e-6, rtol=0, msg=lambda m, name=name: f"{name}: {m}"
                )
    assert (learner.actor["weight.0"] - started["actor.weight.0"]).abs().max() > 0.01


def test_a_learner_does_not_depend_on_those_beside_it() -> None:
    # Bit for bit where a learner's numbers fill whole vectors of the processor, as those of the recipes do.
    together = make([3, 4, 5], [0, 1, 0], critic=True, ent_coef=0.01, hidden_sizes=(16,))
    alone = make([4], [1], critic=True, ent_coef=0.01, hidden_sizes=(16,))
    for _ in range(3):
        together.advance()
        alone.advance()
    for name, tensor in alone.trained().items():
        assert torch.equal(tensor, together.trained()[name][1:2] if tensor.dim() else together.trained()[name]), name
    assert torch.equal(together.position()["random"][1:2], alone.position()["random"])


@pytest.mark.parametrize("changes", [{}, {"critic": True, "gamma": 0.9}])
def test_continues_bit_for_bit(changes: dict[str, Any]) -> None:
    whole, first = (make([3, 4], [0, 1], **changes) for _ in range(2))
    for _ in range(3):
        whole.advance()
    first.advance()
    tensors = {name: tensor.detach().clone() for name, tensor in first.trained().items()}
    position = first.position()
    first.advance()  # must not reach into what was stored
    rest = make([8, 9], [0, 1], **changes)
    fill(rest.trained(), tensors, "a checkpoint")
    rest.load_position(position)
    assert rest.steps == WEEKS * PORTFOLIOS
    rest.advance()
    found = rest.advance()
    assert rest.steps == whole.steps == whole.total_steps
    for name, tensor in whole.trained().items():
        assert torch.equal(rest.trained()[name], tensor), name
    assert found["train/learning_rate"] == pytest.approx(SMALL.learning_rate / 3)


def test_a_position_of_other_learners_is_refused() -> None:
    learner = make([3, 4], [0, 1])
    with pytest.raises(CorruptArtifactError):
        learner.load_position(make([3], [0]).position())


def test_learns_what_is_planted() -> None:
    states = planted_states(1, 200, 0.3)
    chosen = dataclasses.replace(
        DEFAULT, hidden_sizes=(8,), n_envs=10, batch_size=2080, total_steps=15 * 520, learning_rate=1e-2, n_epochs=4
    )
    market = TensorMarket([Window(states, StateScaler.fit(states))], [0, 0], COSTS, 10)
    learner = StackedPPO(chosen, market, [1, 2])
    scalars = []
    while learner.steps < learner.total_steps:
        scalars.append(learner.advance())
    rewards = [found["rollout/reward"] for found in scalars]
    assert rewards[0] < 0.0  # exploring costs
    assert np.mean(rewards[-2:]) > 0.5  # per cent a week above equal weight
    assert scalars[-1]["train/std"] < scalars[0]["train/std"]
    assert all(np.isfinite(list(found.values())).all() for found in scalars)


def test_the_objective_changes_what_is_paid() -> None:
    plain = played(make([3], [0]))
    fined = played(make([3], [0], objective=Objective(turnover=2.0)))
    assert torch.equal(plain.actions, fined.actions)
    fines = plain.rewards - fined.rewards
    assert (fines >= 0.0).all()
    assert float(fines.std(-1).min()) > 0.0  # each agent pays for its own trades
    sharpe = played(make([3], [0], objective=Objective(differential_sharpe=True)))
    ratio = sharpe.rewards[:, 0] / plain.rewards[:, 0]
    torch.testing.assert_close(ratio, torch.full_like(ratio, float(ratio.mean())))  # one marginal utility at the start
    assert not torch.allclose(sharpe.rewards, plain.rewards)


def test_refuses_recipes_that_it_cannot_follow() -> None:
    for changes in ({"view": "flat"}, {"rollout_steps": WEEKS - 1}):
        with pytest.raises(ConfigurationError, match="cannot follow"):
            make([3], [0], **changes)


def test_a_failed_training_shows() -> None:
    learner = make([3, 4], [0, 1])
    with torch.no_grad():
        learner.actor["weight.0"][1] = torch.nan
    assert np.isnan(learner.advance()["train/loss"])
    assert torch.isfinite(learner.actor["weight.0"][0]).all()
