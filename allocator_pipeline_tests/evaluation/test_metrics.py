"""Metrics against a second computation: plain Python sums and loops over the weeks."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator_pipeline.errors import NotEnoughDataError, WeightsError
from allocator_pipeline.evaluation.metrics import drawdowns, metrics, sharpe_ratio, wealth

weekly_returns = st.lists(st.floats(-0.3, 0.3, allow_nan=False), min_size=2, max_size=120)


def naive(net: list[float], turnover: list[float]) -> dict[str, float]:
    """Compute the same numbers week by week, with the standard library only."""
    account, peak, deepest, wins = 1.0, 1.0, 0.0, 0
    for week in net:
        account = account * (1 + week)
        peak = max(peak, account)
        deepest = min(deepest, (account - peak) / peak)
        wins += week > 0
    deviation = statistics.stdev(net)
    return {
        "weeks": len(net),
        "sharpe": math.sqrt(52) * statistics.fmean(net) / deviation if deviation > 1e-12 else 0.0,
        "cagr": math.exp(math.log(account) * 52 / len(net)) - 1,
        "volatility": math.sqrt(52) * deviation,
        "max_drawdown": deepest,
        "hit_rate": wins / len(net),
        "turnover": math.fsum(turnover) / len(turnover),
    }


@given(net=weekly_returns)
def test_every_metric_equals_the_naive_computation(net):
    turnover = [abs(week) for week in net]
    expected = naive(net, turnover)
    found = metrics(net, turnover)
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-7, abs=1e-9), name


def test_known_answers():
    # +10 % then -50 %: wealth 0.55, half a loss from the peak, annualised over two weeks.
    found = metrics([0.10, -0.50], [0.5, 0.0])
    assert found["max_drawdown"] == pytest.approx(-0.5)
    assert found["cagr"] == pytest.approx(0.55**26 - 1)
    assert found["hit_rate"] == 0.5
    assert found["turnover"] == 0.25
    # mean -0.2, sample deviation 0.6 / sqrt(2)
    assert found["sharpe"] == pytest.approx(math.sqrt(52) * -0.2 / (0.6 / math.sqrt(2)))


def test_a_loss_in_the_first_week_is_a_drawdown_from_the_starting_wealth():
    assert drawdowns(np.array([-0.25, 0.10]))[0] == pytest.approx(-0.25)


def test_weekly_sharpe_is_not_the_daily_annualisation():
    net = np.random.default_rng(1).normal(0.002, 0.02, 520)
    assert sharpe_ratio(net) == pytest.approx(net.mean() / net.std(ddof=1) * 7.211102550927978)


def test_sharpe_of_many_series_at_once_equals_each_alone():
    draws = np.random.default_rng(2).normal(0.001, 0.02, (7, 60))
    assert np.allclose(sharpe_ratio(draws), [sharpe_ratio(draw) for draw in draws], rtol=1e-13)


def test_cash_has_no_sharpe_and_no_drawdown():
    found = metrics(np.zeros(10), np.zeros(10))
    assert found["sharpe"] == found["cagr"] == found["max_drawdown"] == found["volatility"] == 0.0
    assert wealth(np.zeros(3)).tolist() == [1.0, 1.0, 1.0]


def test_no_metric_is_a_numpy_scalar():
    assert all(type(value) in (int, float) for value in metrics([0.01, -0.01], [0.1, 0.1]).values())


@pytest.mark.parametrize("net", [[0.1, math.nan], [0.1, math.inf], [0.1, -1.0]])
def test_impossible_returns_are_refused(net):
    with pytest.raises(WeightsError, match="not finite"):
        metrics(net, [0.0, 0.0])


def test_unequal_lengths_and_single_weeks_are_refused():
    with pytest.raises(WeightsError, match="do not match"):
        metrics([0.1, 0.1], [0.0])
    with pytest.raises(NotEnoughDataError, match="1 known week"):
        metrics([0.1], [0.0])
