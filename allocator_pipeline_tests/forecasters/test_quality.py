from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from allocator_pipeline.errors import MarketDataError
from allocator_pipeline.forecasters.quality import forecast_quality, rank_ic


def table(values: np.ndarray, first: str = "2014-12-01") -> pd.DataFrame:
    weeks = pd.date_range(first, periods=len(values), freq="W-MON", unit="us")
    return pd.DataFrame(
        {
            "week": np.repeat(weeks, values.shape[1]),
            "slot": np.tile(np.arange(values.shape[1]), len(values)),
            "forecast": values.ravel(),
        }
    )


def test_rank_ic_is_spearmans():
    random = np.random.default_rng(0)
    left, right = random.integers(0, 6, (2, 30, 15)).astype(float)  # with ties
    right[4, 3] = np.nan
    known = np.isfinite(right)
    expected = [spearmanr(a[k], b[k]).statistic for a, b, k in zip(left, right, known, strict=True)]
    np.testing.assert_allclose(rank_ic(left, right), expected)


def test_rank_ic_is_undefined_for_few_or_equal_stocks():
    left, right = np.ones((2, 15)), np.random.default_rng(0).standard_normal((2, 15))
    left[1] = right[1]
    right[1, 4:] = np.nan
    assert np.isnan(rank_ic(left, right)).all()


def test_perfect_and_worthless_forecasts():
    paid = 0.03 * np.random.default_rng(1).standard_normal((60, 15))
    perfect = forecast_quality(table(np.log1p(paid)), paid)
    assert perfect["mse"] == pytest.approx(0)
    assert perfect["hit_rate"] == 1
    assert perfect["rank_ic"] == pytest.approx(1)
    zero = forecast_quality(table(np.zeros((60, 15))), paid)
    assert zero["mse_ratio"] == pytest.approx(1)
    assert zero["rank_ic"] is None
    assert zero["forecasts"] == 900
    assert zero["weeks"] == 0


def test_years_and_unknown_returns_are_counted():
    paid = 0.03 * np.random.default_rng(2).standard_normal((10, 15))
    paid[-1] = np.nan
    result = forecast_quality(table(np.random.default_rng(3).standard_normal((10, 15))), paid)
    assert result["forecasts"] == 135
    assert {year: part["weeks"] for year, part in result["by_year"].items()} == {"2014": 5, "2015": 4}
    json.dumps(result, allow_nan=False)


def test_nothing_known_is_none_and_misfits_are_errors():
    result = forecast_quality(table(np.zeros((2, 15))), np.full((2, 15), np.nan))
    assert result["forecasts"] == 0
    assert result["mse"] is result["rank_ic"] is result["hit_rate"] is None
    with pytest.raises(MarketDataError):
        forecast_quality(table(np.zeros((2, 15))), np.zeros((3, 15)))
