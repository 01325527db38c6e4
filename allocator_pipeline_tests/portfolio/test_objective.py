from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch

from allocator_pipeline.config import CostConfig
from allocator_pipeline.errors import ConfigurationError
from allocator_pipeline.portfolio.agents_env import AgentsVecEnv, agent_rewards
from allocator_pipeline.portfolio.constraints import N_ASSETS, project
from allocator_pipeline.portfolio.env import WeeklyPortfolioEnv
from allocator_pipeline.portfolio.objective import (
    MIN_VARIANCE,
    NORMAL_TAIL,
    PRIOR_VOLATILITY,
    SOFTNESS,
    TAIL,
    Objective,
    Path,
    Terms,
    differential_sharpe,
    objective_terms,
    restart_path,
    start_path,
)
from allocator_pipeline.portfolio.rollout import Settlement
from allocator_pipeline.portfolio.scaler import StateScaler
from allocator_pipeline.portfolio.vec_env import PortfolioVecEnv
from allocator_pipeline_tests.portfolio.conftest import make_states

COSTS = CostConfig()
STATES = make_states(90)
SCALER = StateScaler.fit(STATES)
ALL = Objective(turnover=0.3, volatility=0.2, cvar=0.1, drawdown=0.4, differential_sharpe=True)
EACH = [
    Objective(turnover=0.5),
    Objective(volatility=0.5),
    Objective(cvar=0.5),
    Objective(drawdown=0.5),
    Objective(differential_sharpe=True),
    ALL,
]


def week_of(x: Any, turnover: Any = 0.0) -> Settlement:
    """Return a week that paid rewards ``x``."""
    return Settlement(turnover=turnover, cost=None, gross=None, net=None, reward=x, held_after=None)


def live(xs: Any, objective: Objective, path: Path | None = None) -> tuple[list[Terms], Path]:
    """Return the terms of successive weeks."""
    path = start_path(xs[0]) if path is None else path
    found = []
    for x in xs:
        terms, path = objective_terms(week_of(x, 0.0 * x), path, objective, COSTS)
        found.append(terms)
    return found, path


def test_turnover_is_linear() -> None:
    x, traded = np.array([1.0, -2.0]), np.array([0.2, 0.6])
    terms, _ = objective_terms(week_of(x, traded), start_path(x), Objective(turnover=3.0), COSTS)
    np.testing.assert_allclose(terms.added, [-0.6, -1.8])
    np.testing.assert_array_equal(terms.utility, x)
    np.testing.assert_array_equal(terms.factor, 1.0)


def test_volatility_by_hand() -> None:
    terms, path = live(np.array([[2.0], [-1.0]]), Objective(volatility=0.5, eta=0.1))
    # The mean is 0 before the first week and 0.1 * 2 before the second.
    np.testing.assert_allclose([t.added[0] for t in terms], [-0.5 * 2.0**2, -0.5 * 1.2**2])
    np.testing.assert_allclose(path.mean, 0.2 + 0.1 * (-1.0 - 0.2))


def test_volatility_is_the_variance_once_the_mean_is_known() -> None:
    xs = np.random.default_rng(0).normal(0.3, 2.0, (4_000, 1))
    terms, _ = live(xs, Objective(volatility=1.0, eta=0.002))
    assert -np.mean([t.added for t in terms]) == pytest.approx(xs.var(), rel=0.02)


def test_cvar_is_the_sample_cvar_where_the_value_at_risk_is_right() -> None:
    xs = np.random.default_rng(1).normal(0.2, 2.0, 1_000)
    worst = np.sort(-xs)[-50:]

    def mean_penalty(risk: float) -> float:
        path = start_path(xs)._replace(value_at_risk=np.full(1_000, risk))
        return -float(objective_terms(week_of(xs, 0.0), path, Objective(cvar=1.0), COSTS)[0].added.mean())

    assert mean_penalty(worst[0]) == pytest.approx(worst.mean(), abs=1e-12)
    for wrong in (worst[0] - 1.0, worst[0] + 1.0):
        assert mean_penalty(wrong) > worst.mean() + 0.01


def test_value_at_risk_converges_to_the_quantile() -> None:
    xs = np.random.default_rng(2).standard_t(4, (6_000, 200))
    objective = Objective(cvar=1.0, eta=0.003)
    path = start_path(xs[0])
    assert path.value_at_risk[0] == pytest.approx(NORMAL_TAIL * PRIOR_VOLATILITY)
    _, path = live(xs, objective, path)
    # Each portfolio has seen other weeks; the mean of the estimates has the bias and little of the noise.
    assert path.value_at_risk.mean() == pytest.approx(-np.quantile(xs, TAIL), abs=0.05)


def test_value_at_risk_by_hand() -> None:
    _, path = live(np.array([[-10.0], [1.0]]), Objective(cvar=1.0, eta=0.01))
    assert path.value_at_risk[0] == pytest.approx(NORMAL_TAIL * 2.0 + 0.02 * 19.0 - 0.02)


def test_drawdown_is_charged_in_each_week_that_it_lasts() -> None:
    """A fall that is not recovered from is charged again and again, not once."""
    xs = np.array([[0.0], [-8.0], [0.0], [0.0], [0.0]])
    terms, path = live(xs, Objective(drawdown=2.0))
    added = np.array([float(week.added[0]) for week in terms])
    assert added[0] > -2.0
    np.testing.assert_allclose(added[1:], -2.0 * 8.0, rtol=0.06)
    assert added[-1] == pytest.approx(-2.0 * float(path.drawdown[0]))


def test_soft_drawdown_is_that_of_a_soft_peak() -> None:
    """The recursion is the closed form: softness * log of the sum of exp(peaks so far / softness), less wealth."""
    xs = np.random.default_rng(4).normal(0.1, 2.0, (60, 5))
    _, path = live(xs, Objective(drawdown=1.0))
    wealth = np.concatenate([np.zeros((1, 5)), xs.cumsum(axis=0)])
    peak = SOFTNESS * np.log(np.exp(wealth / SOFTNESS).sum(axis=0))
    np.testing.assert_allclose(path.drawdown, peak - wealth[-1], atol=1e-9)
    hard = wealth.max(axis=0) - wealth[-1]
    assert (path.drawdown >= hard).all()
    assert (path.drawdown <= hard + SOFTNESS * math.log(61)).all()


def test_differential_sharpe_by_hand() -> None:
    ratio, slope = differential_sharpe(np.array([3.0]), np.array([1.0]), np.array([5.0]))
    # B - A^2 = 4, dA = 2, dB = 4: (5 * 2 - 0.5 * 1 * 4) / 8 and (5 - 1 * 3) / 8
    np.testing.assert_allclose(ratio, 1.0)
    np.testing.assert_allclose(slope, 0.25)


def test_differential_sharpe_is_the_derivative_of_the_sharpe_ratio_by_the_rate() -> None:
    mean, second, x, eta = 0.3, 4.0, -1.7, 1e-6

    def sharpe(a: float, b: float) -> float:
        return a / math.sqrt(b - a * a)

    moved = sharpe(mean + eta * (x - mean), second + eta * (x * x - second))
    ratio, _ = differential_sharpe(np.array(x), np.array(mean), np.array(second))
    assert (moved - sharpe(mean, second)) / eta == pytest.approx(float(ratio), rel=1e-4)


def test_differential_sharpe_has_no_unit_and_survives_no_variance() -> None:
    x, mean, second = np.array([2.0]), np.array([0.5]), np.array([3.0])
    np.testing.assert_allclose(
        differential_sharpe(x, mean, second)[0], differential_sharpe(7 * x, 7 * mean, 49 * second)[0]
    )
    ratio, slope = differential_sharpe(np.array([1.0]), np.array([1.0]), np.array([1.0]))
    np.testing.assert_array_equal(ratio, 0.0)
    np.testing.assert_array_equal(slope, 0.0)
    _, slope = differential_sharpe(np.array([0.0]), np.array([1.0]), np.array([1.0]))
    np.testing.assert_allclose(slope, MIN_VARIANCE**-1.5)


@pytest.mark.parametrize("objective", [ALL, *EACH])
def test_factor_is_the_marginal_utility_penalties_included(objective: Objective) -> None:
    _, path = live(np.random.default_rng(5).normal(0.2, 2.0, (20, 3)), objective)
    x, step = np.array([1.0, -6.0, 0.1]), 1e-6

    def worth(moved: np.ndarray) -> np.ndarray:
        terms = objective_terms(week_of(moved, 0.0), path, objective, COSTS)[0]
        return terms.utility + terms.added

    slope = (worth(x + step) - worth(x - step)) / (2 * step)
    np.testing.assert_allclose(objective_terms(week_of(x, 0.0), path, objective, COSTS)[0].factor, slope, atol=1e-7)


@pytest.mark.parametrize("objective", EACH)
@pytest.mark.parametrize("shape", [(), (4,), (2, 3)])
def test_torch_gives_the_numbers_of_numpy(objective: Objective, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(6)
    one = start_path(np.zeros(shape))
    other = start_path(torch.zeros(shape, dtype=torch.float64))
    for _ in range(30):
        x, traded = np.asarray(rng.normal(0.1, 3.0, shape)), np.asarray(rng.random(shape))
        terms, one = objective_terms(week_of(x, traded), one, objective, COSTS)
        others, other = objective_terms(week_of(torch.tensor(x), torch.tensor(traded)), other, objective, COSTS)
        for name in ("utility", "factor", "added"):
            assert getattr(others, name).shape == shape
            np.testing.assert_allclose(getattr(terms, name), getattr(others, name).numpy(), rtol=1e-10, atol=1e-12)
    for ours, theirs in zip(one, other, strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("objective", EACH)
def test_gradient_through_weeks(objective: Objective) -> None:
    generator = torch.Generator().manual_seed(1)
    xs = 3.0 * torch.randn(5, 3, dtype=torch.float64, generator=generator)
    traded = torch.rand(5, 3, dtype=torch.float64, generator=generator)

    def value(xs: torch.Tensor, traded: torch.Tensor) -> torch.Tensor:
        path, found = start_path(xs[0]), []
        for x, t in zip(xs, traded, strict=True):
            terms, path = objective_terms(week_of(x, t), path, objective, COSTS)
            found.append(terms.utility + terms.added)
        return torch.stack(found).sum()

    assert torch.autograd.gradcheck(value, (xs.requires_grad_(), traded.requires_grad_()))


@pytest.mark.parametrize("objective", EACH)
def test_terms_scale_with_the_reward(objective: Objective) -> None:
    x, traded = np.array([1.5, -6.0]), np.array([0.1, 0.9])
    large = dataclasses.replace(COSTS, reward_scale=1_000.0)
    one, path = objective_terms(week_of(x, traded), start_path(x), objective, COSTS)
    ten, other = objective_terms(week_of(10 * x, traded), start_path(x), objective, large)
    np.testing.assert_allclose(10 * (one.utility + one.added), ten.utility + ten.added)
    np.testing.assert_allclose(one.factor, ten.factor)
    np.testing.assert_allclose(path, other)


def test_off_adds_nothing() -> None:
    x = np.array([1.0, -3.0])
    terms, path = objective_terms(week_of(x, np.array([0.5, 0.5])), start_path(x), Objective(), COSTS)
    np.testing.assert_array_equal(terms.utility, x)
    np.testing.assert_array_equal(terms.added, 0.0)
    np.testing.assert_array_equal(path, start_path(x))
    assert Objective().off
    assert not any(objective.off for objective in EACH)


def test_another_episode_begins_without_drawdown_and_keeps_the_estimates() -> None:
    _, path = live(-np.ones((5, 3)), ALL)
    again = restart_path(path, np.array([True, False, True]))
    np.testing.assert_array_equal(again.drawdown, [0.0, path.drawdown[1], 0.0])
    assert path.drawdown[1] > 4
    assert again._replace(drawdown=path.drawdown) == path


@pytest.mark.parametrize("wrong", [{"turnover": -1.0}, {"cvar": math.nan}, {"drawdown": math.inf}, {"eta": 0.0}])
def test_refuses_what_is_no_objective(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError):
        Objective(**wrong)  # type: ignore[arg-type]


class TestEnvironments:
    """Each trains on the objective of its own weeks, anew in each episode."""

    ACTIONS = np.random.default_rng(7).normal(size=(25, 3, N_ASSETS)).astype(np.float32)

    def rewards(self, objective: Objective, episode_weeks: int = 10) -> np.ndarray:
        vec = PortfolioVecEnv(STATES, SCALER, COSTS, 3, episode_weeks=episode_weeks, objective=objective)
        vec.seed(3)
        vec.reset()
        return np.array([vec.step(action)[1] for action in self.ACTIONS])

    @staticmethod
    def expected(weeks: list[Settlement], objective: Objective) -> np.ndarray:
        path, found = start_path(weeks[0].reward), []
        for t, week in enumerate(weeks):
            path = path._replace(drawdown=0 * path.drawdown) if t % 10 == 0 else path
            terms, path = objective_terms(week, path, objective, COSTS)
            found.append(terms.utility + terms.added)
        return np.array(found)

    def test_off_leaves_the_reward(self) -> None:
        np.testing.assert_array_equal(self.rewards(Objective()), self.rewards(Objective(eta=0.5)))
        vec = PortfolioVecEnv(STATES, SCALER, COSTS, 3, episode_weeks=10)
        vec.seed(3)
        vec.reset()
        plain = np.array([vec.step(action)[1] for action in self.ACTIONS])
        np.testing.assert_array_equal(self.rewards(Objective()), plain)

    @pytest.mark.parametrize("objective", EACH)
    def test_many_portfolios(self, objective: Objective) -> None:
        plain = self.rewards(Objective())
        shaped = self.rewards(objective)
        assert not np.array_equal(plain, shaped)
        if objective.turnover:
            return
        weeks = [week_of(x, np.zeros(3)) for x in plain]
        np.testing.assert_array_equal(shaped, self.expected(weeks, objective))

    @pytest.mark.parametrize("objective", EACH)
    def test_one_portfolio_as_many(self, objective: Objective) -> None:
        env = WeeklyPortfolioEnv(STATES, SCALER, COSTS, episode_weeks=10, objective=objective)
        vec = PortfolioVecEnv(STATES, SCALER, COSTS, 1, episode_weeks=10, objective=objective)
        for start in (4, 33):
            env.reset(options={"start": start})
            vec.set_options({"start": start})
            vec.reset()
            for action in self.ACTIONS[:10]:
                assert env.step(action[0])[1] == vec.step(action[:1])[1][0]

    @pytest.mark.parametrize("objective", EACH)
    def test_agents_get_the_marginal_utility_and_pay_for_their_trades(self, objective: Objective) -> None:
        def make(objective: Objective) -> AgentsVecEnv:
            env = AgentsVecEnv(STATES, SCALER, COSTS, 3, episode_weeks=10, objective=objective, reward_factor=2.0)
            env.seed(5)
            env.reset()
            return env

        plain, shaped = make(Objective()), make(objective)
        path = start_path(np.zeros(3))
        for t, action in enumerate(self.ACTIONS):
            if t % 10 == 0:
                path = path._replace(drawdown=np.zeros(3))
            batch = plain._batch
            held, left, rows = batch.held.copy(), batch.left.copy(), batch.rows.copy()
            parts = plain.step(action.reshape(-1, 1))[1].reshape(3, N_ASSETS) / 2.0
            target = project(np.log(self.equal()) + action.astype(np.float64).clip(-4, 4), COSTS)
            np.testing.assert_allclose(parts, agent_rewards(target, held, left, STATES.returns[rows], COSTS))
            x = 100 * np.log1p((target[:, :-1] * STATES.returns[rows]).sum(1))
            traded = 0.5 * (np.abs(target - held).sum(1) + left)
            x = x + 100 * np.log1p(-COSTS.cost_bps / 1e4 * traded)
            terms, path = objective_terms(week_of(x, traded), path, objective, COSTS)
            own = 0.5 * np.abs(target - held)
            own[:, -1] += 0.5 * left
            wanted = 2.0 * terms.factor[:, None] * (parts - objective.turnover * own)
            got = shaped.step(action.reshape(-1, 1))[1].reshape(3, N_ASSETS)
            np.testing.assert_allclose(got, wanted, atol=1e-9)

    @staticmethod
    def equal() -> np.ndarray:
        return np.append(np.full(15, (1 - COSTS.cash_buffer) / 15), COSTS.cash_buffer)
