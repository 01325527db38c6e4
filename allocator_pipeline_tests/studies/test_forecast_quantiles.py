from __future__ import annotations

import numpy as np
import pytest

from allocator_pipeline.config import QUANTILES
from allocator_pipeline.studies.forecast_quantiles import LEVELS, main, measure, pinball


def test_pinball_is_least_at_the_quantile():
    paid = np.random.default_rng(0).standard_normal(20_000)
    best = np.quantile(paid, LEVELS)
    losses = {shift: pinball(np.tile(best + shift, (len(paid), 1)), paid).mean(axis=0) for shift in (-0.3, 0.0, 0.3)}
    assert (losses[0.0] < losses[-0.3]).all()
    assert (losses[0.0] < losses[0.3]).all()
    np.testing.assert_allclose(pinball(np.zeros((1, 7)), np.array([2.0]))[0], 2 * LEVELS)
    np.testing.assert_allclose(pinball(np.zeros((1, 7)), np.array([-2.0]))[0], 2 * (1 - LEVELS))


def test_forecast_quantiles_beat_each_stocks_own_and_cover_as_they_say():
    """Four years of the study's twenty-seven: bounds as wide as their few weeks ask for."""
    records = measure(range(2010, 2014))
    *levels, total = records
    assert [row["level"] for row in levels] == list(QUANTILES.values())
    assert total["ratio"] < 0.97
    assert max(abs(row["coverage"] - row["level"]) for row in levels) < 0.04


@pytest.mark.slow
def test_the_target_is_met_on_the_whole_sample(capsys: pytest.CaptureFixture[str]):
    main([])
    last = capsys.readouterr().out.strip().splitlines()[-1]
    assert float(last.split("|")[4]) <= 0.96
