from __future__ import annotations

import numpy as np
import pytest

from allocator_pipeline.config import FORECASTERS, QUANTILES
from allocator_pipeline.studies.forecast_quantiles import (
    LEVELS,
    Weeks,
    by_era,
    by_level,
    by_stock,
    leaves_out_zero,
    main,
    weeks_of,
)


def test_records_are_ratios_of_mean_losses_and_eras_are_apart():
    random = np.random.default_rng(0)
    paid = random.standard_normal(40_000)
    years = np.where(np.arange(40_000) < 10_000, 2002, 2003)
    paid[years == 2003] *= 2
    known = np.where(years == 2003, 2.0, 1.0)[:, None] * np.quantile(random.standard_normal(40_000), LEVELS)
    symbols = np.full(40_000, "A")
    weeks = Weeks(years, symbols, known, known, np.tile(np.quantile(paid, LEVELS), (40_000, 1)), paid)
    *levels, total = by_level(weeks)
    assert [row["level"] for row in levels] == list(QUANTILES.values())
    assert all(row["frozen"] == 1 for row in levels)
    assert total["frozen"] == 1
    assert total["rolling"] < 0.99
    np.testing.assert_allclose([row["coverage"] for row in levels], LEVELS, atol=0.01)
    assert [row["years"] for row in by_era(weeks)] == ["2002-2002", "2003-2003", "2002-2003"]
    assert all(row["rolling"] < 1 for row in by_era(weeks))


def test_stocks_that_are_wrong_either_way_do_not_hide_behind_their_pool():
    random = np.random.default_rng(0)
    symbols = np.tile(["QUIET", "RESTLESS", "YOUNG"], 1000)
    paid = random.standard_normal(3000) * np.where(symbols == "QUIET", 0.8, 1.3)
    said = (
        np.tile(np.quantile(paid[symbols != "YOUNG"], LEVELS), (3000, 1))
        * np.where(symbols == "RESTLESS", 1.001, 1.0)[:, None]
    )
    kept = (symbols != "YOUNG") | (np.arange(3000) < 60)
    weeks = Weeks(np.full(3000, 2003), symbols, said, said, said, paid).where(kept)
    quiet, restless = by_stock(weeks)
    assert [row["stock"] for row in (quiet, restless)] == ["QUIET", "RESTLESS"], "20 weeks are too few"
    assert quiet["off"][0]["estimate"] < -0.02 < 0.02 < restless["off"][0]["estimate"]
    assert all(leaves_out_zero(row["off"][k]) for row in (quiet, restless) for k in (0, -1))
    assert weeks.off() < 0.05


def test_forecast_quantiles_beat_each_stocks_own_and_cover_as_they_say():
    """Four years of the study's twenty-seven: bounds as wide as their few weeks ask for."""
    *levels, total = by_level(weeks_of("ridge", range(2010, 2014)))
    assert total["frozen"] < 0.97
    assert total["rolling"] < 0.98
    assert max(abs(row["coverage"] - row["level"]) for row in levels) < 0.04


def test_forecasters_share_their_quantiles(capsys: pytest.CaptureFixture[str]):
    main(["--first-year", "2012", "--last-year", "2012", "--forecasters", "ridge", "lstm"])
    said = capsys.readouterr().out
    assert said.startswith("ridge\n\n| level")
    assert said.strip().endswith("lstm: the same numbers as ridge")


@pytest.mark.slow
@pytest.mark.parametrize("name", FORECASTERS)
def test_the_targets_are_met_on_the_whole_sample(name):
    weeks = weeks_of(name, range(1996, 2023))
    *levels, total = by_level(weeks)
    assert total["frozen"] <= 0.96
    assert total["rolling"] <= 0.96
    assert max(abs(row["coverage"] - row["level"]) for row in levels) <= 0.01
