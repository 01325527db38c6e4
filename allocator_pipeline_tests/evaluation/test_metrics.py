"""Metrics against second computations: empyrical with 52 weeks a year, and plain loops where it has nothing."""

from __future__ import annotations

import math
import statistics

import empyrical
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from allocator_pipeline.errors import NotEnoughDataError, WeightsError
from allocator_pipeline.evaluation.metrics import drawdown_weeks, drawdowns, metrics, sharpe_ratio, wealth, worst_weeks

weekly_returns = st.lists(st.floats(-0.3, 0.3, allow_nan=False), min_size=2, max_size=120)


def naive(net: list[float], turnover: list[float]) -> dict[str, float]:
    """Compute the same numbers week by week, with the standard library only."""
    account, peak, deepest, wins, under, longest = 1.0, 1.0, 0.0, 0, 0, 0
    for week in net:
        account = account * (1 + week)
        under = under + 1 if account < peak else 0
        longest = max(longest, under)
        peak = max(peak, account)
        deepest = min(deepest, (account - peak) / peak)
        wins += week > 0
    deviation = statistics.stdev(net)
    shortfall = math.sqrt(statistics.fmean(min(week, 0.0) ** 2 for week in net))
    tail = sorted(net)[: math.ceil(len(net) / 20)]
    return {
        "weeks": len(net),
        "sharpe": math.sqrt(52) * statistics.fmean(net) / deviation if deviation > 1e-12 else 0.0,
        "sortino": math.sqrt(52) * statistics.fmean(net) / shortfall if shortfall > 1e-12 else 0.0,
        "cagr": math.exp(math.log(account) * 52 / len(net)) - 1,
        "volatility": math.sqrt(52) * deviation,
        "max_drawdown": deepest,
        "drawdown_weeks": longest,
        "cvar": statistics.fmean(tail),
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


@given(net=weekly_returns)
def test_empyrical_agrees_at_52_weeks_a_year(net):
    assume(statistics.stdev(net) > 1e-6 and min(net) < -1e-6)
    returns, year = np.array(net), {"annualization": 52}
    expected = {
        "sharpe": empyrical.sharpe_ratio(returns, **year),
        "sortino": empyrical.sortino_ratio(returns, **year),
        "cagr": empyrical.cagr(returns, **year),
        "volatility": empyrical.annual_volatility(returns, **year),
        "max_drawdown": empyrical.max_drawdown(returns),
        "cvar": empyrical.conditional_value_at_risk(returns, cutoff=0.05),
    }
    found = metrics(net, net)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-7, abs=1e-9), name


def test_known_answers():
    # +10 % then -50 %: wealth 0.55, half a loss from the peak, annualised over two weeks.
    found = metrics([0.10, -0.50], [0.5, 0.0])
    assert found["max_drawdown"] == pytest.approx(-0.5)
    assert found["cagr"] == pytest.approx(0.55**26 - 1)
    assert found["hit_rate"] == 0.5
    assert found["turnover"] == 0.25
    assert found["cvar"] == -0.50
    # mean -0.2, sample deviation 0.6 / sqrt(2); downside deviation 0.5 / sqrt(2)
    assert found["sharpe"] == pytest.approx(math.sqrt(52) * -0.2 / (0.6 / math.sqrt(2)))
    assert found["sortino"] == pytest.approx(math.sqrt(52) * -0.2 / (0.5 / math.sqrt(2)))


@pytest.mark.parametrize(
    ("net", "weeks"),
    [
        ([0.1, 0.1], 0),
        ([-0.1, -0.1, -0.1], 3),  # the start is a high
        ([0.1, -0.1, 0.05, 0.2, -0.1], 2),
        ([0.1, -0.5, 0.1, 0.1], 3),  # still lasting
        ([0.0, 0.0], 0),
    ],
)
def test_weeks_under_water(net, weeks):
    assert drawdown_weeks(np.array(net)) == weeks


def test_the_tail_is_a_twentieth_rounded_up():
    assert [len(worst_weeks(np.zeros(count))) for count in (2, 20, 21, 40, 41, 417)] == [1, 1, 2, 2, 3, 21]
    assert worst_weeks(np.arange(40.0)[::-1]).tolist() == [39, 38]


def test_a_loss_in_the_first_week_is_a_drawdown_from_the_starting_wealth():
    assert drawdowns(np.array([-0.25, 0.10]))[0] == pytest.approx(-0.25)


def test_weekly_sharpe_is_not_the_daily_annualisation():
    net = np.random.default_rng(1).normal(0.002, 0.02, 520)
    assert sharpe_ratio(net) == pytest.approx(net.mean() / net.std(ddof=1) * 7.211102550927978)


def test_sharpe_of_many_series_at_once_equals_each_alone():
    draws = np.random.default_rng(2).normal(0.001, 0.02, (7, 60))
    assert np.allclose(sharpe_ratio(draws), [sharpe_ratio(draw) for draw in draws], rtol=1e-13)


def test_cash_has_no_ratios_and_no_drawdown():
    found = metrics(np.zeros(10), np.zeros(10))
    zeros = ("sharpe", "sortino", "cagr", "max_drawdown", "drawdown_weeks", "volatility", "cvar")
    assert {found[name] for name in zeros} == {0.0}
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
