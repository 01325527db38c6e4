from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3 import SAC
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.distributions import SquashedDiagGaussianDistribution
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.type_aliases import ReplayBufferSamples

from allocator_pipeline.allocators import sac
from allocator_pipeline.allocators.recipes import SACRecipe, finetune_recipe, recipe
from allocator_pipeline.allocators.tensors import fill
from allocator_pipeline.config import CostConfig
from allocator_pipeline.errors import ConfigurationError, CorruptArtifactError
from allocator_pipeline.learners.sac import StackedSAC
from allocator_pipeline.portfolio.agents_env import AgentsVecEnv, agent_rewards
from allocator_pipeline.portfolio.objective import Objective
from allocator_pipeline.portfolio.scaler import StateScaler
from allocator_pipeline.portfolio.tensor_market import TensorMarket, Window
from allocator_pipeline.studies.planted import planted_states
from allocator_pipeline_tests.portfolio.conftest import make_states

COSTS = CostConfig()
WEEKS, PORTFOLIOS = 6, 3
STATES = [make_states(60, 0), make_states(40, 1)]
WINDOWS = [Window(states, StateScaler.fit(states)) for states in STATES]
DEFAULT = recipe("sac", "default")
assert isinstance(DEFAULT, SACRecipe)
SMALL = dataclasses.replace(
    DEFAULT, actor_sizes=(8,), critic_sizes=(12, 4), activation="relu", action_bound=1.5, n_envs=PORTFOLIOS,
    batch_size=64, buffer_steps=2 * WEEKS * PORTFOLIOS + 1, warmup_steps=PORTFOLIOS, total_steps=59, tau=0.1,
    learning_rate=1e-2, decay=True, init_alpha=0.05, reward_scale=3.0, weight_decay=1e-3, episode_weeks=WEEKS,
)  # fmt: skip
GAMMAS = pytest.mark.parametrize("gamma", [0.0, 0.9])


def make(seeds: Sequence[int] = (1,), window_of: Sequence[int] = (0,), **changes: Any) -> StackedSAC:
    chosen = dataclasses.replace(SMALL, **changes)
    market = TensorMarket(WINDOWS, window_of, COSTS, chosen.n_envs, episode_weeks=chosen.episode_weeks)
    return StackedSAC(chosen, market, seeds)


def train(learner: StackedSAC) -> list[dict[str, float]]:
    scalars = []
    while learner.steps < learner.total_steps:
        scalars.append(learner.advance())
    return scalars


class GivenNoise(SquashedDiagGaussianDistribution):
    """The distribution of stable-baselines3, with random numbers that are given to it."""

    coming: list[torch.Tensor]

    def sample(self) -> torch.Tensor:
        normal = self.distribution
        self.gaussian_actions = normal.mean + normal.stddev * self.coming.pop(0)[:, None]
        return torch.tanh(self.gaussian_actions)


class GivenRows(ReplayBuffer):
    """The buffer of stable-baselines3, with rows that are given to it."""

    coming: list[np.ndarray]

    def sample(self, batch_size: int, env: Any = None) -> ReplayBufferSamples:
        week, portfolio = np.divmod(self.coming.pop(0), PORTFOLIOS)
        agents = (portfolio[:, None] * 16 + np.arange(16)).flatten()
        weeks = week.repeat(16)
        assert len(agents) == batch_size
        ended = self.dones[weeks, agents] * (1 - self.timeouts[weeks, agents])
        return ReplayBufferSamples(
            self.to_torch(self.observations[weeks, agents]), self.to_torch(self.actions[weeks, agents]),
            self.to_torch(self.next_observations[weeks, agents]), self.to_torch(ended[:, None]),
            self.to_torch(self.rewards[weeks, agents][:, None]),
        )  # fmt: skip


def by_sb3(learner: StackedSAC, which: int) -> tuple[SAC, GivenRows, GivenNoise]:
    """Return stable-baselines3's SAC with the numbers and the replay buffer of one learner, and what it draws from."""
    chosen = dataclasses.replace(learner.recipe, engine="sb3", decay=False)
    env = AgentsVecEnv(STATES[0], WINDOWS[0].scaler, COSTS, PORTFOLIOS, episode_weeks=WEEKS)
    model = sac.build(chosen, env, seed=0)
    model.set_logger(Logger(None, []))
    distribution: Any = GivenNoise(1)  # the annotation of `action_dist` names another one
    model.actor.action_dist = distribution
    with torch.no_grad():
        for (name, part), tensor in numbers(model).items():
            if name in learner.trained():
                tensor.copy_(as_in_sb3(learner.trained()[name][which][part], tensor))
    model.replay_buffer = buffer = remembered(learner, which, env)
    return model, buffer, distribution


def as_in_sb3(ours: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
    """Return a learner's tensor in the layout of stable-baselines3, where outputs come first."""
    return ours.detach().reshape(theirs.shape[::-1]).mT if theirs.dim() == 2 else ours.detach().reshape(theirs.shape)


def remembered(learner: StackedSAC, which: int, env: AgentsVecEnv) -> GivenRows:
    """Return a learner's replay buffer as stable-baselines3 would have filled it."""
    weeks = learner.played.shape[1] // PORTFOLIOS
    buffer = GivenRows(weeks * env.num_envs, env.observation_space, env.action_space, n_envs=env.num_envs)
    played = learner.played[which].view(weeks, env.num_envs, 11).numpy()
    paid = learner.paid[which].view(weeks, env.num_envs).numpy()
    after = learner.after[which].view(-1, env.num_envs, 10).numpy() if learner.recipe.gamma else 0 * played[..., :10]
    for week in range(weeks):
        ends = (week + 1) % WEEKS == 0
        buffer.add(
            played[week, :, :10], after[week], played[week, :, 10:], paid[week], np.full(env.num_envs, ends),
            [{"TimeLimit.truncated": ends}] * env.num_envs,
        )  # fmt: skip
    assert buffer.full
    return buffer


def numbers(model: SAC) -> dict[tuple[str, Any], torch.Tensor]:
    """Return what stable-baselines3 trains by our names, with the place in one learner's tensor of that name."""
    actor = linear(model.actor.latent_pi)
    assert model.log_ent_coef is not None
    found: dict[tuple[str, Any], torch.Tensor] = {("log_alpha", ...): model.log_ent_coef}
    for i, layer in enumerate(actor):
        found |= {(f"actor.weight.{i}", ...): layer.weight, (f"actor.bias.{i}", ...): layer.bias}
    for i, head in enumerate((model.actor.mu, model.actor.log_std)):
        assert isinstance(head, torch.nn.Linear)
        place = (..., i)
        found |= {(f"actor.weight.{len(actor)}", place): head.weight, (f"actor.bias.{len(actor)}", place): head.bias}
    for kind, networks in (("critic", model.critic), ("target", model.critic_target)):
        for which, critic in enumerate(networks.q_networks):
            for i, layer in enumerate(linear(critic)):
                found |= {(f"{kind}.weight.{i}", which): layer.weight, (f"{kind}.bias.{i}", which): layer.bias}
    return found


def linear(network: torch.nn.Module) -> list[torch.nn.Linear]:
    return [layer for layer in network.modules() if isinstance(layer, torch.nn.Linear)]


@GAMMAS
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_updates_are_those_of_stable_baselines3(gamma: float, activation: str) -> None:
    updates = 4
    warmup = 2 * WEEKS * PORTFOLIOS
    learner = make((5, 6), (1, 0), gamma=gamma, activation=activation, weight_decay=0.1, warmup_steps=warmup)
    for _ in range(2):
        learner.advance()
    model, buffer, distribution = by_sb3(learner, 1)
    before = learner.log_alpha.detach().clone()
    places, noise = learner.draws(updates)
    rows = (places * learner.played.shape[1]).long()
    buffer.coming = list(rows[1].numpy())
    later = noise[1] if gamma else noise[1].repeat(1, 2, 1)  # nothing depends on it then
    distribution.coming = list(later.flatten(0, 1))
    for i in range(updates):
        learner.update(rows[:, i], noise[:, i], SMALL.learning_rate)
    model.train(updates, SMALL.batch_size)
    assert not buffer.coming
    assert not distribution.coming
    assert (learner.log_alpha - before).abs().min() > 0.02
    compared = set()
    for (name, part), tensor in numbers(model).items():
        if name in learner.trained():
            ours = as_in_sb3(learner.trained()[name][1][part], tensor)
            np.testing.assert_allclose(ours, tensor.detach(), rtol=1e-5, atol=1e-5, err_msg=name)
            compared.add(name)
    assert compared == {name for name in learner.trained() if "optimizer" not in name}


def test_weight_decay_is_of_actor_and_critics_and_never_of_alpha() -> None:
    free, decayed = make(weight_decay=0.0), make(weight_decay=100.0)  # so strong that it turns the step around
    before = free.log_alpha.detach().clone()
    places, noise = free.draws(1)
    for learner in (free, decayed):
        learner.update(places[:, 0].long(), noise[:, 0], 1e-2)
    assert (free.log_alpha - before).abs().min() > 5e-3
    assert torch.equal(free.log_alpha, decayed.log_alpha)
    for kind in ("actor", "critic"):
        shrunk = getattr(decayed, kind)["weight.0"].abs() < getattr(free, kind)["weight.0"].abs()
        assert shrunk.float().mean() > 0.6


@GAMMAS
def test_a_learner_does_not_depend_on_what_trains_beside_it(gamma: float) -> None:
    objective = Objective(turnover=0.1, cvar=0.1)
    alone = make((7,), (0,), gamma=gamma, objective=objective)
    beside = make((3, 7, 5), (1, 0, 1), gamma=gamma, objective=objective)
    train(alone)
    train(beside)
    for name, tensor in (*alone.trained().items(), *alone.position().items()):
        other = {**beside.trained(), **beside.position()}[name]
        assert torch.equal(tensor, other if tensor.dim() == 0 else other[1:2]), name
    assert not torch.equal(beside.actor["weight.0"][0], beside.actor["weight.0"][1])


@GAMMAS
@pytest.mark.parametrize("done", [0, 1, 3])
def test_continues_bit_for_bit(gamma: float, done: int) -> None:
    changes: dict[str, Any] = {"gamma": gamma, "objective": Objective(differential_sharpe=True)}
    whole, first = (make((1, 2), (0, 1), **changes) for _ in range(2))
    for _ in range(done):
        whole.advance()
        first.advance()
    stored = {name: tensor.clone() for name, tensor in first.trained().items()}
    position = first.position()
    first.advance()  # what was stored is not the learner's own any more
    second = make((8, 9), (0, 1), **changes)
    fill(second.trained(), stored, "test")
    second.load_position(position)
    assert train(second) == train(whole)
    assert second.steps == whole.steps == whole.total_steps == 72
    for name, tensor in (*whole.trained().items(), *whole.position().items()):
        assert torch.equal(tensor, {**second.trained(), **second.position()}[name]), name


def test_finetuning_fills_the_buffer_with_the_policys_own_actions_and_trains_alpha() -> None:
    first = make((1,), warmup_steps=0)
    train(first)
    chosen = finetune_recipe(dataclasses.replace(SMALL, n_envs=PORTFOLIOS))
    assert isinstance(chosen, SACRecipe)
    chosen = dataclasses.replace(chosen, episode_weeks=WEEKS, warmup_steps=WEEKS * PORTFOLIOS)
    market = TensorMarket(WINDOWS, [0], COSTS, PORTFOLIOS, episode_weeks=WEEKS)
    second = StackedSAC(chosen, market, [2])
    with torch.no_grad():
        first.actor["bias.1"][..., 1] = -9.0  # hardly any noise, so that actions tell who acted
    stored = {name: tensor.clone() for name, tensor in first.trained().items()}
    fill(second.trained(), stored, "test")
    assert second.trained()["log_alpha"] is second.alpha_optimizer.parameters[0]
    second.advance()
    seen, action = second.played[..., :10].flatten(1, 2), second.played[..., 10].flatten(1, 2)
    filled = slice(0, WEEKS * PORTFOLIOS * 16)
    quiet = second._act(seen, torch.zeros_like(action))[0]
    torch.testing.assert_close(action[:, filled], quiet[:, filled], atol=2e-3, rtol=0)
    assert torch.equal(second.log_alpha, stored["log_alpha"])
    second.advance()
    assert float(second.trained()["alpha_optimizer.0.step"]) == float(stored["alpha_optimizer.0.step"]) + WEEKS
    assert (second.log_alpha - stored["log_alpha"]).abs().min() > 1e-5


def test_random_warm_up_acts_uniformly_and_learns_nothing() -> None:
    learner = make((1, 2), (0, 0), warmup_steps=10**6, n_envs=40, buffer_steps=40 * WEEKS)
    before = {name: tensor.clone() for name, tensor in learner.trained().items()}
    scalars = learner.advance()
    actions = learner.played[..., 10].flatten(1)
    for own in actions:
        shares = torch.histc(own, 4, -1.0, 1.0) / own.numel()
        assert (shares - 0.25).abs().max() < 0.04
    assert {
        name: bool(torch.equal(tensor, before[name])) for name, tensor in learner.trained().items()
    } == dict.fromkeys(before, True)
    assert "train/critic_loss" not in scalars


@pytest.mark.parametrize("objective", [Objective(), Objective(turnover=0.5)])
def test_remembers_what_was_seen_done_and_paid(objective: Objective) -> None:
    learner = make(gamma=0.9, objective=objective, buffer_steps=WEEKS * PORTFOLIOS, warmup_steps=10**6)
    learner.advance()
    twin = make().market
    twin.start(learner.market.rows - WEEKS)
    for week in range(WEEKS):
        rows = slice(week * PORTFOLIOS, (week + 1) * PORTFOLIOS)
        torch.testing.assert_close(learner.played[:, rows, :, :10], twin.observe())
        target = twin.weights(SMALL.action_bound * learner.played[:, rows, :, 10])
        paid = agent_rewards(target, twin.held, twin.left, twin.returns(), COSTS)
        own = 0.5 * (target - twin.held).abs()
        own[..., -1] += 0.5 * twin.left
        twin.step(target)
        expected = SMALL.reward_scale * (paid - objective.turnover * own)
        torch.testing.assert_close(learner.paid[:, rows], expected)
        torch.testing.assert_close(learner.after[:, rows], twin.observe())  # also behind the truncated end


def test_the_buffer_forgets_the_oldest_weeks() -> None:
    learner = make()
    assert learner.played.shape[1] == 2 * WEEKS * PORTFOLIOS
    learner.advance()
    first = learner.paid.clone()
    learner.advance()
    second = learner.paid.clone()
    half = WEEKS * PORTFOLIOS
    assert torch.equal(first[:, :half], second[:, :half])
    learner.advance()
    assert torch.equal(learner.paid[:, half:], second[:, half:])
    assert not torch.equal(learner.paid[:, :half], second[:, :half])


def test_names_and_shapes_of_what_is_trained() -> None:
    learner = make((1, 2), (0, 1), gamma=0.9)
    trained = learner.trained()
    assert trained["actor.weight.1"].shape == (2, 8, 2)
    assert trained["critic.weight.0"].shape == trained["target.weight.0"].shape == (2, 2, 11, 12)
    assert trained["critic.weight.0"].data_ptr() == learner.critic["weight.0"].data_ptr()
    for name, tensor in trained.items():
        assert tensor.shape[:1] == ((2,) if not name.endswith(".step") else ()), name
    learner.advance()
    assert set(learner.trained()) == set(trained)
    assert learner.trained()["critic_optimizer.0.step"] == WEEKS - 1  # none after the first week: warm-up
    alone = make()
    assert not any(name.startswith("target") for name in alone.trained())
    assert alone.after.numel() == 0


@pytest.mark.parametrize(
    "damage",
    [
        {"steps": torch.tensor(7)},
        {"steps": torch.tensor(-18)},
        {"steps": torch.tensor([0])},
        {"random": torch.zeros(1, 3, dtype=torch.uint8)},
        {"paid": torch.zeros(1, 3, 16)},
        {"more": torch.zeros(1)},
    ],
)
def test_refuses_another_position(damage: dict[str, torch.Tensor]) -> None:
    learner = make()
    learner.advance()
    with pytest.raises(CorruptArtifactError):
        learner.load_position({**learner.position(), **damage})


@pytest.mark.parametrize("changes", [{"view": "flat"}, {"buffer_steps": PORTFOLIOS - 1}])
def test_refuses_recipes_that_it_cannot_follow(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="cannot follow"):
        make(**changes)


def test_completes_the_last_episode_and_lowers_the_rate() -> None:
    learner = make()
    assert learner.total_steps == 72
    rates = [scalars["train/learning_rate"] for scalars in train(learner)]
    np.testing.assert_allclose(rates, 1e-2 * (1 - (np.array([18, 36, 54, 72]) - PORTFOLIOS) / 72))
    assert {scalars["train/learning_rate"] for scalars in train(make(decay=False))} == {1e-2}


def test_learns_the_planted_signal() -> None:
    states = planted_states(seed=1, weeks=400, ic=0.3)
    window = Window(states, StateScaler.fit(states))
    chosen = dataclasses.replace(
        SMALL, actor_sizes=(16,), critic_sizes=(16,), action_bound=4.0, n_envs=16, batch_size=256, episode_weeks=50,
        buffer_steps=4000, warmup_steps=800, total_steps=4800, init_alpha=0.01, weight_decay=0.0,
    )  # fmt: skip
    market = TensorMarket([window], [0, 0], COSTS, 16, episode_weeks=50)
    earned = [scalars["rollout/reward"] for scalars in train(StackedSAC(chosen, market, [1, 2]))]
    assert earned[0] < 0.0 < 0.3 < earned[-1]


def recorded(learners: int, weeks: int = 5) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Transitions of others, to be known by what they were paid."""
    source = torch.Generator().manual_seed(7)
    played = torch.rand(learners, weeks, 16, 11, generator=source)
    paid = 1_000.0 + torch.arange(weeks).float()[None, :, None].expand(learners, weeks, 16)
    return played, paid, torch.rand(learners, weeks, 16, 10, generator=source)


@GAMMAS
def test_recorded_weeks_are_their_share_of_every_minibatch(gamma: float) -> None:
    learner, plain = (make((1, 2), (0, 1), gamma=gamma) for _ in range(2))
    learner.remember(*recorded(2), share=0.5)
    uniform = torch.rand(2, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    places = learner._places(uniform, PORTFOLIOS)
    room = 2 * WEEKS * PORTFOLIOS + 1
    capacity = room // PORTFOLIOS * PORTFOLIOS
    assert (places[:, :2] >= capacity).all()
    assert (places[:, :2] < capacity + 5).all()
    assert (places[:, 2:] < PORTFOLIOS).all()
    assert torch.equal(places[:, 2:], plain._places(uniform, PORTFOLIOS)[:, 2:])
    train(learner)
    assert torch.equal(learner.paid[:, capacity:], recorded(2)[1])  # never written over
    assert not torch.equal(learner.actor["weight.0"], make((1, 2), (0, 1), gamma=gamma).actor["weight.0"])


def test_recorded_weeks_reach_the_critics() -> None:
    learner, plain = make(), make()
    learner.remember(*recorded(1), share=0.5)
    told, untold = train(learner)[-1], train(plain)[-1]
    assert told["train/critic_loss"] > 100 * untold["train/critic_loss"]


@GAMMAS
def test_continues_with_recorded_weeks_bit_for_bit(gamma: float) -> None:
    whole, first, second = (make((1, 2), (0, 1), gamma=gamma) for _ in range(3))
    for learner in (whole, first, second):
        learner.remember(*recorded(2), share=0.25)
    train(whole)
    first.advance()
    fill(second.trained(), {name: tensor.clone() for name, tensor in first.trained().items()}, "test")
    second.load_position(first.position())
    train(second)
    for name, tensor in whole.trained().items():
        assert torch.equal(tensor, second.trained()[name]), name
