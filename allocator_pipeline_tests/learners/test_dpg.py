from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from allocator_pipeline.allocators.networks import drop_features
from allocator_pipeline.allocators.recipes import DPGRecipe
from allocator_pipeline.allocators.tensors import fill
from allocator_pipeline.config import CostConfig
from allocator_pipeline.errors import ConfigurationError, CorruptArtifactError
from allocator_pipeline.learners.dpg import StackedDPG
from allocator_pipeline.portfolio.constraints import equal_weights
from allocator_pipeline.portfolio.objective import Objective
from allocator_pipeline.portfolio.scaler import StateScaler
from allocator_pipeline.portfolio.state import StateTensors
from allocator_pipeline.portfolio.tensor_market import TensorMarket, Window
from allocator_pipeline_tests.portfolio.conftest import make_states

COSTS = CostConfig()
RECIPE = DPGRecipe(
    name="test",
    view="agents",
    hidden_sizes=(4,),
    activation="tanh",
    action_bound=4.0,
    n_envs=3,
    total_steps=300,
    learning_rate=1e-2,
    decay=True,
    episode_weeks=5,
)
ALL = Objective(turnover=0.3, volatility=0.2, cvar=0.1, drawdown=0.4)
OBJECTIVES = [
    Objective(),
    ALL,
    Objective(differential_sharpe=True),
    dataclasses.replace(ALL, differential_sharpe=True),
]


def planted_states(weeks: int = 160) -> StateTensors:
    """Return weeks whose forecast says a part of what comes; stocks differ in how much they move."""
    states = make_states(weeks, changing=False)
    rng = np.random.default_rng(9)
    move = rng.normal(size=states.returns.shape) * np.linspace(0.01, 0.08, 15)
    forecasts = 0.1 * move + rng.normal(0.0, 0.02, move.shape)
    return dataclasses.replace(states, returns=np.exp(move) - 1.0, marks=np.exp(move) - 1.0, forecasts=forecasts)


PLANTED = planted_states()
CHANGING = make_states(60)


def make(
    recipe: DPGRecipe = RECIPE,
    seeds: Sequence[int] = (1,),
    states: Sequence[StateTensors] = (CHANGING,),
    dtype: torch.dtype = torch.float32,
) -> StackedDPG:
    windows = [Window(weeks, StateScaler.fit(weeks)) for weeks in states]
    window_of = [0] * len(seeds) if len(states) == 1 else list(range(len(seeds)))
    market = TensorMarket(windows, window_of, COSTS, recipe.n_envs, episode_weeks=recipe.episode_weeks, dtype=dtype)
    return StackedDPG(recipe, market, seeds)


def train(learner: StackedDPG) -> list[dict[str, float]]:
    scalars = []
    while learner.steps < learner.total_steps:
        scalars.append(learner.advance())
    return scalars


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_gradient_is_that_of_finite_differences(objective: Objective) -> None:
    """Through five weeks with a change of universe: constraint map, costs, drift, observed weights and penalties."""
    learner = make(dataclasses.replace(RECIPE, objective=objective), dtype=torch.float64)
    with torch.no_grad():
        for parameter in learner.actor.values():  # away from equal weight, so that caps bind and weights move
            parameter += 0.5 * torch.randn(parameter.shape, dtype=torch.float64, generator=learner.sources[0])
    rows = torch.tensor([[17, 2, 38]])

    path = learner.path

    def loss() -> torch.Tensor:
        learner.market.start(rows)
        learner.path = path
        return -learner.episode()[0].mean()

    found = torch.autograd.grad(loss(), list(learner.actor.values()))
    step = 1e-6
    for parameter, gradient in zip(learner.actor.values(), found, strict=True):
        numeric = torch.zeros_like(gradient)
        with torch.no_grad():
            for i in range(parameter.numel()):
                flat = parameter.view(-1)
                before = flat[i].item()
                flat[i] = before + step
                above = loss()
                flat[i] = before - step
                numeric.view(-1)[i] = (above - loss()) / (2 * step)
                flat[i] = before
        torch.testing.assert_close(gradient, numeric, rtol=1e-5, atol=1e-8)
    assert max(gradient.abs().max() for gradient in found) > 1e-3


def test_worth_is_the_reward_above_equal_weights() -> None:
    learner = make(dtype=torch.float64)
    rows = torch.tensor([[17, 2, 38]])
    learner.market.start(rows)
    worth, above, traded = (tensor.detach().numpy() for tensor in learner.episode())
    assert worth.shape == above.shape == traded.shape == (1, 3, 5)
    np.testing.assert_array_equal(worth, above)
    equal = 100 * np.log1p(CHANGING.returns @ equal_weights(COSTS)[:-1])
    # A new policy is next to equal weight: what it lacks is its costs.
    paid = 100 * np.log1p(-COSTS.cost_bps / 1e4 * traded)
    np.testing.assert_allclose(above, paid, atol=0.05)
    learner.market.start(rows)
    week = learner.market.step(learner.targets(learner.market.observe()))
    np.testing.assert_allclose(above[0, :, 0], week.reward.detach().numpy()[0] - equal[rows[0]], atol=1e-12)


@pytest.mark.parametrize("objective", OBJECTIVES[:3])
def test_a_learner_does_not_depend_on_what_trains_beside_it(objective: Objective) -> None:
    recipe = dataclasses.replace(RECIPE, objective=objective)
    alone = make(recipe, (7,), (PLANTED,))
    beside = make(recipe, (3, 7, 5), (CHANGING, PLANTED, make_states(80, seed=4)))
    train(alone)
    train(beside)
    for name, tensor in alone.trained().items():
        other = beside.trained()[name]
        assert torch.equal(tensor, other if tensor.dim() == 0 else other[1:2]), name
    assert not torch.equal(beside.actor["weight.0"][0], beside.actor["weight.0"][1])


def test_continues_bit_for_bit() -> None:
    whole = make(seeds=(1, 2))
    first = make(seeds=(1, 2))
    for _ in range(7):
        whole.advance()
        first.advance()
    stored = {name: tensor.clone() for name, tensor in first.trained().items()}
    position = {name: tensor.clone() for name, tensor in first.position().items()}
    first.advance()  # what was stored is not the learner's own any more
    second = make(seeds=(8, 9))
    fill(second.trained(), stored, "test")
    second.load_position(position)
    assert train(second) == train(whole)
    assert second.steps == whole.steps == whole.total_steps
    for name, tensor in whole.trained().items():
        assert torch.equal(tensor, second.trained()[name]), name
    for name, tensor in whole.position().items():
        assert torch.equal(tensor, second.position()[name]), name


def test_names_and_shapes_of_what_is_trained() -> None:
    learner = make(seeds=(1, 2))
    trained = learner.trained()
    assert trained["actor.weight.0"].shape == (2, 10, 4)
    assert trained["actor.bias.1"].shape == (2, 1, 1)
    assert trained["actor.weight.0"] is learner.actor["weight.0"]
    for name, tensor in trained.items():
        assert tensor.shape[:1] == ((2,) if not name.endswith(".step") else ()), name
    names = set(trained)
    learner.advance()
    assert set(learner.trained()) == names
    assert learner.trained()["actor_optimizer.0.step"] == 1


@pytest.mark.parametrize(
    "damage",
    [
        {"steps": torch.tensor(7)},
        {"steps": torch.tensor([0])},
        {"random": torch.zeros(1, 3, dtype=torch.uint8)},
        {"more": torch.zeros(1)},
    ],
)
def test_refuses_another_position(damage: dict[str, torch.Tensor]) -> None:
    learner = make()
    with pytest.raises(CorruptArtifactError):
        learner.load_position({**learner.position(), **damage})


def test_completes_the_last_episode_and_lowers_the_rate() -> None:
    learner = make(dataclasses.replace(RECIPE, total_steps=31))
    assert learner.total_steps == 45
    rates = [scalars["train/learning_rate"] for scalars in train(learner)]
    np.testing.assert_allclose(rates, [1e-2, 1e-2 * 2 / 3, 1e-2 / 3])
    constant = make(dataclasses.replace(RECIPE, total_steps=31, decay=False))
    assert {scalars["train/learning_rate"] for scalars in train(constant)} == {1e-2}


def walk(objective: Objective) -> dict[str, float]:
    """Train on the planted weeks, then walk through them: the quantities that the penalties are about."""
    recipe = dataclasses.replace(
        RECIPE, objective=objective, n_envs=16, episode_weeks=20, total_steps=16 * 20 * 40, learning_rate=3e-2
    )
    learner = make(recipe, (3,), (PLANTED,))
    train(learner)
    learner.market.start(torch.zeros((1, 16), dtype=torch.int64))
    weeks = []
    with torch.no_grad():
        for _ in range(len(PLANTED)):
            weeks.append(learner.market.step(learner.targets(learner.market.observe())))
    x = np.array([float(week.reward[0, 0]) for week in weeks])
    wealth = np.append(0.0, x.cumsum())
    return {
        "turnover": float(np.mean([float(week.turnover[0, 0]) for week in weeks[1:]])),
        "volatility": float(x.std()),
        "cvar": float(-np.sort(x)[: len(x) // 20].mean()),
        "drawdown": float((np.maximum.accumulate(wealth) - wealth).mean()),
        "sharpe": float(x.mean() / x.std()),
        "mean": float(x.mean()),
    }


@pytest.fixture(scope="module")
def plain() -> dict[str, float]:
    return walk(Objective())


@pytest.mark.parametrize(
    ("name", "weight", "at_most"),
    [("turnover", 5.0, 0.3), ("volatility", 1.0, 0.8), ("cvar", 3.0, 0.9), ("drawdown", 10.0, 0.9)],
)
def test_each_penalty_lowers_what_it_is_about(
    plain: dict[str, float], name: str, weight: float, at_most: float
) -> None:
    assert walk(Objective(**{name: weight}))[name] < at_most * plain[name]  # type: ignore[arg-type]


def test_differential_sharpe_gains_sharpe(plain: dict[str, float]) -> None:
    found = walk(Objective(differential_sharpe=True))
    assert found["sharpe"] > plain["sharpe"] + 0.01
    assert found["mean"] < plain["mean"]


def test_learns_the_planted_signal(plain: dict[str, float]) -> None:
    equal = 100 * np.log1p(PLANTED.returns @ equal_weights(COSTS)[:-1])
    assert plain["mean"] > equal.mean() + 0.5


def test_an_update_is_followed_by_the_group_lasso() -> None:
    plain, charged = make(), make(dataclasses.replace(RECIPE, feature_penalty=20.0))
    rate = plain.advance()["train/learning_rate"]
    charged.advance()
    expected = plain.actor["weight.0"].detach().clone()
    drop_features(expected, 20.0 * rate)
    assert torch.equal(charged.actor["weight.0"], expected)
    assert not torch.equal(charged.actor["weight.0"], plain.actor["weight.0"])


def test_the_flat_view_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="its view is 'flat'"):
        make(dataclasses.replace(RECIPE, view="flat"))
