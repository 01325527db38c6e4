from __future__ import annotations

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocator_pipeline.config import QUANTILES
from allocator_pipeline.forecasters.calibration import Calibration
from allocator_pipeline.forecasters.fold import training_fold


@pytest.fixture(scope="module")
def fold(market: pd.DataFrame):
    return training_fold(2015, market, True, ["return"])


def test_it_finds_the_planted_line_whatever_the_market_does(fold):
    random = np.random.default_rng(0)
    scores = random.standard_normal(fold.returns.shape)
    shocks = 0.05 * random.standard_normal((len(scores), 1))
    unit = scores * fold.inputs.sigma
    returns = np.where(np.isfinite(fold.returns), 0.4 * unit + shocks, np.nan)
    found = Calibration.fit(scores, dataclasses.replace(fold, returns=returns))
    assert found.slope == pytest.approx(0.4)
    assert found.intercept == pytest.approx(np.nanmean(returns))


def test_equal_scores_have_no_slope(fold):
    assert Calibration.fit(np.zeros(fold.returns.shape), fold).slope == 0


def test_quantiles_cover_the_fold_as_they_say(fold):
    found = Calibration.fit(np.zeros(fold.returns.shape), fold)
    spread = found.spread(fold.inputs.sigma)
    known = np.isfinite(fold.returns)
    covered = (fold.returns[known][:, None] <= spread[known]).mean(axis=0)
    np.testing.assert_allclose(covered, list(QUANTILES.values()), atol=1e-3)


def test_quantiles_grow_with_volatility():
    found = Calibration(0.001, 0.1, (-1.6, -1.2, -0.6, 0.05, 0.7, 1.3, 1.7))
    np.testing.assert_allclose(found.spread(np.array([0.02]))[0], 0.02 * np.array(found.quantiles))
    np.testing.assert_allclose(found.expected(np.array([2.0]), np.array([0.02])), 0.005)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-3, 3), min_size=7, max_size=7), st.floats(1e-4, 1.0))
def test_whatever_is_stored_never_falls(levels, sigma):
    values = {"intercept": 0.0, "slope": 0.0, "quantiles": levels}
    if sorted(levels) != levels:
        with pytest.raises(ValueError, match="quantiles"):
            Calibration.from_json(values)
    else:
        spread = Calibration.from_json(values).spread(np.array(sigma))
        assert (np.diff(spread) >= 0).all()


def test_json_keeps_every_bit(fold):
    found = Calibration.fit(np.random.default_rng(1).standard_normal(fold.returns.shape), fold)
    assert Calibration.from_json(json.loads(json.dumps(found.to_json()))) == found
    with pytest.raises(ValueError, match="finite"):
        Calibration.from_json(found.to_json() | {"slope": float("nan")})
