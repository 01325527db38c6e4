from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from allocator_pipeline.config import CostConfig
from allocator_pipeline.portfolio.constraints import check_weights
from allocator_pipeline.portfolio.rollout import simulate
from allocator_pipeline.portfolio.state import Observation
from allocator_pipeline.studies import learnability
from allocator_pipeline.studies.planted import SIGNAL, planted_states

COSTS = CostConfig()


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


def test_training_and_test_weeks_do_not_touch() -> None:
    training, test = learnability.split(learnability.market(1, 0.1))
    assert len(test) == learnability.TEST_WEEKS
    assert pd.Timestamp(training.weeks[-1]).year == learnability.LAST_TRAINING_YEAR
    assert test.weeks[0] > training.weeks[-1]


def test_the_oracle_is_accounted_for_as_every_allocator_is() -> None:
    states = planted_states(4, 80, 0.1)
    targets = check_weights(learnability.oracle_targets(states, 2.0, 0.5, COSTS), COSTS)

    def decide(observation: Observation) -> np.ndarray:
        return targets[states.row(pd.Timestamp(observation.week))]

    net = simulate(decide, states, COSTS).net
    expected = np.sqrt(52) * net.mean() / net.std(ddof=1)
    assert learnability.sharpe_of_targets(targets, states, COSTS) == pytest.approx(expected)


def test_the_default_recipes_learn_what_is_planted() -> None:
    """One market on which nothing was tuned; docs/decisions/0001-default-recipes.md has the table of many."""
    states = learnability.market(learnability.FIRST_MARKET, learnability.IC)
    equal, oracle = learnability.opponents(states, COSTS)
    assert oracle - equal > 0.4
    for algorithm in ("ppo", "sac"):
        judged = learnability.learn_and_judge(states, algorithm, "default", 0, COSTS)
        assert judged["sharpe"] - equal > 0.5 * (oracle - equal), algorithm


@pytest.mark.slow
def test_the_reference_recipes_do_not() -> None:
    states = learnability.market(learnability.FIRST_MARKET, learnability.IC)
    equal, oracle = learnability.opponents(states, COSTS)
    for algorithm in ("ppo", "sac"):
        judged = learnability.learn_and_judge(states, algorithm, "reference", 0, COSTS)
        assert judged["sharpe"] - equal < 0.3 * (oracle - equal), algorithm


def test_summary_has_one_row_for_each_recipe() -> None:
    keys = {"algorithm": ["ppo", "ppo", "sac"], "recipe": ["default"] * 3}
    numbers = {"market": [1, 2, 1], "excess": [0.2, 0.4, -0.1], "captured": [0.5, 0.9, 0.1], "turnover": 0.1}
    rows = pd.DataFrame({**keys, **numbers, "cpu_seconds": 1.0})
    table = learnability.summary(rows, rows).set_index("algorithm")
    assert table.loc["ppo", "captured_median"] == pytest.approx(0.7)
    assert table.loc["ppo", "captured_worst"] == pytest.approx(0.5)
    assert table.loc["ppo", "null_loss"] == pytest.approx(-0.3)
    assert table.loc["sac", "null_loss"] == pytest.approx(0.1)
