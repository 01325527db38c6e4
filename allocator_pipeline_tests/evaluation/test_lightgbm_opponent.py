"""LightGBM as an opponent: point in time, deterministic, and absent without harm."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from allocator_pipeline import schemas
from allocator_pipeline.evaluation import lightgbm_opponent
from allocator_pipeline.market import calendar
from allocator_pipeline_tests.evaluation.forecasting import YEAR, made_up_prices, made_up_universe

needs_library = pytest.mark.skipif(
    importlib.util.find_spec("lightgbm") is None, reason="lightgbm is optional and not installed"
)


def forecasts(prices):
    return lightgbm_opponent.opponent_forecasts(YEAR, prices, made_up_universe(), has_open=True)


def test_without_the_library_it_says_so(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert not lightgbm_opponent.installed()
    assert "pip install" in lightgbm_opponent.NOT_INSTALLED


@needs_library
def test_forecasts_are_whole_and_the_same_bits_again():
    table = schemas.validate(forecasts(made_up_prices()), schemas.OTHER_FORECASTS, "lightgbm")
    assert len(table) == 15 * len(calendar.weeks_of_year(YEAR))
    assert np.isfinite(table["forecast"]).all()
    assert (table["q05"] < table["q50"]).all()
    assert (table["q50"] < table["q95"]).all()
    again = forecasts(made_up_prices())
    assert table["forecast"].to_numpy().tobytes() == again["forecast"].to_numpy().tobytes()
    assert table["model_version"].unique().tolist() == again["model_version"].unique().tolist()


@needs_library
@pytest.mark.parametrize("cut", [f"{YEAR}-01-02", f"{YEAR}-05-29"])
def test_corrupting_the_future_changes_no_forecast_of_the_past(cut):
    prices = made_up_prices()
    late = prices["date"] > cut
    broken = prices.copy()
    broken.loc[late, ["open", "close", "adj_close"]] *= np.random.default_rng(1).uniform(0.5, 2, (late.sum(), 1))
    one, other = (forecasts(table)["forecast"].to_numpy().reshape(-1, 15) for table in (prices, broken))
    early = (calendar.weeks_of_year(YEAR)["decision_session"] <= cut).to_numpy()
    assert 0 < early.sum() < len(early)
    assert one[early].tobytes() == other[early].tobytes()
    assert (one[~early] != other[~early]).any(axis=1).all()


@needs_library
def test_a_planted_reversal_is_found():
    prices = made_up_prices()
    wide = prices.pivot(index="date", columns="symbol", values="close")
    steps = np.log(wide).diff().fillna(0.0).to_numpy().copy()
    for day in range(20, len(steps)):
        recent = steps[day - 19 : day].sum(axis=0)
        steps[day] -= 0.004 * np.sign(recent - recent.mean())
    planted = np.exp(np.cumsum(steps, axis=0)) * 50
    for column in ("open", "close", "adj_close"):
        prices[column] = planted.ravel()
    table = forecasts(prices)
    from allocator_pipeline.forecasters.quality import rank_ic
    from allocator_pipeline.forecasters.targets import weekly_returns

    rows = np.searchsorted(wide.index.to_numpy(), calendar.weeks_of_year(YEAR)["decision_session"].to_numpy())
    paid = weekly_returns(planted)[rows][:, :15]
    assert np.nanmean(rank_ic(table["forecast"].to_numpy().reshape(-1, 15), paid)) > 0.1
