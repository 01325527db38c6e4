from __future__ import annotations

import numpy as np
from scipy.stats import spearmanr

from allocator_pipeline.forecasters.quality import rank_ic


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
