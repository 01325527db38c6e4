"""The studentised test: the paper's matrix form, its size, its power, ties."""

from __future__ import annotations

import math

import numpy as np
import pytest

from allocator_pipeline.errors import NotEnoughDataError, WeightsError
from allocator_pipeline.evaluation.hac import bartlett_lag
from allocator_pipeline.evaluation.ledoit_wolf import sharpe_test


def pair(seed: int, gain: float = 0.0, weeks: int = 208) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    market = rng.normal(0.002, 0.02, weeks)
    return 0.95 * market + rng.normal(gain + 0.0001, 0.006, weeks), market


def test_the_standard_error_is_that_of_the_papers_matrices():
    net, other = pair(1)
    moments = np.array([net, other, net**2, other**2])
    mean = moments.mean(axis=1)
    centred, lag, weeks = moments - mean[:, None], bartlett_lag(208), 208
    psi = centred @ centred.T / weeks
    for k in range(1, lag + 1):
        gamma = centred[:, k:] @ centred[:, :-k].T / weeks
        psi += (1 - k / (lag + 1)) * (gamma + gamma.T)
    a, b, c, d = mean
    gradient = np.array(
        [
            c / (c - a**2) ** 1.5,
            -d / (d - b**2) ** 1.5,
            -0.5 * a / (c - a**2) ** 1.5,
            0.5 * b / (d - b**2) ** 1.5,
        ]
    )
    error = math.sqrt(gradient @ psi @ gradient / (weeks - lag - 1))
    assert sharpe_test(net, other, draws=50)["standard_error"] == pytest.approx(math.sqrt(52) * error)


def test_no_difference_is_rejected_as_often_as_the_level_says():
    p_values = []
    for seed in range(300):
        rng = np.random.default_rng(1000 + seed)
        first, second = rng.normal(0.002, 0.02, (2, 104))
        p_values.append(sharpe_test(first, 0.6 * first + 0.8 * second + 0.002 * (1 - 1.4), draws=200)["p_value"])
    assert 0.015 <= np.mean(np.array(p_values) <= 0.05) <= 0.09  # three standard errors of 300 at 5 %
    assert np.mean(np.array(p_values) <= 0.5) == pytest.approx(0.5, abs=0.09)


def test_a_large_difference_is_found():
    better = sharpe_test(*pair(2, gain=0.003))
    worse = sharpe_test(*pair(2, gain=-0.003))
    assert better["t"] > 3
    assert better["p_value"] < 0.01
    assert worse["t"] < -3
    assert worse["p_value"] < 0.01


def test_equal_series_do_not_differ():
    net, _ = pair(3)
    found = sharpe_test(net, net.copy())
    assert (found["estimate"], found["t"], found["p_value"]) == (0.0, 0.0, 1.0)


def test_equal_seeds_give_equal_results():
    assert sharpe_test(*pair(4)) == sharpe_test(*pair(4))
    assert sharpe_test(*pair(4))["p_value"] != sharpe_test(*pair(4), seed=1)["p_value"]


def test_what_cannot_be_compared_is_refused():
    net, other = pair(5)
    with pytest.raises(NotEnoughDataError):
        sharpe_test(net[:25], other[:25])
    with pytest.raises(WeightsError):
        sharpe_test(net, other[:-1])
