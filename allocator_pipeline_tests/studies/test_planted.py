from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from allocator_pipeline.config import CostConfig
from allocator_pipeline.market import calendar
from allocator_pipeline.portfolio.constraints import check_weights
from allocator_pipeline.portfolio.rollout import simulate
from allocator_pipeline.portfolio.state import Observation, StateTensors
from allocator_pipeline.studies import planted
from allocator_pipeline.studies.planted import SIGNAL, market, opponents, oracle_targets, planted_states, split
from allocator_pipeline.training.weeks import training_weeks

COSTS = CostConfig()
MARKET = 1  # one that recipes may be tuned on


def weekly_ic(ic: float) -> float:
    states = planted_states(1, 1_500, ic)
    own = states.returns - states.returns.mean(axis=1, keepdims=True)
    signal = states.signals[..., SIGNAL] - states.signals[..., SIGNAL].mean(axis=1, keepdims=True)
    return float((own * signal).mean() / (own.std() * signal.std()))


def test_the_signal_is_planted_at_its_strength_or_not_at_all() -> None:
    assert weekly_ic(0.1) == pytest.approx(0.1, abs=0.015)
    assert weekly_ic(0.0) == pytest.approx(0.0, abs=0.015)


def test_the_signal_is_persistent_and_seeded() -> None:
    states = planted_states(1, 1_500, 0.1, persistence=0.9)
    signal = states.signals[..., SIGNAL]
    assert np.corrcoef(signal[1:].ravel(), signal[:-1].ravel())[0, 1] == pytest.approx(0.9, abs=0.02)
    assert signal.std() == pytest.approx(1.0, abs=0.1)
    assert planted_states(1, 60, 0.1).digest() == planted_states(1, 60, 0.1).digest()
    assert planted_states(2, 60, 0.1).digest() != planted_states(1, 60, 0.1).digest()


def test_a_market_is_the_same_whenever_it_is_made() -> None:
    first = market(MARKET, 0.1).digest()
    market.cache_clear()
    assert market(MARKET, 0.1).digest() == first


def test_1040_weeks_train_and_520_later_ones_judge() -> None:
    training, test = split(market(MARKET, 0.1))
    assert (len(training), len(test)) == (1_040, 520)
    assert (
        calendar.week(pd.Timestamp(training.weeks[-1]))["exit_session"]
        < calendar.week(pd.Timestamp(test.weeks[0]))["decision_session"]
    )
    assert len(training_weeks(training, pd.Timestamp(training.weeks[-1]).year)) == 1_040  # no week is purged


def test_the_oracle_beats_equal_weight_where_a_signal_is_planted_and_not_where_none_is() -> None:
    gains = {}
    for ic in (0.10, 0.05, 0.0):
        equal, oracle = opponents(market(MARKET, ic), COSTS)
        gains[ic] = oracle - equal
    assert gains[0.10] > 0.4
    assert gains[0.10] > gains[0.05] > 0.1
    assert gains[0.0] < 0.05


def test_the_oracle_is_tuned_on_the_training_weeks_alone() -> None:
    states = market(MARKET, 0.1)
    training, test = split(states)
    best = planted.tuned_oracle(training, COSTS)

    def sharpe(tilt: float, smoothing: float) -> float:
        return planted.sharpe_of_targets(oracle_targets(training, tilt, smoothing, COSTS), training, COSTS)

    assert sharpe(*best) >= max(sharpe(tilt, smoothing) for tilt in (1.0, 4.0, 12.0) for smoothing in (0.0, 0.7))
    returns = states.returns.copy()
    returns[-len(test) :] *= -1.0
    upside_down = dataclasses.replace(states, returns=returns, marks=returns)
    _, hurt = opponents(upside_down, COSTS)
    known = oracle_targets(states, *best, COSTS)[-len(test) :]
    assert hurt == pytest.approx(planted.sharpe_of_targets(known, split(upside_down)[1], COSTS))


def as_simulated(targets: np.ndarray, states: StateTensors) -> float:
    def decide(observation: Observation) -> np.ndarray:
        return targets[states.row(pd.Timestamp(observation.week))]

    net = simulate(decide, states, COSTS).net
    return float(np.sqrt(52) * net.mean() / net.std(ddof=1))


def test_the_oracle_is_accounted_for_as_every_allocator_is() -> None:
    states = planted_states(4, 80, 0.1)
    targets = check_weights(oracle_targets(states, 2.0, 0.5, COSTS), COSTS)
    assert planted.sharpe_of_targets(targets, states, COSTS) == pytest.approx(as_simulated(targets, states))
