"""Intervals of CAGRs: what they are of, that they cover, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

from allocator_pipeline.errors import NotEnoughDataError, WeightsError
from allocator_pipeline.evaluation.growth import cagr_difference, cagr_interval
from allocator_pipeline.evaluation.metrics import cagr


def markets(seed: int, count: int, weeks: int = 416):
    """Yield pairs of series that resemble each other, in growth too."""
    generator = np.random.default_rng(seed)
    for _ in range(count):
        common = generator.normal(0.002, 0.02, weeks)
        yield [common + generator.normal(0.0, 0.004, weeks) for _ in range(2)]


def test_the_estimates_are_the_growth_rates_and_their_difference():
    ((first, second),) = markets(1, 1)
    assert cagr_interval(first)["estimate"] == cagr(first)
    assert cagr_difference(first, second)["estimate"] == cagr(first) - cagr(second)
    assert cagr_interval(first) == cagr_interval(first)
    steady = cagr_interval(np.full(60, 0.001))
    assert steady["low"] == pytest.approx(steady["high"]) == pytest.approx(1.001**52 - 1)


def test_both_intervals_cover_the_truth_in_nineteen_of_twenty():
    """The standard error of a rate of 5 % among 300 is 1.3 points; the redraws of a year or two err a little more."""
    truth = np.expm1(52 * (0.002 - (0.02**2 + 0.004**2) / 2))
    own, apart = [], []
    for first, second in markets(2, 300):
        one, two = cagr_interval(first, draws=400), cagr_difference(first, second, draws=400)
        own.append(one["low"] <= truth <= one["high"])
        apart.append(two["low"] <= 0.0 <= two["high"])
    assert 0.90 < np.mean(own) < 0.985
    assert 0.90 < np.mean(apart) < 0.985


def test_pairing_cancels_what_both_have_in_common():
    ((first, second),) = markets(3, 1)
    paired, alone = cagr_difference(first, second), cagr_interval(first)
    assert paired["high"] - paired["low"] < 0.6 * (alone["high"] - alone["low"])
    same = cagr_difference(first, first)
    assert (same["low"], same["high"]) == (0.0, 0.0)


def test_what_has_no_interval_is_refused():
    ((first, second),) = markets(4, 1)
    with pytest.raises(NotEnoughDataError):
        cagr_interval(first[:25])
    with pytest.raises(WeightsError):
        cagr_difference(first, second[:-1])
