"""The leak test: replace every bar after a session by a random walk and rebuild everything from raw.

What was forecast up to that session must be the same bit for bit, and every later forecast must change. Scores
are also checked at every step of their chunks, because a network that reads ahead *inside* a chunk cannot reach a
forecast (whose window ends at the decision) and yet trains on what it will not have.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from allocator_pipeline.config import N_STOCKS, QUANTILES
from allocator_pipeline.forecasters import inputs, network, panel, patchtst
from allocator_pipeline.forecasters.chains import fit_chain
from allocator_pipeline.forecasters.channels import fields_of
from allocator_pipeline.forecasters.lstm import LSTMForecaster, LSTMNetwork
from allocator_pipeline.forecasters.models import CLASSES, load_forecaster
from allocator_pipeline.forecasters.walk_forward import forecast_year
from allocator_pipeline.market import calendar
from allocator_pipeline_tests.forecasters.conftest import SMALL, scramble

NAMES = tuple(CLASSES)
NETWORKS = ("lstm", "patchtst")
CHEAP = ("lstm", "ridge")
"""Leaks in the inputs reach every forecaster alike."""

SHORT_WEEK = "2015-01-02"  # first decision of 2015: its week has four sessions, and targets of 2014 exit after it
CUTS = ("2014-01-03", "2014-09-17", SHORT_WEEK, "2015-07-02")


def rebuild(
    name: str, year: int, prices: pd.DataFrame, universe: pd.DataFrame, warm: bool
) -> tuple[np.ndarray, pd.DataFrame]:
    """Fit and forecast from raw; return forecasts and quantiles by week, and the score of every day.

    A warm model starts from that of the year before, which is rebuilt too.
    """
    years = [year - 1, year] if warm else [year]
    options = {"has_open": True, "has_volume": True, "config": SMALL[name]}
    *_, artifact = fit_chain(name, years, dict.fromkeys(years, prices), **options)
    table = forecast_year(artifact, year, prices, universe)
    said = table[["forecast", *QUANTILES]].to_numpy().reshape(-1, N_STOCKS * (1 + len(QUANTILES)))
    forecaster = load_forecaster(name, artifact.files).forecaster
    channels = forecaster.config.channels
    bars = panel.price_panel(prices[prices["date"].dt.year <= year], True, fields=fields_of(channels))
    scores = forecaster.scores(inputs.build_inputs(bars, channels).values)
    return said, pd.DataFrame(scores, index=bars.dates)


def leaks(name: str, cut: str, market: pd.DataFrame, universe, warm: bool = False) -> set[str]:
    """Return what changed up to the cut, though only bars after it did."""
    weeks = calendar.weeks_of_year(pd.Timestamp(cut).year)
    year = int(weeks["year"].iloc[0])
    before = rebuild(name, year, market, universe(year), warm)
    after = rebuild(name, year, scramble(market, cut), universe(year), warm)
    past = (weeks["decision_session"] <= cut).to_numpy()
    same = before[0] == after[0]
    assert past.any()
    assert not same[~past].all(axis=1).any(), "a forecast that does not see the new prices reads nothing"
    found = set()
    if not same[past].reshape(past.sum(), N_STOCKS, -1)[..., 0].all():
        found.add("forecast")
    if not same[past].reshape(past.sum(), N_STOCKS, -1)[..., 1:].all():
        found.add("quantile")
    if not before[1][:cut].equals(after[1][:cut]):
        found.add("score")
    return found


@pytest.mark.parametrize("cut", [CUTS[1], SHORT_WEEK])
@pytest.mark.parametrize("name", NAMES)
def test_no_forecast_reads_ahead(name, cut, market, universe):
    assert leaks(name, cut, market, universe) == set()


@pytest.mark.parametrize("name", NETWORKS)
def test_no_warm_start_reads_ahead(name, market, universe):
    assert leaks(name, SHORT_WEEK, market, universe, warm=True) == set()


@pytest.mark.parametrize("name", NETWORKS)
def test_no_forecast_reads_ahead_where_stocks_are_taken_in_parts(name, market, universe, monkeypatch):
    monkeypatch.setattr(network, "STOCKS_AT_ONCE", 4)
    assert leaks(name, SHORT_WEEK, market, universe) == set()


@pytest.mark.slow
@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("name", NAMES)
def test_no_forecast_of_the_full_recipe_reads_ahead(name, cut, market, universe, monkeypatch):
    monkeypatch.setitem(SMALL, name, CLASSES[name].config_type())
    assert leaks(name, cut, market, universe, warm=name in NETWORKS) == set()


@pytest.mark.parametrize("name", CHEAP)
def test_it_catches_a_global_scaler(name, market, universe, monkeypatch):
    clean = inputs.build_inputs

    def leaky(prices, channels):
        built = clean(prices, channels)
        return inputs.Inputs(built.values / built.values.std(), built.usable, built.sigma)

    monkeypatch.setattr(inputs, "build_inputs", leaky)
    assert "forecast" in leaks(name, SHORT_WEEK, market, universe)


@pytest.mark.parametrize("name", CHEAP)
def test_it_catches_global_winsor_limits(name, market, universe, monkeypatch):
    def leaky(returns, sigma):
        scaled = returns / sigma
        return np.clip(scaled, *np.nanquantile(scaled, [0.01, 0.99]))

    monkeypatch.setattr(inputs, "scale", leaky)
    assert "forecast" in leaks(name, SHORT_WEEK, market, universe)


@pytest.mark.parametrize("name", CHEAP)
def test_it_catches_a_centred_volatility(name, market, universe, monkeypatch):
    monkeypatch.setattr(
        inputs,
        "volatility",
        lambda returns, half_life=20: (
            pd.DataFrame(returns).rolling(2 * half_life + 1, min_periods=2, center=True).std().to_numpy()
        ),
    )
    assert {"forecast", "quantile"} <= leaks(name, SHORT_WEEK, market, universe)


@pytest.mark.parametrize("name", CHEAP)
def test_it_catches_a_back_filled_volatility(name, market, universe, monkeypatch):
    # Only a listing younger than the warm-up has anything to fill: it joins the mean that others are held against.
    clean = inputs.volatility
    monkeypatch.setattr(
        inputs, "volatility", lambda returns, *half: pd.DataFrame(clean(returns, *half)).bfill().to_numpy()
    )
    assert "forecast" in leaks(name, SHORT_WEEK, market, universe)


@pytest.mark.parametrize("name", CHEAP)
def test_it_catches_a_missing_purge_at_the_first_decision_alone(name, market, universe, monkeypatch):
    def leaky(prices, year):  # decisions of the years before, with exits wherever they fall
        return panel.bars_between(prices, panel.warm_up_start(year), pd.Timestamp(year, 1, 12))

    monkeypatch.setattr(panel, "training_bars", leaky)
    assert "forecast" in leaks(name, SHORT_WEEK, market, universe)
    assert leaks(name, "2015-07-02", market, universe) == set()  # why the other cuts are not enough


class Bidirectional(LSTMNetwork):
    def __init__(self, config):
        super().__init__(config)
        self.backward_lstm = nn.LSTM(len(self.daily), config.hidden)

    def forward(self, series, skip=0):
        days = series.permute(2, 0, 1)
        daily, slow = days[..., self.daily], days[..., self.slow]
        hidden = self.lstm(daily)[0] + self.backward_lstm(daily.flip(0))[0].flip(0)
        return self.head(torch.cat([hidden, slow], dim=-1)).squeeze(-1).T[:, skip:]


def test_it_catches_a_bidirectional_lstm(market, universe, monkeypatch):
    monkeypatch.setattr(LSTMForecaster, "build", lambda self: Bidirectional(self.config))
    assert leaks("lstm", SHORT_WEEK, market, universe) == {"score"}


@pytest.mark.parametrize("name", NETWORKS)
def test_it_catches_instance_norm_over_a_chunk(name, market, universe, monkeypatch):
    clean = CLASSES[name].build

    def leaky(self):
        built = clean(self)
        plain = built.forward
        built.forward = lambda x, skip=0: plain((x - x.mean(2, keepdim=True)) / (x.std(2, keepdim=True) + 1e-6), skip)
        return built

    monkeypatch.setattr(CLASSES[name], "build", leaky)
    assert leaks(name, SHORT_WEEK, market, universe) == {"score"}


def test_it_catches_attention_to_later_tokens(market, universe, monkeypatch):
    plain = patchtst.lags

    def leaky(length, band):
        which, banned = plain(length, band)
        return which, torch.zeros_like(banned)

    monkeypatch.setattr(patchtst, "lags", leaky)
    assert leaks("patchtst", SHORT_WEEK, market, universe) == {"score"}
