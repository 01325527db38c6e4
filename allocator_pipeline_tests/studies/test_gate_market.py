"""The markets of the gate study: their correlations, Sharpe ratios, likeness of candidates, tails."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import kurtosis

from allocator_pipeline.studies.gate_market import CORRELATION, PERSISTENCE, VOLATILITY, Month, Setting, months


def drawn(setting: Setting, runs: int, tries: int, seed: int = 1) -> list[Month]:
    return list(months(setting, runs, tries, np.random.default_rng(seed)))


def sharpe(net: np.ndarray) -> float:
    return math.sqrt(52) * net.mean() / net.std()


def test_months_slide_over_the_weeks():
    found = drawn(Setting(2, "normal", "ar1"), 3, 13)
    assert [month.weeks.stop - month.weeks.start for month in found] == [104] * 13
    assert (found[0].weeks.start, found[12].weeks.start) == (0, 52)
    assert all(month.baselines is found[0].baselines for month in found)
    assert found[0].candidate.shape == (3, 156)


@pytest.mark.parametrize(("tails", "tolerance"), [("normal", 0.03), ("heavy", 0.15)])
def test_levels_are_as_stated(tails, tolerance):
    month = drawn(Setting(10, tails, "independent", 0.3), 400, 1)[0]
    hrp, equal = month.baselines
    assert sharpe(hrp) == pytest.approx(0.6, abs=tolerance)
    assert sharpe(month.candidate) - sharpe(equal) == pytest.approx(0.3, abs=tolerance / 2)
    deviations = [series.std() * math.sqrt(52) for series in (hrp, equal, month.candidate)]
    assert deviations == pytest.approx(VOLATILITY, rel=tolerance)
    for other in (hrp, equal):
        assert np.corrcoef(month.candidate.ravel(), other.ravel())[0, 1] == pytest.approx(CORRELATION, abs=0.02)


@pytest.mark.parametrize(("correlation", "persistence"), [("ar1", PERSISTENCE), ("independent", 0.0)])
def test_candidates_a_month_apart_are_as_alike_as_stated(correlation, persistence):
    first, second = drawn(Setting(10, "normal", correlation), 50, 2)
    factor_free = [month.candidate - month.baselines[1] for month in (first, second)]
    common = 0.5 + 0.5 * persistence  # the baseline's own part is in both
    assert np.corrcoef(factor_free[0].ravel(), factor_free[1].ravel())[0, 1] == pytest.approx(common, abs=0.01)


def test_heavy_tails_are_heavy_and_volatility_clusters():
    month = drawn(Setting(10, "heavy", "ar1"), 200, 1)[0]
    active = month.candidate - month.baselines[1]
    assert kurtosis(active, axis=1).mean() > 8
    assert kurtosis(active.ravel()) > 40
    size = np.abs(active) / np.abs(active).mean()
    assert np.corrcoef(size[:, 1:].ravel(), size[:, :-1].ravel())[0, 1] > 0.1
    normal = drawn(Setting(10, "normal", "ar1"), 200, 1)[0]
    assert abs(kurtosis((normal.candidate - normal.baselines[1]).ravel())) < 0.1


def test_equal_seeds_give_equal_markets():
    setting = Setting(2, "heavy", "ar1")
    one, two, other = drawn(setting, 2, 3), drawn(setting, 2, 3), drawn(setting, 2, 3, seed=2)
    assert (one[2].candidate == two[2].candidate).all()
    assert (one[2].candidate != other[2].candidate).any()
