"""What needs the market, the weights or other costs: against walks at those costs, empyrical, and plain loops."""

from __future__ import annotations

import dataclasses
import json

import empyrical
import numpy as np
import pytest

from allocator_pipeline.allocators.baselines import EqualWeight
from allocator_pipeline.atomic import canonical_json
from allocator_pipeline.config import CostConfig
from allocator_pipeline.evaluation.metrics import cagr, sharpe_ratio
from allocator_pipeline.evaluation.performance import COST_LEVELS, beta, break_even_bps, net_at, performance
from allocator_pipeline.portfolio.constraints import within_limits
from allocator_pipeline.portfolio.rollout import Rollout, simulate
from allocator_pipeline.portfolio.state import Observation, StateTensors
from allocator_pipeline_tests.evaluation.conftest import Tilted

COSTS = CostConfig()


def chases_its_winners(observation: Observation) -> np.ndarray:
    """Read the weights held and add to what has grown; trades every week."""
    target = observation.weights**2
    target[:-1] += 0.01 + 0.1 * (observation.features[:, 0] > 0)
    return within_limits(target / target.sum(), COSTS)


def walked(states: StateTensors, decide=chases_its_winners, bps: float = COSTS.cost_bps) -> Rollout:
    return simulate(decide, states, dataclasses.replace(COSTS, cost_bps=bps))


def market(states: StateTensors) -> Rollout:
    return walked(states, EqualWeight(COSTS).target_weights)


def test_one_walk_serves_every_level_of_costs(states):
    """Costs are paid from wealth in proportion: weights, hence turnover, do not depend on them."""
    run = walked(states)
    assert run.turnover.mean() > 0.05
    levels = performance(run, market(states), COSTS)["cost_levels"]
    assert list(levels) == [str(bps) for bps in COST_LEVELS] == ["0", "5", "10", "20", "50"]
    for bps in (*COST_LEVELS, 300):
        other = walked(states, bps=bps)
        np.testing.assert_array_equal(other.targets, run.targets)
        np.testing.assert_allclose(net_at(run, COSTS, bps), other.net, rtol=0, atol=1e-12)
        if bps in COST_LEVELS:
            own = levels[str(bps)]
            assert own == pytest.approx({"sharpe": float(sharpe_ratio(other.net)), "cagr": cagr(other.net)}, abs=1e-12)


def test_at_the_costs_of_the_walk_the_level_is_the_walk(states):
    found = performance(walked(states), market(states), COSTS)
    assert found["cost_levels"]["10"] == {name: found["metrics"][name] for name in ("sharpe", "cagr")}


def test_numbers_equal_a_second_computation(states):
    run, other = walked(states), market(states)
    found = performance(run, other, COSTS)["metrics"]
    herfindahl = [sum(weight**2 for weight in week) for week in run.targets.tolist()]
    tail = sorted(range(len(states)), key=lambda week: other.net[week])[: -(-len(states) // 20)]
    assert found["concentration"] == pytest.approx(sum(herfindahl) / len(herfindahl))
    assert found["costs"] == pytest.approx(0.001 * found["turnover"] * 52)
    assert found["market_exposure"] == pytest.approx(empyrical.beta(run.gross, other.gross))
    assert found["tail_hit_rate"] == pytest.approx(sum(run.net[week] > other.net[week] for week in tail) / len(tail))
    assert 0.0 < found["tail_hit_rate"] < 1.0


def test_the_market_is_itself(states):
    found = performance(market(states), market(states), COSTS)["metrics"]
    assert found["market_exposure"] == pytest.approx(1.0)
    assert found["concentration"] == pytest.approx(15 * (0.98 / 15) ** 2 + 0.02**2)
    assert found["tail_hit_rate"] == 0.0  # a tie is no hit
    assert found["break_even_bps"] is None


def test_cash_is_the_refuge_and_has_no_exposure(states):
    found = performance(walked(states, Tilted(()).target_weights), market(states), COSTS)["metrics"]
    assert (found["tail_hit_rate"], found["market_exposure"], found["concentration"], found["costs"]) == (1, 0, 1, 0)


def test_break_even_is_where_both_grow_alike(states):
    other = market(states)
    traded = walked(states).turnover
    ahead = dataclasses.replace(other, gross=other.gross + 0.002, turnover=traded)
    bps = break_even_bps(ahead, other, COSTS)
    assert bps is not None
    assert cagr(net_at(ahead, COSTS, bps)) == pytest.approx(cagr(net_at(other, COSTS, bps)), abs=1e-9)
    assert bps == pytest.approx(20 / (traded.mean() - other.turnover.mean()), rel=0.1)  # 20 bps of gain a week
    assert cagr(net_at(ahead, COSTS, 0.9 * bps)) > cagr(net_at(other, COSTS, 0.9 * bps))


def test_where_there_is_no_break_even_it_is_none(states):
    other = market(states)
    behind = dataclasses.replace(other, gross=other.gross - 0.001, turnover=2 * other.turnover)
    never_trades = dataclasses.replace(other, gross=other.gross + 0.001, turnover=np.zeros(len(states)))
    assert break_even_bps(behind, other, COSTS) is None
    assert break_even_bps(never_trades, other, COSTS) is None


def test_beta_of_and_to_what_stands_still():
    moving, still = np.random.default_rng(0).normal(size=30), np.full(30, 0.01)
    assert beta(moving, still) == 0.0
    assert beta(still, moving) == pytest.approx(0.0, abs=1e-15)
    assert beta(0.5 * moving + 1, moving) == pytest.approx(0.5)


def test_everything_is_plain_json(states):
    found = performance(walked(states), market(states), COSTS)
    assert json.loads(canonical_json(found)) == found
