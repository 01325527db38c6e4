"""All that the benchmarks know of the forecasters' insides: what they read and learn, how they train, networks."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import nn

from allocator_pipeline.config import FORECAST_TRAINING_YEARS, N_STOCKS
from allocator_pipeline.forecasters.base import Forecaster, reproducible
from allocator_pipeline.forecasters.inputs import CONTEXT, build_inputs
from allocator_pipeline.forecasters.models import new_forecaster
from allocator_pipeline.forecasters.targets import rank_targets, weekly_returns
from allocator_pipeline.forecasters.walk_forward import fit_forecaster, forecast_year
from allocator_pipeline.market.sample import SampleMarket
from allocator_pipeline.market.universe import universe_of

DAYS, WARM_UP_DAYS = 1512, 252
"""Six years, as a year's model reads; the first of them has no targets."""


@dataclass(frozen=True)
class Material:
    """What a forecaster trains on.

    Parameters
    ----------
    relative : ndarray of float32, shape (T, N)
        Inputs.
    targets : ndarray of float64, shape (T, N)
        NaN where there is nothing to learn from.
    """

    relative: np.ndarray
    targets: np.ndarray


def material(stocks: int = N_STOCKS, days: int = DAYS, warm_up: int = WARM_UP_DAYS, seed: int = 0) -> Material:
    """Return what a model is fitted on, of returns that are noise: speed does not depend on what they say."""
    returns = np.random.default_rng(seed).normal(0.0, 0.02, (days, stocks))
    close = 100.0 * np.exp(np.cumsum(returns, axis=0))
    features = build_inputs(close)
    learnt = features.usable & (np.arange(days) >= warm_up)[:, None]
    weekly = np.where(learnt, weekly_returns(close), np.nan)
    return Material(features.relative, rank_targets(weekly))


def forecaster(name: str, **changes: object) -> Forecaster:
    """Return an untrained forecaster with its own recipe, but for the changes."""
    fresh = new_forecaster(name)
    return new_forecaster(name, dataclasses.replace(fresh.config, **changes)) if changes else fresh


def fit(fresh: Forecaster, data: Material, seed: int = 0) -> Forecaster:
    """Train as the pipeline does: every epoch of the recipe, dense targets."""
    return fresh.fit(data.relative, data.targets, seed)


def targets_read(fitted: Forecaster, data: Material) -> int:
    """Return the targets that all epochs of a training read: those of the days that it scores, once an epoch."""
    read = np.isfinite(fitted.scores(data.relative)) & np.isfinite(data.targets)
    return int(read.sum()) * fitted.config.epochs


def fit_by_windows(fresh: Forecaster, data: Material, batch: int, steps: int, seed: int = 0) -> nn.Module:
    """Train the very same network window by window: `CONTEXT` days of one stock give one target, its last output's.

    Loss, optimiser, schedule and clipping are those of the dense training; windows are gathered from a view.

    Parameters
    ----------
    fresh : Forecaster
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
    windows = torch.from_numpy(data.relative).unfold(0, CONTEXT, 1)  # (days - 59, N, 60), a view
    targets = torch.from_numpy(data.targets[CONTEXT - 1 :].astype(np.float32))
    days, stocks = targets.isfinite().nonzero(as_tuple=True)
    with reproducible(seed):
        network = fresh.build().train()
        optimiser = torch.optim.AdamW(fresh._groups(network), lr=config.learning_rate, fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.learning_rate, total_steps=steps)
        for _ in range(steps):
            chosen = torch.randint(len(days), (batch,))
            at = days[chosen], stocks[chosen]
            loss = (window_scores(network, windows[at]) - targets[at]).square().mean()
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), config.gradient_clip)
            optimiser.step()
            schedule.step()
    return network.eval()


def window_scores(network: nn.Module, windows: torch.Tensor) -> torch.Tensor:
    """Return the score of the last day of each window, (B,), of windows (B, days)."""
    return network(windows)[:, -1]


def targets_a_step(fresh: Forecaster, data: Material) -> int:
    """Return the targets in an optimiser step of the dense training, where all are known."""
    config = fresh.config
    return config.chunks_per_step * data.relative.shape[1] * (config.chunk - CONTEXT) // config.stride


def fit_epochs(name: str, data: Material, epochs: int) -> Forecaster:
    """Train for some epochs; all there is to do where a forecaster has no epochs."""
    return fit(forecaster(name, epochs=epochs), data)


def fit_and_score(name: str, data: Material, epochs: int) -> np.ndarray:
    """Train for some epochs and score every day, as a year's fit does; return the scores, (T, N)."""
    return fit_epochs(name, data, epochs).scores(data.relative)


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
    """Fit and forecast years one after another, as the asset does; return how many forecasts that gave."""
    count = 0
    for each in years:
        model = fit_forecaster(name, each.year, each.prices)
        count += len(forecast_year(model, each.year, each.prices, each.universe))
    return count
