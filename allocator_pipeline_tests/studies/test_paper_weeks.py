from __future__ import annotations

import pytest

from allocator_pipeline.allocators.baselines import EqualWeight
from allocator_pipeline.config import CostConfig
from allocator_pipeline.portfolio.rollout import simulate
from allocator_pipeline.studies.paper_weeks import lived_weeks
from allocator_pipeline_tests.evaluation.conftest import Tilted, year_of_states

COSTS = CostConfig()


def test_the_account_earns_what_a_walk_over_the_same_weeks_earns() -> None:
    states = year_of_states(2016)[:20]
    policy = Tilted((0, 3, 7))
    lived = lived_weeks("ppo_lstm", policy, states, COSTS)
    walk = simulate(policy.target_weights, states, COSTS)
    assert [one.week for one in lived] == states.weeks[:-1].astype(str).tolist()
    assert [one.reward for one in lived] == pytest.approx(walk.reward[:-1].tolist(), abs=1e-12)


def test_it_starts_from_cash_and_goes_on_with_what_it_holds() -> None:
    states = year_of_states(2016)[:4]
    first, second, _ = lived_weeks("ppo_lstm", EqualWeight(COSTS), states, COSTS)
    assert first.held == {"CASH": 1.0}
    assert second.held.keys() == first.action.keys()
