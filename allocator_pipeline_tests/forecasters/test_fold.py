from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from allocator_pipeline.forecasters import targets
from allocator_pipeline.forecasters.fold import calibrate, training_fold
from allocator_pipeline.market import calendar


@pytest.mark.parametrize("year", [2014, 2015])
def test_targets_exit_by_the_first_decision_and_go_back_five_years(market, year):
    fold = training_fold(year, market, has_open=True)
    first = calendar.first_decision_of_year(year)
    exits = fold.prices.dates[fold.days + targets.EXIT]
    assert exits.max() == np.datetime64(first, "D")
    assert fold.cutoff == str(first.date())
    assert fold.prices.dates[fold.days[0]] >= np.datetime64(first - pd.DateOffset(years=5), "D")
    assert len(fold.days) > 1200


def test_calibration_finds_the_planted_line_whatever_the_market_does(market):
    fold = training_fold(2015, market, has_open=True)
    random = np.random.default_rng(0)
    scores = random.standard_normal(fold.returns.shape)
    shocks = 0.05 * random.standard_normal((len(scores), 1))
    unit = scores * fold.inputs.sigma * np.sqrt(targets.HORIZON)
    returns = np.where(np.isfinite(fold.returns), 0.4 * unit + shocks, np.nan)
    found = calibrate(scores, dataclasses.replace(fold, returns=returns))
    assert found["slope"] == pytest.approx(0.4)
    assert found["intercept"] == pytest.approx(np.nanmean(returns))


def test_equal_scores_have_no_slope(market):
    fold = training_fold(2015, market, has_open=True)
    assert calibrate(np.zeros(fold.returns.shape), fold)["slope"] == 0
