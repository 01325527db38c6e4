"""The long-run variance: a naive sum, a known process, a stream of nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from allocator_pipeline.evaluation.hac import (
    autocovariances,
    bartlett_lag,
    bartlett_weights,
    long_run_variance,
    standard_error,
)


def test_the_lag_grows_with_the_cube_root():
    assert [bartlett_lag(weeks) for weeks in (26, 27, 104, 125, 512, 520)] == [4, 5, 6, 7, 10, 10]
    assert bartlett_weights(26).tolist() == pytest.approx([1.0, 0.8, 0.6, 0.4, 0.2])


def test_it_equals_the_naive_sum():
    stream = np.random.default_rng(1).normal(size=(3, 104))
    for row, found in zip(stream, long_run_variance(stream), strict=True):
        centred, lag = row - row.mean(), bartlett_lag(104)
        total = centred @ centred
        for k in range(1, lag + 1):
            total += 2 * (1 - k / (lag + 1)) * (centred[:-k] @ centred[k:])
        assert found == pytest.approx(total / 104)


def test_it_finds_the_long_run_variance_of_an_autoregression():
    rng = np.random.default_rng(2)
    shocks, stream = rng.normal(size=(200, 5000)), np.zeros((200, 5000))
    for week in range(1, 5000):
        stream[:, week] = 0.3 * stream[:, week - 1] + shocks[:, week]
    assert long_run_variance(stream).mean() == pytest.approx(1 / 0.7**2, rel=0.05)  # the kernel leaves out a little
    assert autocovariances(stream, 1).mean(axis=0) == pytest.approx([1 / 0.91, 0.3 / 0.91], rel=0.02)


@pytest.mark.parametrize("weeks", [26, 104, 520])
def test_the_squared_standard_error_is_right_on_average_for_independent_weeks(weeks):
    stream = np.random.default_rng(3).normal(size=(20_000, weeks))
    assert (standard_error(stream) ** 2).mean() * weeks == pytest.approx(1.0, rel=0.02)


def test_what_does_not_vary_has_no_variance():
    assert long_run_variance(np.zeros(60)) == 0.0


@settings(max_examples=50, deadline=None)
@given(arrays(np.float64, 40, elements=st.floats(-1, 1)))
def test_it_is_never_negative(stream):
    assert long_run_variance(stream) >= 0.0
