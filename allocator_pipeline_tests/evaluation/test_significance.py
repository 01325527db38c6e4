"""Bootstrap intervals: known answers, coverage, pairing, determinism and a naive second implementation."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from arch.bootstrap import StationaryBootstrap

from allocator_pipeline.errors import NotEnoughDataError, WeightsError
from allocator_pipeline.evaluation.significance import (
    SEED,
    narrow_words,
    ratio_interval,
    sharpe_difference,
    sharpe_influence,
    sharpe_interval,
)


def returns(seed: int, weeks: int = 416, mean: float = 0.002) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, 0.02, weeks)


def naive_sharpe(net: np.ndarray) -> float:
    return math.sqrt(52) * net.mean() / net.std(ddof=1)


def test_interval_equals_a_loop_over_archs_own_bootstrap():
    net = returns(1)
    found = sharpe_interval(net, draws=300)
    bootstrap = StationaryBootstrap(found["block_weeks"], net, seed=SEED)
    draws = [naive_sharpe(data[0][0]) for data in bootstrap.bootstrap(300)]
    assert found["estimate"] == pytest.approx(naive_sharpe(net))
    assert [found["low"], found["high"]] == pytest.approx(list(np.percentile(draws, [2.5, 97.5])))


def test_difference_equals_a_loop_over_archs_own_bootstrap():
    net, other = returns(1), returns(2)
    found = sharpe_difference(net, other, draws=300)
    bootstrap = StationaryBootstrap(found["block_weeks"], net, other, seed=SEED)
    draws = [naive_sharpe(data[0][0]) - naive_sharpe(data[0][1]) for data in bootstrap.bootstrap(300)]
    assert found["estimate"] == pytest.approx(naive_sharpe(net) - naive_sharpe(other))
    assert [found["low"], found["high"]] == pytest.approx(list(np.percentile(draws, [2.5, 97.5])))


def test_equal_seeds_give_equal_intervals_and_other_seeds_others():
    net = returns(3)
    assert sharpe_interval(net) == sharpe_interval(net.copy())
    assert sharpe_interval(net)["low"] != sharpe_interval(net, seed=5)["low"]


def test_a_series_does_not_differ_from_itself():
    found = sharpe_difference(returns(4), returns(4))
    assert found["estimate"] == found["low"] == found["high"] == 0.0


def test_swapping_the_series_mirrors_the_interval():
    one, two = returns(5), returns(6)
    there, back = sharpe_difference(one, two), sharpe_difference(two, one)
    assert there["estimate"] == pytest.approx(-back["estimate"])
    assert [there["low"], there["high"]] == pytest.approx([-back["high"], -back["low"]])


def test_pairing_narrows_the_interval_of_correlated_series():
    market = returns(7)
    other = market + returns(8, mean=0.0) * 0.2
    paired = sharpe_difference(other, market)
    single = sharpe_interval(market)
    assert paired["high"] - paired["low"] < 0.5 * (single["high"] - single["low"])


def test_a_large_gain_is_found_and_noise_is_not():
    market = returns(9)
    noise = returns(10, mean=0.0) * 0.1
    tilted = market + noise - noise.mean()  # the same mean and nearly the same risk
    better = market + 0.004
    assert sharpe_difference(better, market)["low"] > 0
    assert sharpe_difference(tilted, market)["low"] < 0 < sharpe_difference(tilted, market)["high"]


def test_scale_does_not_matter():
    net = returns(11)
    assert sharpe_interval(net * 3)["high"] == pytest.approx(sharpe_interval(net)["high"])


def test_persistent_returns_get_longer_blocks_and_a_wider_interval():
    shocks = returns(12, 800, 0.0)
    persistent = np.zeros(800)
    for week in range(1, 800):
        persistent[week] = 0.8 * persistent[week - 1] + shocks[week]
    loose, tight = sharpe_interval(persistent + 0.002), sharpe_interval(shocks + 0.002)
    assert loose["block_weeks"] > 2 * tight["block_weeks"]
    assert loose["high"] - loose["low"] > 1.5 * (tight["high"] - tight["low"])


def test_interval_covers_the_true_sharpe_about_as_often_as_it_says():
    truth = math.sqrt(52) * 0.002 / 0.02
    found = [sharpe_interval(returns(seed, 260), draws=400) for seed in range(100, 300)]
    covered = np.mean([item["low"] <= truth <= item["high"] for item in found])
    assert 0.90 <= covered <= 0.99  # three standard errors of 200 tries at 95 %


def test_influence_is_the_derivative_of_the_sharpe_ratio():
    net, step = returns(13, 60), 1e-6
    weekly = net.mean() / net.std()
    for week in (0, 17):
        weights = np.full(60, (1 - step) / 60)
        weights[week] += step
        mean = weights @ net
        moved = mean / math.sqrt(weights @ (net - mean) ** 2)
        assert sharpe_influence(net)[week] == pytest.approx((moved - weekly) / step, rel=1e-3)


def test_cash_has_an_interval_of_nothing():
    found = sharpe_interval(np.zeros(60))
    assert found["estimate"] == found["low"] == found["high"] == 0.0
    assert sharpe_difference(returns(14, 60), np.zeros(60))["estimate"] == pytest.approx(naive_sharpe(returns(14, 60)))


def test_a_ratio_of_sums_equals_a_loop_over_archs_own_bootstrap():
    above, below = returns(18), np.random.default_rng(19).uniform(1, 2, 416)
    found = ratio_interval(above, below, draws=300)
    bootstrap = StationaryBootstrap(found["block_weeks"], above, below, seed=SEED)
    draws = [data[0][0].sum() / data[0][1].sum() for data in bootstrap.bootstrap(300)]
    assert found["estimate"] == pytest.approx(above.sum() / below.sum())
    assert [found["low"], found["high"]] == pytest.approx(list(np.percentile(draws, [2.5, 97.5])))


def test_a_mean_has_students_interval_where_weeks_are_independent():
    values = returns(20, 800)
    found = ratio_interval(values, np.ones(800))
    half = 1.96 * values.std(ddof=1) / math.sqrt(800)
    assert (found["high"] - found["low"]) / 2 == pytest.approx(half, rel=0.12)


def test_a_series_that_hardly_ever_moves_gets_the_longest_blocks():
    rare = np.zeros(51)
    rare[[8, 9]] = 1 / 15, -1 / 15
    assert ratio_interval(rare, np.ones(51))["block_weeks"] == 12


def test_too_few_or_unknown_weeks_are_refused():
    with pytest.raises(NotEnoughDataError, match="25 weeks are too few"):
        sharpe_interval(returns(15, 25))
    with pytest.raises(WeightsError, match="same weeks"):
        sharpe_difference(returns(15, 60), returns(15, 59))
    with pytest.raises(WeightsError, match="not finite"):
        sharpe_interval(np.r_[returns(15, 60), math.nan])


def test_one_interval_is_cheap():
    sharpe_interval(returns(16))  # imports, and the resampled weeks of this length
    start = time.process_time()
    sharpe_interval(returns(17))
    assert time.process_time() - start < 0.5


def misses(weeks: int, count: int) -> tuple[float, float]:
    """Return how often the intervals of a Sharpe ratio and of a difference miss, in pairs with fat tails."""
    generator = np.random.default_rng(weeks)
    alone = apart = 0
    for _ in range(count):
        common, own = generator.standard_t(5, weeks), 0.23 * generator.standard_t(5, (2, weeks))
        nets = 0.022 * ((common + own) / math.sqrt((1 + 0.23**2) * 5 / 3) + 0.8 / math.sqrt(52))
        one, two = sharpe_interval(nets[0], draws=500), sharpe_difference(*nets, draws=500)
        alone += not one["low"] <= 0.8 <= one["high"]
        apart += not two["low"] <= 0.0 <= two["high"]
    return alone / count, apart / count


def test_short_intervals_miss_as_often_as_the_words_say():
    """Of 400, at 26 weeks 10 % miss with a standard error of 1.5 points; at 416 weeks 5 %, with 1.1."""
    assert narrow_words(416) == ""
    assert "about 90 % hold the truth at 26 weeks" in narrow_words(26)
    assert all(0.06 < rate < 0.15 for rate in misses(26, 400))
    assert all(rate < 0.085 for rate in misses(416, 400))
