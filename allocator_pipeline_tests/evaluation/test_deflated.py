"""The deflated Sharpe ratio: the paper's own example, simulation, and what it refuses."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from allocator_pipeline.errors import NotEnoughDataError, WeightsError
from allocator_pipeline.evaluation.deflated import deflated_gain, deflated_sharpe, expected_best, probability_above
from allocator_pipeline.evaluation.evidence import scored


def test_the_papers_example():
    """Five years of days at a Sharpe ratio of 2.5 a year, variance of the trials 1/2 a year, 250 days a year."""
    deviation, daily = math.sqrt(0.5 / 250), 2.5 / math.sqrt(250)
    assert expected_best(deviation, 100) == pytest.approx(0.1132, abs=5e-5)
    assert probability_above(daily, expected_best(deviation, 100), 1250, -3, 10) == pytest.approx(0.9004, abs=5e-5)
    assert probability_above(daily, expected_best(deviation, 46), 1250, -3, 10) == pytest.approx(0.9505, abs=5e-5)
    assert probability_above(daily, expected_best(deviation, 88), 1250, 0, 3) == pytest.approx(0.9505, abs=5e-5)


def test_the_expected_best_is_that_of_draws():
    best = np.random.default_rng(1).normal(0, 0.3, (20_000, 50)).max(axis=1).mean()
    assert expected_best(0.3, 50) == pytest.approx(best, rel=0.02)
    assert expected_best(0.3, 1) == 0.0


def test_one_trial_is_an_ordinary_test_of_the_mean():
    net = np.random.default_rng(2).normal(0.002, 0.02, 1000)
    plain = stats.norm.cdf(net.mean() / net.std() * math.sqrt(1000))
    assert deflated_sharpe(net, [1.0], 1)["probability"] == pytest.approx(plain, abs=0.01)


def test_more_trials_leave_less():
    net, tried = np.random.default_rng(3).normal(0.003, 0.02, 416), [0.2, 0.6, 1.1]
    left = [deflated_sharpe(net, tried, trials)["probability"] for trials in (3, 30, 300)]
    assert left[0] > left[1] > left[2]


def test_the_best_of_many_worthless_trials_is_hardly_ever_found_good():
    rng = np.random.default_rng(4)
    found = []
    for _ in range(200):
        trials = rng.normal(0, 0.02, (60, 260))
        sharpes = math.sqrt(52) * trials.mean(axis=1) / trials.std(axis=1, ddof=1)
        found.append(deflated_sharpe(trials[sharpes.argmax()], sharpes, 60)["probability"] > 0.95)
    assert np.mean(found) < 0.05


def test_what_cannot_be_deflated_is_refused():
    net = np.random.default_rng(5).normal(0, 0.02, 60)
    with pytest.raises(WeightsError, match="cannot deflate"):
        deflated_sharpe(net, [0.1, 0.2, 0.3], 2)
    with pytest.raises(WeightsError, match="cannot deflate"):
        deflated_sharpe(np.zeros(60), [0.1, 0.2], 2)
    with pytest.raises(WeightsError, match="cannot deflate"):
        deflated_sharpe(net, [0.1, math.nan], 2)
    with pytest.raises(NotEnoughDataError, match="no spread"):
        deflated_sharpe(net, [0.1], 5)
    with pytest.raises(NotEnoughDataError):
        deflated_sharpe(net[:20], [0.1], 1)


def test_a_gain_over_another_is_deflated_by_what_worthless_tries_show():
    """Of 40 worthless rivals the luckiest is hardly ever above luck; taken for the only one, it mostly seems to be."""
    generator = np.random.default_rng(5)
    fooled, naive = 0, 0
    for _ in range(200):
        market = generator.normal(0.002, 0.02, 260)
        rivals = market + generator.normal(0.0, 0.004, (40, 260))
        luckiest = rivals[(rivals - market).mean(axis=1).argmax()]
        fooled += deflated_gain(luckiest, market, 40)["probability"] > 0.95
        naive += deflated_gain(luckiest, market, 1)["probability"] > 0.95
    assert fooled <= 6
    assert naive >= 120


def _with_volatility(generator, ratio, gain, weeks=416):
    """Return two series that resemble each other, the first of ``ratio`` times the volatility and a greater Sharpe."""
    market, own = generator.normal(size=(2, weeks))
    sharpe = 0.8 / math.sqrt(52)
    return (
        0.02 * ratio * (0.97 * market + math.sqrt(1 - 0.97**2) * own + sharpe + gain / math.sqrt(52)),
        0.02 * (market + sharpe),
    )


@pytest.mark.parametrize("ratio", [0.7, 1.0, 1.3])
def test_unequal_volatility_at_equal_sharpe_is_no_gain(ratio):
    """Who holds more, or less, of the same has gained nothing by it; 500 pairs, so that 5 % has an error of 1 point."""
    generator = np.random.default_rng(8)
    pairs = [_with_volatility(generator, ratio, 0.0) for _ in range(500)]
    assert 0.03 < np.mean([deflated_gain(*pair, 1)["probability"] > 0.95 for pair in pairs]) < 0.08
    assert np.mean([deflated_gain(*pair, 5)["probability"] > 0.95 for pair in pairs]) < 0.02


@pytest.mark.parametrize("ratio", [0.7, 1.0, 1.3])
def test_a_true_gain_is_found_at_any_volatility(ratio):
    generator = np.random.default_rng(9)
    pairs = [_with_volatility(generator, ratio, 0.6) for _ in range(60)]
    assert np.mean([deflated_gain(*pair, 48)["probability"] > 0.95 for pair in pairs]) > 0.9


def test_it_is_the_difference_of_the_sharpe_ratios_in_its_standard_errors():
    net, other = _with_volatility(np.random.default_rng(6), 0.8, 0.2)
    found, alone = deflated_gain(net, other, 48), deflated_gain(net, other, 1)
    mine, theirs = (math.sqrt(52) * each.mean() / each.std() for each in (net, other))
    assert found["difference"] == pytest.approx(mine - theirs)
    assert (alone["threshold"], found["trials"]) == (0.0, 48)
    t = scored(net, other)["t"]
    assert alone["probability"] == pytest.approx(stats.norm.cdf(t))
    assert found["probability"] == pytest.approx(stats.norm.cdf(t - expected_best(1.0, 48)))
    assert found["threshold"] / found["difference"] == pytest.approx(expected_best(1.0, 48) / t)


def test_no_difference_cannot_be_deflated():
    market = np.random.default_rng(7).normal(0.002, 0.02, 60)
    for other, trials in ((market, 3), (2 * market, 3), (-market, 0)):
        with pytest.raises(WeightsError, match="No week moves the difference"):
            deflated_gain(other, market, trials)
    with pytest.raises(NotEnoughDataError):
        deflated_gain(market[:25], -market[:25], 3)
