"""All that the benchmarks know of the forecasters' insides: what they read and learn, how they train, networks."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from allocator_pipeline.config import FORECAST_TRAINING_YEARS, N_STOCKS
from allocator_pipeline.forecasters.base import Forecaster, ForecasterConfig, reproducible
from allocator_pipeline.forecasters.chains import chain_start, fit_chain
from allocator_pipeline.forecasters.descent import parameter_groups
from allocator_pipeline.forecasters.inputs import CONTEXT, build_inputs
from allocator_pipeline.forecasters.models import new_forecaster
from allocator_pipeline.forecasters.network import NetworkForecaster
from allocator_pipeline.forecasters.panel import PricePanel
from allocator_pipeline.forecasters.targets import rank_targets, weekly_returns
from allocator_pipeline.forecasters.walk_forward import forecast_year
from allocator_pipeline.market.sample import SampleMarket
from allocator_pipeline.market.universe import universe_of

DAYS, WARM_UP_DAYS = 1512, 252
"""Six years, as a year's model reads; the first of them has no targets."""


@dataclass(frozen=True)
class Material:
    """What a forecaster trains on, of a source that has closes only.

    Parameters
    ----------
    values : ndarray of float32, shape (T, N, C)
        Inputs; the first channel is the day's relative return.
    targets : ndarray of float64, shape (T, N)
        NaN where there is nothing to learn from.
    """

    values: np.ndarray
    targets: np.ndarray


def material(stocks: int = N_STOCKS, days: int = DAYS, warm_up: int = WARM_UP_DAYS, seed: int = 0) -> Material:
    """Return what a model is fitted on, of returns that are noise: speed does not depend on what they say."""
    returns = np.random.default_rng(seed).normal(0.0, 0.02, (days, stocks))
    close = 100.0 * np.exp(np.cumsum(returns, axis=0))
    dates = np.datetime64("2000-01-03") + np.arange(days)
    symbols = tuple(f"S{stock:03d}" for stock in range(stocks))
    features = build_inputs(PricePanel(dates, symbols, close, close), ForecasterConfig().channels)
    learnt = features.usable & (np.arange(days) >= warm_up)[:, None]
    weekly = np.where(learnt, weekly_returns(close), np.nan)
    return Material(features.values, rank_targets(weekly))


def network_forecaster(name: str, **changes: Any) -> NetworkForecaster:
    """Return an untrained network with its own recipe, but for the changes."""
    fresh = new_forecaster(name)
    if not isinstance(fresh, NetworkForecaster):
        raise TypeError(f"{name} has no network.")
    fresh.config = dataclasses.replace(fresh.config, **changes)
    return fresh


def fit(fresh: NetworkForecaster, data: Material, seed: int = 0) -> NetworkForecaster:
    """Train as the pipeline does from a cold start: every epoch of the recipe, dense targets."""
    return fresh.fit(data.values, data.targets, seed)


def targets_read(fitted: NetworkForecaster, data: Material) -> int:
    """Return the targets that all epochs of a training read: those of the days that it scores, once an epoch."""
    read = np.isfinite(fitted.scores(data.values)) & np.isfinite(data.targets)
    return int(read.sum()) * fitted.config.epochs


def fit_by_windows(fresh: NetworkForecaster, data: Material, batch: int, steps: int, seed: int = 0) -> nn.Module:
    """Train the very same network window by window: `CONTEXT` days of one stock give one target, its last output's.

    Loss, optimiser, schedule and clipping are those of the dense training; windows are gathered from a view.

    Parameters
    ----------
    fresh : NetworkForecaster
        Gives the network and the numbers of its training.
    data : Material
    batch : int
        Windows, and so targets, in a step.
    steps : int
        Optimiser steps.

    Returns
    -------
    torch.nn.Module
    """
    config = fresh.config
    windows = torch.from_numpy(data.values).unfold(0, CONTEXT, 1)  # (days - 59, N, C, 60), a view
    targets = torch.from_numpy(data.targets[CONTEXT - 1 :].astype(np.float32))
    days, stocks = targets.isfinite().nonzero(as_tuple=True)
    with reproducible(seed):
        network = fresh.build().train()
        optimiser = torch.optim.AdamW(
            parameter_groups(network, config.weight_decay), lr=config.learning_rate, fused=True
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.learning_rate, total_steps=steps)
        for _ in range(steps):
            chosen = torch.randint(len(days), (batch,))
            at = days[chosen], stocks[chosen]
            loss = (window_scores(network, windows[at], config.stride) - targets[at]).square().mean()
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), config.gradient_clip)
            optimiser.step()
            schedule.step()
    return network.eval()


def window_scores(network: nn.Module, windows: torch.Tensor, stride: int) -> torch.Tensor:
    """Return the score of the last day of each window, (B,), of windows (B, C, days), and compute no other."""
    return network(windows, windows.shape[-1] // stride - 1)[:, 0]


def targets_a_step(fresh: NetworkForecaster, data: Material) -> int:
    """Return the targets in an optimiser step of the dense training, where all are known."""
    config = fresh.config
    return config.chunks_per_step * data.values.shape[1] * (config.chunk - CONTEXT) // config.stride


def fit_epoch(name: str, data: Material) -> Forecaster:
    """Train for an epoch: a pass over the days. A forecaster without epochs takes one anyway."""
    fresh = new_forecaster(name)
    if isinstance(fresh, NetworkForecaster):
        fresh = network_forecaster(name, epochs=1)
    return fresh.fit(data.values, data.targets)


def fit_and_score(name: str, data: Material) -> np.ndarray:
    """Train for an epoch and score every day, as a year's fit does; return the scores, (T, N)."""
    return fit_epoch(name, data).scores(data.values)


@dataclass(frozen=True)
class Year:
    """What a year of the back-fill reads.

    Parameters
    ----------
    year : int
    prices : DataFrame
        As `schemas.PRICES`, years ``year - 6`` to ``year``.
    universe : DataFrame
        As `schemas.UNIVERSE`.
    """

    year: int
    prices: pd.DataFrame
    universe: pd.DataFrame


def sample_years(count: int) -> list[Year]:
    """Return what the last years of the sample market read, as the assets before the forecasts give it."""
    source = SampleMarket()
    bars = {year: source.prices(year) for year in source.coverage().years}
    years = list(bars)[-count:]
    tables = {}
    for year in years:
        window = [bars[earlier] for earlier in bars if year - FORECAST_TRAINING_YEARS - 1 <= earlier <= year]
        before = [bars[earlier] for earlier in bars if earlier < year]
        tables[year] = Year(year, pd.concat(window, ignore_index=True), universe_of(year, pd.concat(before)))
    return list(tables.values())


def backfill(name: str, years: Sequence[Year]) -> int:
    """Fit and forecast years, chain after chain of warm starts; return how many forecasts that gave."""
    count = 0
    for _, chain in groupby(years, key=lambda each: chain_start(name, each.year, years[0].year)):
        linked = {each.year: each for each in chain}
        prices = {year: each.prices for year, each in linked.items()}
        for each, model in zip(linked.values(), fit_chain(name, list(linked), prices), strict=True):
            count += len(forecast_year(model, each.year, each.prices, each.universe))
    return count
