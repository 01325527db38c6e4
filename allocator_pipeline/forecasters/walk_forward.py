"""Walk-forward forecasts: a model of its own for every year, fitted on the five years before it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd

from allocator_pipeline.artifact import Artifact, Identity
from allocator_pipeline.config import FORECAST_TRAINING_YEARS, QUANTILES
from allocator_pipeline.errors import MarketDataError, NotEnoughDataError
from allocator_pipeline.forecasters import inputs, panel, targets
from allocator_pipeline.forecasters.base import Forecaster, ForecasterConfig
from allocator_pipeline.forecasters.fold import Fold, calibrate, training_fold
from allocator_pipeline.forecasters.models import forecaster_files, load_forecaster, new_forecaster
from allocator_pipeline.market import calendar

ArtifactLike = Artifact | tuple[Mapping[str, Any], Mapping[str, bytes]]


def forecaster_identity(
    name: str,
    year: int,
    prices: pd.DataFrame,
    seed: int = 0,
    has_open: bool = False,
    has_volume: bool = False,
    config: ForecasterConfig | None = None,
) -> Identity:
    """Say what the model of a year is made of, without training it.

    Parameters
    ----------
    name : {"lstm", "patchtst"}
    year : int
        The year the model speaks about.
    prices : DataFrame
        As `schemas.PRICES`, years ``year - 6`` to ``year``.
    seed : int
        Seed of initial weights, order and dropout.
    has_open, has_volume : bool
        What the source has. Opens set the execution price; volume is read by no present network.
    config : ForecasterConfig, optional
        Other hyperparameters than the network's own.

    Returns
    -------
    Identity

    Raises
    ------
    NotEnoughDataError
        As `training_fold`.
    ConfigurationError
        If there is no forecaster of that name.
    """
    return _identity(new_forecaster(name, config), seed, has_open, training_fold(year, prices, has_open))


def fit_forecaster(
    name: str,
    year: int,
    prices: pd.DataFrame,
    seed: int = 0,
    has_open: bool = False,
    has_volume: bool = False,
    progress: Callable[[str], None] | None = None,
    config: ForecasterConfig | None = None,
) -> Artifact:
    """Train the model of one year.

    Parameters
    ----------
    name, year, prices, seed, has_open, has_volume, config
        As `forecaster_identity`.
    progress : callable, optional
        Called with one short line an epoch.

    Returns
    -------
    Artifact
        Files ``model.safetensors`` and ``model.json``.

    Raises
    ------
    NotEnoughDataError, ConfigurationError
        As `forecaster_identity`.
    """
    forecaster = new_forecaster(name, config)
    fold = training_fold(year, prices, has_open)
    identity = _identity(forecaster, seed, has_open, fold)
    say = None if progress is None else (lambda line: progress(f"{year} {line}"))
    forecaster.fit(fold.inputs.relative, fold.targets, seed, say)
    calibration = calibrate(forecaster.scores(fold.inputs.relative), fold)
    days = fold.prices.dates[fold.days]
    facts = {
        "year": year,
        "training_first_decision": str(days[0]),
        "training_last_decision": str(days[-1]),
        "training_last_exit": fold.cutoff,
        "training_targets": int(np.isfinite(fold.targets).sum()),
        "training_symbols": len(fold.prices.symbols),
        "epoch_losses": [round(loss, 6) for loss in forecaster.losses_],
        "channels": list(forecaster.channels),
        "source_has_open": has_open,
        "source_has_volume": has_volume,
        **calibration,
    }
    files = forecaster_files(forecaster, fold.prices.symbols, calibration)
    return Artifact(identity, files, facts)


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
        As `schemas.FORECASTS`, by week and slot: expected weekly log return,
        ``intercept + slope * weekly volatility * score``.

    Raises
    ------
    NotEnoughDataError
        If a stock of the universe has too little history at a decision.
    MarketDataError
        If the prices lack a decision session.
    CorruptArtifactError
        If the model's files are not what its network expects.
    """
    name, version, files = _parts(artifact)
    forecaster, description = load_forecaster(name, files)
    stocks = universe.sort_values("slot")["symbol"].astype(str).tolist()
    bars = panel.bars_between(prices, panel.warm_up_start(year), pd.Timestamp(year, 12, 31))
    # The cross-section is that of the training fold, so that a symbol listed later cannot change what was forecast.
    prices_panel = panel.price_panel(bars, has_open=False, symbols=[*description["symbols"], *stocks])
    features = inputs.build_inputs(prices_panel.close)
    weeks = _decidable(year, prices_panel.dates)
    rows = np.searchsorted(prices_panel.dates, weeks["decision_session"].to_numpy().astype("datetime64[D]"))
    columns = np.array([prices_panel.symbols.index(symbol) for symbol in stocks])
    if rows[0] + 1 < forecaster.config.chunk:
        raise NotEnoughDataError(
            f"Only {rows[0] + 1} sessions of prices lie up to the first decision of {year}.",
            todo=f"materialise the prices of {year - FORECAST_TRAINING_YEARS} to {year}.",
        )
    _check_context(features, rows, columns, weeks, stocks)
    values = np.empty((len(weeks), len(stocks)))
    spread = features.sigma[np.ix_(rows, columns)] * np.sqrt(targets.HORIZON)
    for k, row in enumerate(rows):
        # one week at a time: the same shapes, so the same bits, however much of the year is there
        window = features.relative[row + 1 - forecaster.config.chunk : row + 1, columns].T
        unit = forecaster.predict(window) * features.sigma[row, columns] * np.sqrt(targets.HORIZON)
        values[k] = description["intercept"] + description["slope"] * unit
    table = weeks[["week", "decision_at"]].iloc[np.repeat(np.arange(len(weeks)), len(stocks))].reset_index(drop=True)
    return table.assign(
        slot=np.tile(np.arange(len(stocks), dtype=np.int64), len(weeks)),
        symbol=pd.Series(stocks * len(weeks), dtype="str"),
        forecast=values.ravel(),
        # Temporary: normal quantiles of the volatility known at the decision, until calibrated ones are merged.
        **{column: (values + spread * NormalDist().inv_cdf(level)).ravel() for column, level in QUANTILES.items()},
        forecaster=pd.Series([name] * values.size, dtype="str"),
        model_version=pd.Series([version] * values.size, dtype="str"),
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


def _parts(artifact: ArtifactLike) -> tuple[str, str, Mapping[str, bytes]]:
    if isinstance(artifact, Artifact):
        return artifact.name, artifact.version, artifact.files
    manifest, files = artifact
    return str(manifest["name"]), str(manifest["version"]), files


def _identity(forecaster: Forecaster, seed: int, has_open: bool, fold: Fold) -> Identity:
    return Identity(
        kind="forecaster",
        name=forecaster.name,
        cutoff=fold.cutoff,
        config={
            "recipe": "default",
            "seed": seed,
            "network": dataclasses.asdict(forecaster.config),
            "channels": list(forecaster.channels),
            "execution": "open" if has_open else "close",
            "training_years": FORECAST_TRAINING_YEARS,
            "horizon": targets.HORIZON,
            "context": inputs.CONTEXT,
            "min_observed": inputs.MIN_OBSERVED,
            "half_life": inputs.HALF_LIFE,
            "warm_up": inputs.WARM_UP,
            "clip": inputs.CLIP,
            "min_cross_section": inputs.MIN_CROSS_SECTION,
        },
        data=fold.prices.digest(),
    )
