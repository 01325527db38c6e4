"""Weekly sums of the forecast panel: known answers, masks, and nothing of the future in the past's opponents."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import mean_pinball_loss

from allocator_pipeline import schemas
from allocator_pipeline.config import N_STOCKS, QUANTILES
from allocator_pipeline.errors import MissingPartitionError
from allocator_pipeline.evaluation.forecast_weeks import (
    LEVELS,
    MIN_HISTORY,
    History,
    history_of_year,
    pinball,
    weekly_panel,
)
from allocator_pipeline.features.outcomes import execution_prices
from allocator_pipeline.market import calendar
from allocator_pipeline_tests.evaluation.forecasting import (
    YEAR,
    forecast_table,
    made_up_history,
    made_up_outcomes,
    made_up_prices,
    made_up_universe,
    paid,
)


def panel_of(said: np.ndarray, outcomes: pd.DataFrame, history: History, bands: np.ndarray | None = None):
    return schemas.validate(
        weekly_panel(forecast_table(said, bands), outcomes, history), schemas.FORECAST_PANEL, "test"
    )


@given(level=st.sampled_from(range(len(LEVELS))), seed=st.integers(0, 1000))
def test_the_pinball_loss_is_sklearns(level, seed):
    random = np.random.default_rng(seed)
    came, bands = random.normal(size=20), np.sort(random.normal(size=(20, len(LEVELS))), axis=1)
    ours = pinball(bands, came)[:, level].mean()
    assert ours == pytest.approx(mean_pinball_loss(came, bands[:, level], alpha=LEVELS[level]))


def test_a_perfect_forecast_has_no_error_and_every_sign():
    outcomes, history = made_up_outcomes(), made_up_history()
    panel = panel_of(paid(outcomes), outcomes, history)
    assert panel["squared_error"].max() == pytest.approx(0)
    assert (panel["hits"] == N_STOCKS).all()
    assert panel["rank_ic"].min() == pytest.approx(1)
    assert panel["squared_error_of_zero"].sum() == pytest.approx((paid(outcomes) ** 2).sum())
    assert panel["ups"].sum() == (paid(outcomes) > 0).sum()
    best = [" ".join(np.array([f"S{i:02d}" for i in range(N_STOCKS)])[np.argsort(-row)[:5]]) for row in paid(outcomes)]
    assert panel["held"].tolist() == best


def test_forecasting_the_past_mean_equals_the_past_mean():
    outcomes, history = made_up_outcomes(), made_up_history()
    said = np.repeat(history.mean[:, None], N_STOCKS, axis=1)
    panel = panel_of(said, outcomes, history)
    np.testing.assert_allclose(panel["squared_error"], panel["squared_error_of_mean"])
    assert panel["rank_ic"].isna().all()


def test_forecasting_history_equals_history_and_covers_what_lies_below():
    outcomes, history = made_up_outcomes(), made_up_history()
    panel = panel_of(np.zeros_like(paid(outcomes)), outcomes, history, history.quantiles)
    below = paid(outcomes)[..., None] <= history.quantiles
    for i, name in enumerate(QUANTILES):
        np.testing.assert_allclose(panel[f"pinball_{name}"], panel[f"pinball_of_history_{name}"])
        assert panel[f"below_{name}"].sum() == below[..., i].sum()


def test_what_is_missing_is_counted_and_left_out_of_every_sum():
    outcomes, history = made_up_outcomes(), made_up_history()
    said = paid(outcomes).copy()
    bands = history.quantiles.copy()
    said[0, :3] = np.nan  # three stocks without a forecast
    said[1] = np.nan  # a week without any
    bands[2, 4, 0] = np.nan
    panel = panel_of(said, outcomes, history, bands)
    assert panel["missing"].tolist()[:3] == [3, N_STOCKS, 0]
    assert panel["stocks"].tolist()[:3] == [N_STOCKS - 3, 0, N_STOCKS]
    assert panel["with_quantiles"].tolist()[:3] == [N_STOCKS, N_STOCKS, N_STOCKS - 1]
    assert panel["squared_error_of_zero"].iloc[0] == pytest.approx((paid(outcomes)[0, 3:] ** 2).sum())
    assert panel["held"].iloc[1] == ""
    assert not set(panel["held"].iloc[0].split()) & {"S00", "S01", "S02"}
    assert np.isnan(panel["rank_ic"].iloc[1])


def test_without_quantiles_there_is_no_pinball_loss():
    outcomes, history = made_up_outcomes(), made_up_history()
    panel = panel_of(paid(outcomes), outcomes, history)
    assert panel["with_quantiles"].sum() == 0
    assert panel[[f"pinball_of_history_{name}" for name in QUANTILES]].to_numpy().sum() == 0


def test_weeks_that_have_not_paid_yet_are_no_rows():
    outcomes, history = made_up_outcomes(), made_up_history()
    last = outcomes["week"].max()
    outcomes.loc[outcomes["week"] == last, ["return", "mark"]] = np.nan
    panel = panel_of(np.zeros((len(outcomes) // N_STOCKS, N_STOCKS)), outcomes, history)
    assert panel["week"].max() < last


def test_other_symbols_than_those_that_paid_are_an_error():
    outcomes, history = made_up_outcomes(), made_up_history()
    forecasts = forecast_table(paid(outcomes))
    forecasts["symbol"] = forecasts["symbol"].replace("S03", "ELSE")
    with pytest.raises(MissingPartitionError, match="materialise universe"):
        weekly_panel(forecasts, outcomes, history)


def test_history_is_what_the_five_years_before_each_decision_paid():
    prices = made_up_prices()
    history = history_of_year(YEAR, prices, made_up_universe(), has_open=True)
    week = calendar.weeks_of_year(YEAR).iloc[10]
    fills = prices.assign(fill=execution_prices(prices, has_open=True)).pivot(
        index="date", columns="symbol", values="fill"
    )[[f"S{i:02d}" for i in range(N_STOCKS)]]
    fills = fills[fills.index <= week["decision_session"]]
    since = week["decision_session"] - pd.DateOffset(years=5)
    past = np.log(fills.shift(-6) / fills.shift(-1))  # bought the day after, sold five sessions later
    past = past[past.index >= since]
    assert history.mean[10] == pytest.approx(np.nanmean(past.to_numpy()))
    expected = past.quantile(LEVELS).T.to_numpy()
    np.testing.assert_allclose(history.quantiles[10], expected)


def test_a_short_past_gives_no_quantiles():
    prices = made_up_prices()
    young = (prices["symbol"] == "S07") & (prices["date"] < f"{YEAR}-01-01")
    history = history_of_year(YEAR, prices[~young], made_up_universe(), has_open=True)
    assert MIN_HISTORY > 252 - 52
    assert np.isnan(history.quantiles[:40, 7]).all()
    assert np.isfinite(history.quantiles[:, 6]).all()


@pytest.mark.parametrize("cut", [f"{YEAR}-01-02", f"{YEAR}-05-29"])
def test_corrupting_the_future_changes_nothing_of_the_past(cut):
    """The leak test: every price after a session is replaced; opponents of decisions up to it stay bit for bit."""
    prices = made_up_prices()
    late = prices["date"] > cut
    broken = prices.copy()
    broken.loc[late, ["open", "close", "adj_close"]] *= np.random.default_rng(1).uniform(0.5, 2, (late.sum(), 1))
    one, other = (history_of_year(YEAR, table, made_up_universe(), has_open=True) for table in (prices, broken))
    early = (calendar.weeks_of_year(YEAR)["decision_session"] <= cut).to_numpy()
    assert 0 < early.sum() < len(early)
    assert one.mean[early].tobytes() == other.mean[early].tobytes()
    assert one.quantiles[early].tobytes() == other.quantiles[early].tobytes()
    assert (one.mean[~early] != other.mean[~early])[2:].all()  # the first week's exit comes six sessions after
