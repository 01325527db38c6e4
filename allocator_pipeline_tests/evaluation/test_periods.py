"""Calendar years and rolling windows against plain loops."""

from __future__ import annotations

import numpy as np
import pytest

from allocator_pipeline.config import CostConfig
from allocator_pipeline.evaluation.metrics import metrics
from allocator_pipeline.evaluation.periods import calendar_years, rolling_sharpe
from allocator_pipeline.portfolio.rollout import simulate
from allocator_pipeline_tests.evaluation.conftest import Tilted


def test_a_rolling_sharpe_ratio_is_that_of_each_window():
    net = np.random.default_rng(0).normal(0.002, 0.02, 80)
    found = rolling_sharpe(net, 52)
    wanted = [metrics(net[end - 52 : end], np.zeros(52))["sharpe"] for end in range(52, 81)]
    assert found.tolist() == pytest.approx(wanted)


def test_too_few_weeks_have_no_rolling_sharpe_ratio():
    assert rolling_sharpe(np.zeros(51)).shape == (0,)


def test_years_compound_to_the_whole(states):
    costs = CostConfig()
    run = simulate(Tilted((0, 1, 2)).target_weights, states, costs)
    other = simulate(Tilted((3, 4)).target_weights, states, costs)
    years = states.weeks.astype("datetime64[Y]").astype(int) + 1970
    table = calendar_years(years, run, {"other": other})
    assert [row["year"] for row in table] == [2016, 2017, 2018]
    assert np.prod([1 + row["return"] for row in table]) == pytest.approx(np.prod(1 + run.net))
    assert np.prod([1 + row["returns"]["other"] for row in table]) == pytest.approx(np.prod(1 + other.net))
    assert sum(row["costs"] for row in table) == pytest.approx(run.cost.sum())
    alone = metrics(run.net[years == 2017], run.turnover[years == 2017])
    assert {name: table[1][name] for name in ("sharpe", "max_drawdown", "turnover")} == pytest.approx(
        {name: alone[name] for name in ("sharpe", "max_drawdown", "turnover")}
    )


def test_a_year_of_one_week_has_no_sharpe_ratio(states):
    run = simulate(Tilted((0,)).target_weights, states[:3], CostConfig())
    table = calendar_years(np.array([1, 1, 2]), run, {})
    assert table[1]["sharpe"] == 0.0
    assert table[1]["return"] == pytest.approx(run.net[2])
