"""Walk-forward forecasts: a model of its own for every year, fitted on the five years before it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from allocator_pipeline.artifact import Artifact, Identity
from allocator_pipeline.atomic import canonical_json
from allocator_pipeline.config import FORECAST_TRAINING_YEARS, QUANTILES
from allocator_pipeline.errors import ConfigurationError, MarketDataError, NotEnoughDataError
from allocator_pipeline.forecasters import inputs, panel
from allocator_pipeline.forecasters.base import Forecaster, ForecasterConfig
from allocator_pipeline.forecasters.calibration import Calibration
from allocator_pipeline.forecasters.channels import MIN_SLOW, fields_of, readable
from allocator_pipeline.forecasters.fold import Fold, training_fold
from allocator_pipeline.forecasters.models import forecaster_files, load_forecaster, new_forecaster, read_config
from allocator_pipeline.market import calendar

Files = Mapping[str, bytes]
ArtifactLike = Artifact | tuple[Mapping[str, Any], Files]


def forecaster_identity(
    name: str,
    year: int,
    prices: pd.DataFrame,
    seed: int = 0,
    has_open: bool = False,
    has_volume: bool = False,
    config: ForecasterConfig | None = None,
    parent: Identity | None = None,
) -> Identity:
    """Say what the model of a year is made of, without training it.

    Parameters
    ----------
    name : {"lstm", "patchtst", "ridge"}
    year : int
        The year the model speaks about.
    prices : DataFrame
        As `schemas.PRICES`, years ``year - 6`` to ``year``.
    seed : int
        Seed of initial weights, order and dropout.
    has_open, has_volume : bool
        What the source has: opens set the execution price, and both decide which channels are read.
    config : ForecasterConfig, optional
        Other hyperparameters than the forecaster's own; its channels are those that the source has, whatever it says.
    parent : Identity, optional
        The model of the year before, whose weights a warm start takes over, and its hyperparameters and channels with
        them.

    Returns
    -------
    Identity

    Raises
    ------
    NotEnoughDataError
        As `training_fold`.
    ConfigurationError
        If there is no forecaster of that name, or the parent cannot be started from.
    """
    started = None if parent is None else parent.config
    forecaster, warm = _forecaster(name, year, prices, has_open, has_volume, config, started)
    fold = training_fold(year, prices, has_open, forecaster.config.channels)
    return _identity(forecaster, year, seed, has_open, fold, parent.version if warm and parent is not None else None)


def fit_forecaster(
    name: str,
    year: int,
    prices: pd.DataFrame,
    seed: int = 0,
    has_open: bool = False,
    has_volume: bool = False,
    progress: Callable[[str], None] | None = None,
    config: ForecasterConfig | None = None,
    parent: ArtifactLike | None = None,
) -> Artifact:
    """Train the model of one year, from a cold start or from the model of the year before.

    Parameters
    ----------
    name, year, prices, seed, has_open, has_volume, config
        As `forecaster_identity`.
    progress : callable, optional
        Called with one short line an epoch.
    parent : Artifact or tuple of (manifest, files), optional
        The model to start from; a cold start without.

    Returns
    -------
    Artifact
        Files ``model.safetensors`` and ``model.json``.

    Raises
    ------
    NotEnoughDataError, ConfigurationError
        As `forecaster_identity`.
    CorruptArtifactError
        If the parent's files are not what its network expects.
    """
    manifest, files = (None, {}) if parent is None else parts_of(parent)
    started, version = (None, None) if manifest is None else (manifest["config"], str(manifest["version"]))
    forecaster, warm = _forecaster(name, year, prices, has_open, has_volume, config, started)
    version = version if warm else None
    start = None if version is None else load_forecaster(name, files).forecaster.tensors()
    channels = forecaster.config.channels
    fold = training_fold(year, prices, has_open, channels)
    identity = _identity(forecaster, year, seed, has_open, fold, version)
    say = None if progress is None else (lambda line: progress(f"{year} {line}"))
    forecaster.fit(fold.inputs.values, fold.targets, seed, say, start)
    calibration = Calibration.fit(forecaster.scores(fold.inputs.values), fold)
    days = fold.prices.dates[fold.days]
    facts = {
        "year": year,
        "start": "cold" if version is None else f"warm, from {version}",
        "training_first_decision": str(days[0]),
        "training_last_decision": str(days[-1]),
        "training_last_exit": fold.cutoff,
        "training_targets": int(np.isfinite(fold.targets).sum()),
        "training_symbols": len(fold.prices.symbols),
        "epoch_losses": [round(loss, 6) for loss in forecaster.losses_],
        "channels": list(channels),
        "channels_missing": [name for name in forecaster.wanted if name not in channels],
        "source_has_open": has_open,
        "source_has_volume": has_volume,
        **calibration.to_json(),
    }
    return Artifact(identity, forecaster_files(forecaster, fold.prices.symbols, calibration), facts)


def forecast_year(artifact: ArtifactLike, year: int, prices: pd.DataFrame, universe: pd.DataFrame) -> pd.DataFrame:
    """Forecast the weeks of a year that can be decided with the prices at hand.

    Parameters
    ----------
    artifact : Artifact or tuple of (manifest, files)
        The model of that year.
    year : int
    prices : DataFrame
        As `schemas.PRICES`, years ``year - 6`` to ``year``. Week by week only bars up to the decision session are read.
    universe : DataFrame
        As `schemas.UNIVERSE`: the stocks of the year.

    Returns
    -------
    DataFrame
        As `schemas.FORECASTS`, by week and slot: expected weekly log return and its quantiles (see `calibration`).

    Raises
    ------
    NotEnoughDataError
        If a stock of the universe has too little history at a decision.
    MarketDataError
        If the prices lack a decision session, or a stock of the universe has lost a field that the model reads.
    CorruptArtifactError
        If the model's files are not what its network expects.
    """
    manifest, files = parts_of(artifact)
    name = str(manifest["name"])
    model = load_forecaster(name, files)
    reach, channels = model.forecaster.config.reach, model.forecaster.config.channels
    stocks = universe.sort_values("slot")["symbol"].astype(str).tolist()
    bars = panel.bars_between(prices, panel.warm_up_start(year), pd.Timestamp(year, 12, 31))
    # The cross-section is that of the training fold, so that a symbol listed later cannot change what was forecast.
    prices_panel = panel.price_panel(bars, False, [*model.symbols, *stocks], fields_of(channels))
    features = inputs.build_inputs(prices_panel, channels)
    weeks = _decidable(year, prices_panel.dates)
    rows = np.searchsorted(prices_panel.dates, weeks["decision_session"].to_numpy().astype("datetime64[D]"))
    columns = np.array([prices_panel.symbols.index(symbol) for symbol in stocks])
    if rows[0] + 1 < reach:
        raise NotEnoughDataError(
            f"Only {rows[0] + 1} sessions of prices lie up to the first decision of {year}.",
            todo=f"materialise the prices of {year - FORECAST_TRAINING_YEARS} to {year}.",
        )
    _check_context(features, rows, columns, weeks, stocks)
    _check_fields(prices_panel, rows, columns, weeks, stocks)
    # one week at a time: the same shapes, so the same bits, however much of the year is there
    scores = np.stack(
        [
            model.forecaster.predict(features.values[row + 1 - reach : row + 1, columns].transpose(1, 0, 2))
            for row in rows
        ]
    )
    sigma = features.sigma[np.ix_(rows, columns)]
    spread = model.calibration.spread(sigma).reshape(-1, len(QUANTILES))
    table = weeks[["week", "decision_at"]].iloc[np.repeat(np.arange(len(weeks)), len(stocks))].reset_index(drop=True)
    return table.assign(
        slot=np.tile(np.arange(len(stocks), dtype=np.int64), len(weeks)),
        symbol=pd.Series(stocks * len(weeks), dtype="str"),
        forecast=model.calibration.expected(scores, sigma).ravel(),
        **dict(zip(QUANTILES, spread.T, strict=True)),
        forecaster=pd.Series([name] * scores.size, dtype="str"),
        model_version=pd.Series([str(manifest["version"])] * scores.size, dtype="str"),
    )


def _decidable(year: int, dates: np.ndarray) -> pd.DataFrame:
    weeks = calendar.weeks_of_year(year)
    sessions = weeks["decision_session"].to_numpy().astype("datetime64[D]")
    due = sessions <= dates[-1]
    absent = sessions[due & ~np.isin(sessions, dates)]
    if len(absent):
        raise MarketDataError(
            f"The prices lack the decision session {absent[0]}.",
            todo="materialise the prices of that year again, or mend the source.",
            week=str(absent[0]),
        )
    if not due.any():
        raise NotEnoughDataError(
            f"No week of {year} can be decided with prices up to {dates[-1]}.",
            todo="materialise this year's prices after its first decision session has closed.",
        )
    return weeks[due].reset_index(drop=True)


def _check_context(
    features: inputs.Inputs, rows: np.ndarray, columns: np.ndarray, weeks: pd.DataFrame, stocks: list[str]
) -> None:
    enough = features.usable[np.ix_(rows, columns)] & np.isfinite(features.sigma[np.ix_(rows, columns)])
    if not enough.all():
        week, slot = (int(index) for index in np.argwhere(~enough)[0])
        raise NotEnoughDataError(
            f"Fewer than {inputs.MIN_OBSERVED} of the last {inputs.CONTEXT} sessions have a return.",
            todo="choose a universe of stocks that have traded for a quarter, or mend their prices.",
            symbol=stocks[slot],
            week=str(weeks["week"].iloc[week].date()),
        )


def _check_fields(
    prices: panel.PricePanel, rows: np.ndarray, columns: np.ndarray, weeks: pd.DataFrame, stocks: list[str]
) -> None:
    for name, gone in inputs.lost(prices, rows[0]).items():
        at = np.argwhere(gone[np.ix_(rows, columns)])
        if len(at):
            raise MarketDataError(
                f"Fewer than {inputs.MIN_OBSERVED} of the last {inputs.CONTEXT} sessions have a {name}, which the "
                "model has learnt to read.",
                todo=f"mend the {name} of that stock's bars; a source that has none any more gives none to any year "
                "(leave the column out).",
                symbol=stocks[at[0][1]],
                week=str(weeks["week"].iloc[at[0][0]].date()),
            )


def parts_of(artifact: ArtifactLike) -> tuple[Mapping[str, Any], Files]:
    """Return the manifest and the files of a model."""
    return (artifact.manifest(), artifact.files) if isinstance(artifact, Artifact) else artifact


def _forecaster(
    name: str,
    year: int,
    prices: pd.DataFrame,
    has_open: bool,
    has_volume: bool,
    config: ForecasterConfig | None,
    started: Mapping[str, Any] | None,
) -> tuple[Forecaster, bool]:
    """Return an untrained forecaster that reads what the source has, and whether it starts warm.

    A source that has other channels than the parent has read, such as highs and lows from some year on, starts cold:
    nothing may stand in for a channel that is not there.
    """
    fresh = new_forecaster(name, config)
    held = panel.fields_held(panel.training_bars(prices, year), has_open, has_volume)
    cold = new_forecaster(name, dataclasses.replace(fresh.config, channels=readable(fresh.wanted, held)))
    if started is None:
        return cold, False
    if not fresh.warm or started["forecaster"] != name or started["year"] != year - 1:
        raise ConfigurationError(
            f"The {name} model of {year} cannot start from the {started['forecaster']} model of {started['year']}.",
            todo="start from the same forecaster's model of the year before, or from nothing.",
        )
    warm = new_forecaster(name, read_config(name, started["hyperparameters"]))
    return (warm, True) if warm.config.channels == cold.config.channels else (cold, False)


def _identity(forecaster: Forecaster, year: int, seed: int, has_open: bool, fold: Fold, parent: str | None) -> Identity:
    return Identity(
        kind="forecaster",
        name=forecaster.name,
        cutoff=fold.cutoff,
        config={
            "recipe": "default",
            "forecaster": forecaster.name,
            "year": year,
            "seed": seed,
            "hyperparameters": json.loads(canonical_json(dataclasses.asdict(forecaster.config))),
            "execution": "open" if has_open else "close",
            "training_years": FORECAST_TRAINING_YEARS,
            "horizon": inputs.HORIZON,
            "context": inputs.CONTEXT,
            "min_observed": inputs.MIN_OBSERVED,
            "half_life": inputs.HALF_LIFE,
            "outlook": inputs.OUTLOOK,
            "warm_up": inputs.WARM_UP,
            "clip": inputs.CLIP,
            "min_cross_section": inputs.MIN_CROSS_SECTION,
            "min_slow": MIN_SLOW,
            "quantiles": list(QUANTILES.values()),
        },
        data=fold.prices.digest(),
        parent=parent,
    )
