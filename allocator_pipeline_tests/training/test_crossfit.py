from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator_pipeline.allocators.baselines import EqualWeight
from allocator_pipeline.allocators.ensemble import TiltEnsemble
from allocator_pipeline.allocators.policy import Policy, Shrinkage
from allocator_pipeline.allocators.recipes import recipe
from allocator_pipeline.config import CostConfig
from allocator_pipeline.portfolio.objective import Objective
from allocator_pipeline.portfolio.rollout import simulate
from allocator_pipeline.portfolio.scaler import StateScaler
from allocator_pipeline.studies.planted import SIGNAL, planted_states
from allocator_pipeline.training.crossfit import active_returns, cross_fit, folds, shrinkage

COSTS = CostConfig()


def tilted_by_the_signal(strength: float, states) -> Policy:  # type: ignore[no-untyped-def]
    """A policy whose tilt is the planted signal itself."""
    chosen = dataclasses.replace(recipe("dpg", "default"), members=1, hidden_sizes=())
    network = TiltEnsemble.untrained(chosen)
    network.actor["weight.0"][0, SIGNAL, 0] = strength
    return Policy(chosen, COSTS, StateScaler.fit(states), tuple(states.symbols[-1].tolist()), network)


@pytest.mark.parametrize("count", [2, 3, 8])
def test_folds_are_all_weeks_once_and_the_rest_in_order(count: int) -> None:
    states = planted_states(1, 105, 0.0)
    cut = folds(states, count)
    np.testing.assert_array_equal(np.concatenate([fold.unseen.weeks for fold in cut]), states.weeks)
    for fold in cut:
        assert len(fold.unseen) in (105 // count, 105 // count + 1)
        assert not set(fold.unseen.weeks) & set(fold.rest.weeks)
        np.testing.assert_array_equal(
            fold.rest.weeks, [week for week in states.weeks if week not in set(fold.unseen.weeks)]
        )
    assert folds(states, 0) == []


@given(
    mean=st.floats(-0.01, 0.01), deviation=st.floats(1e-4, 0.05), count=st.integers(20, 400), seed=st.integers(0, 99)
)
def test_the_share_is_a_ramp_of_t(mean: float, deviation: float, count: int, seed: int) -> None:
    active = mean + deviation * np.random.default_rng(seed).standard_normal(count)
    found = shrinkage(active)
    t = active.mean() / (active.std(ddof=1) / np.sqrt(count))
    assert found.t == pytest.approx(t)
    assert found.weeks == count
    assert found.share == pytest.approx(min(1.0, max(0.0, t - 0.5)))
    assert found.share == 0.0 or t > 0.5


def test_a_policy_that_tilts_nothing_is_served_as_equal_weight() -> None:
    assert shrinkage(np.zeros(50)) == Shrinkage(0.0, 0.0, 50)
    assert shrinkage(np.full(50, 0.01)) == Shrinkage(0.0, 0.0, 50)


def test_skill_is_served_and_harm_is_not() -> None:
    states = planted_states(5, 520, 0.15)
    unseen = [fold.unseen for fold in folds(states, 2)]
    good = tilted_by_the_signal(1.0, states)
    found = cross_fit([(good, weeks) for weeks in unseen])
    assert found.t > 3.0
    assert found.share == 1.0
    assert cross_fit([(tilted_by_the_signal(-1.0, states), unseen[0])]).share == 0.0


def test_active_returns_are_net_and_above_equal_weight() -> None:
    states = planted_states(6, 60, 0.1)
    still = active_returns(tilted_by_the_signal(0.0, states), states)
    np.testing.assert_allclose(still, 0.0, atol=1e-12)
    dear = dataclasses.replace(tilted_by_the_signal(1.0, states), costs=CostConfig(cost_bps=100.0))
    cheap = dataclasses.replace(dear, costs=CostConfig(cost_bps=0.0))
    assert active_returns(dear, states).mean() < active_returns(cheap, states).mean()


def test_active_returns_are_those_of_the_evaluation() -> None:
    """Also where the universe changes and marks differ from returns."""
    planted = planted_states(7, 90, 0.3)
    symbols = planted.symbols.astype("<U10")
    symbols[30:, 4] = "JOINER"
    symbols[60:, [1, 2]] = symbols[60:, [2, 1]]
    rng = np.random.default_rng(0)
    states = dataclasses.replace(planted, symbols=symbols, marks=planted.returns + rng.normal(0, 0.01, (90, 15)))
    policy = tilted_by_the_signal(1.5, states)
    policy.network.actor["weight.0"][0, 8, 0] = 0.5  # type: ignore[union-attr]  # it looks at what it holds
    walked = simulate(policy.target_weights, states, COSTS).net
    equal = simulate(EqualWeight(COSTS).target_weights, states, COSTS).net
    np.testing.assert_allclose(active_returns(policy, states), walked - equal, atol=1e-12)


def test_a_policy_asked_for_less_risk_is_judged_at_equal_volatility() -> None:
    states = planted_states(5, 520, 0.15)
    good = tilted_by_the_signal(1.0, states)
    good.network.actor["bias.0"][:] = -1.5  # type: ignore[union-attr]  # all assets alike, so CASH's share stays
    good.network.actor["weight.0"][0, 9, 0] = 5.5  # type: ignore[union-attr]  # the flag of CASH: most wealth is in cash
    careful = dataclasses.replace(good, recipe=dataclasses.replace(good.recipe, objective=Objective(volatility=0.1)))
    own = simulate(good.target_weights, states, COSTS).net
    equal = simulate(EqualWeight(COSTS).target_weights, states, COSTS).net
    assert own.std() < 0.7 * equal.std()
    np.testing.assert_allclose(active_returns(good, states), own - equal, atol=1e-12)
    np.testing.assert_allclose(active_returns(careful, states), own * equal.std() / own.std() - equal, atol=1e-12)
    assert cross_fit([(careful, states)]).t > cross_fit([(good, states)]).t + 1.0
