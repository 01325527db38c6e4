"""Positive and null control, small: a signal that is there is found, and none where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from allocator_pipeline.config import FORECASTERS
from allocator_pipeline.schemas import PRICES, UNIVERSE, validate
from allocator_pipeline.studies.forecast_control import control, plant_reversal, price_table, universe_table, walk

YEARS = (2004, 2005, 2006)


def planted(strength: float):
    noise = 0.015 * np.random.default_rng(4).standard_normal((252 * 10, 15))
    returns, signal = plant_reversal(noise, strength)
    return price_table(returns, "1997-01-02"), signal


@pytest.mark.parametrize("forecaster", FORECASTERS)
def test_a_planted_reversal_is_found(forecaster):
    weekly = walk(forecaster, YEARS, *planted(0.10))
    weeks = np.isfinite(weekly["ic"]).sum()
    assert weeks > 150
    assert weekly["oracle"].mean() > 0.15
    assert weekly["ic"].mean() > 0.7 * weekly["oracle"].mean()
    assert weekly["ic"].mean() > 5 * weekly["ic"].std() / np.sqrt(weeks)
    assert weekly["align"].mean() > 0.7


@pytest.mark.parametrize("forecaster", FORECASTERS)
def test_nothing_is_found_in_noise(forecaster):
    weekly = walk(forecaster, YEARS, *planted(0.0))
    assert abs(weekly["ic"].mean()) < 3 * weekly["ic"].std() / np.sqrt(len(weekly["ic"]))


def test_control_tables_fit_their_schemas():
    prices, _ = planted(0.1)
    validate(prices, PRICES, "control")
    validate(universe_table(2004, sorted(set(prices["symbol"]))), UNIVERSE, "control")


@pytest.mark.slow
def test_the_control_recovers_most_of_the_oracle_on_shuffled_real_days():
    table = control(2, range(1996, 2021), 0.045, lambda line: None)
    recovered = table.groupby("forecaster")["recovered"].mean()
    assert (recovered > 0.75).all(), recovered
