"""Each optimiser against what defines it, on a covariance that scikit-learn shrinks."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.optimize import minimize
from skfolio.optimization import HierarchicalRiskParity, MeanRisk
from sklearn.covariance import LedoitWolf

from allocator_pipeline.allocators import optimised
from allocator_pipeline.allocators.history import DailyReturns
from allocator_pipeline.allocators.optimised import METHODS, Optimised
from allocator_pipeline.config import BASELINES, CostConfig
from allocator_pipeline.errors import OptimisationError
from allocator_pipeline.portfolio.constraints import check_weights
from allocator_pipeline_tests.allocators.conftest import SYMBOLS, VOLATILITY, make_prices, returns_before, see

COSTS = CostConfig()
CAP = 0.2 / 0.98


@pytest.fixture(scope="module")
def returns(prices):
    return returns_before(prices, "2015-05-29")


@pytest.fixture(scope="module")
def covariance(returns):
    return LedoitWolf().fit(returns).covariance_


def weights_of(method, prices, costs=COSTS, week="2015-06-01", symbols=SYMBOLS):
    return Optimised(method, DailyReturns(prices), costs).target_weights(see(week, symbols))


def best_by_slsqp(objective):
    """The second implementation: a general optimiser from equal weights."""
    found = minimize(
        lambda w: objective(w),
        np.full(15, 1 / 15),
        method="SLSQP",
        bounds=[(0, CAP)] * 15,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        options={"ftol": 1e-14, "maxiter": 1000},
    )
    assert found.success
    return found.x


def test_every_method_is_a_baseline():
    assert set(METHODS) < set(BASELINES)


def test_hrp_is_skfolios_on_the_year_before_the_decision(prices, returns):
    expected = HierarchicalRiskParity().fit(returns).weights_
    assert expected.max() < 0.2
    np.testing.assert_allclose(weights_of("hrp", prices), np.r_[0.98 * expected, 0.02], atol=1e-12)


def test_inverse_volatility(prices, returns):
    expected = 1 / returns.std(axis=0)
    expected *= 0.98 / expected.sum()
    np.testing.assert_allclose(weights_of("inverse_volatility", prices), np.r_[expected, 0.02], atol=1e-12)


def test_minimum_variance(prices, covariance):
    expected = best_by_slsqp(lambda w: 1e4 * w @ covariance @ w)
    found = weights_of("minimum_variance", prices)
    np.testing.assert_allclose(found, np.r_[0.98 * expected, 0.02], atol=2e-3)
    variance = [w @ covariance @ w for w in (found[:-1] / 0.98, expected)]
    assert variance[0] <= variance[1] * (1 + 1e-5)
    assert found.max() == pytest.approx(0.2)  # the cap binds


def test_maximum_diversification(prices, covariance):
    sigma = np.sqrt(np.diag(covariance))
    expected = best_by_slsqp(lambda w: -(w @ sigma) / np.sqrt(w @ covariance @ w))
    found = weights_of("maximum_diversification", prices)
    np.testing.assert_allclose(found, np.r_[0.98 * expected, 0.02], atol=2e-3)
    ratio = [w @ sigma / np.sqrt(w @ covariance @ w) for w in (found[:-1], expected, np.full(15, 1 / 15))]
    assert ratio[0] >= ratio[1] * (1 - 1e-6) > ratio[2]


def test_equal_risk_contribution(prices, covariance):
    found = weights_of("equal_risk_contribution", prices)
    stocks = found[:-1]
    contributions = stocks * (covariance @ stocks)
    assert found[-1] == pytest.approx(0.02)
    np.testing.assert_allclose(contributions / contributions.sum(), 1 / 15, rtol=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_cap_and_cash_buffer_are_kept(method):
    calm = make_prices(np.r_[0.001, 0.001, VOLATILITY[2:]])
    for cap in (0.2, 0.05):  # at 5 % even all stocks at their cap leave a quarter in cash
        costs = CostConfig(max_position_weight=cap)
        weights = check_weights(weights_of(method, calm, costs), costs)
        assert weights.max(initial=0.0, where=np.arange(16) < 15) <= cap
        assert weights[-1] == pytest.approx(max(0.02, 1 - 15 * cap))


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"hrp"}))  # whose dendrogram depends on the order
def test_weights_follow_the_slots(method, prices):
    order = np.random.default_rng(0).permutation(15)
    first, second = (weights_of(method, prices, symbols=names) for names in (SYMBOLS, SYMBOLS[order]))
    np.testing.assert_allclose(second[:-1], first[:-1][order], atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_calm_stocks_weigh_more(method, prices):
    weights = weights_of(method, prices)
    assert weights[:5].sum() > weights[10:15].sum()


def test_a_window_is_computed_once(prices, monkeypatch):
    monkeypatch.setattr(optimised, "_SHARES", {})
    first = weights_of("hrp", prices)
    for _ in range(3):
        again = weights_of("hrp", prices)
        again[:] = 0.0  # what a caller does with its weights is its own affair
    assert len(optimised._SHARES) == 1
    np.testing.assert_array_equal(weights_of("hrp", prices), first)
    weights_of("inverse_volatility", prices)
    assert len(optimised._SHARES) == 2


def test_what_cannot_be_solved_is_an_error_and_never_another_portfolio(prices, returns, monkeypatch):
    with pytest.raises(OptimisationError, match="minimum_variance failed"):
        optimised._shares("minimum_variance", returns, 0.01)  # fifteen times 1 % is not the whole
    hurried = {"minimum_variance": lambda cap: MeanRisk(max_weights=cap, solver_params={"max_iter": 3})}
    monkeypatch.setattr(optimised, "METHODS", hurried)
    monkeypatch.setattr(optimised, "_SHARES", {})
    with pytest.raises(OptimisationError, match="minimum_variance failed") as caught:
        weights_of("minimum_variance", prices)
    assert caught.value.week == "2015-06-01"
    assert optimised._SHARES == {}


def test_an_inaccurate_solution_is_an_error(returns, monkeypatch):
    class Unsure(MeanRisk):
        def fit(self, *arguments):
            warnings.warn("Solution may be inaccurate. Try changing the solver params", stacklevel=1)
            return super().fit(*arguments)

    monkeypatch.setattr(optimised, "METHODS", {"minimum_variance": lambda cap: Unsure(max_weights=cap)})
    monkeypatch.setattr(optimised, "_SHARES", {})
    with pytest.raises(OptimisationError, match="inaccurate"):
        optimised._shares("minimum_variance", returns, CAP)
