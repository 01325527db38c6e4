"""Walk-forward forecasts: a model of its own for every year, fitted on the five years before it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors

from allocator_pipeline.artifact import Artifact, Identity
from allocator_pipeline.atomic import canonical_json
from allocator_pipeline.config import FORECAST_TRAINING_YEARS, N_STOCKS
from allocator_pipeline.errors import ConfigurationError, CorruptArtifactError, MarketDataError, NotEnoughDataError
from allocator_pipeline.forecasters import inputs, panel, targets
from allocator_pipeline.forecasters.base import Forecaster, ForecasterConfig
from allocator_pipeline.forecasters.lstm import LSTMForecaster
from allocator_pipeline.forecasters.patchtst import PatchTSTForecaster
from allocator_pipeline.market import calendar

CLASSES: Mapping[str, type[Forecaster]] = {"lstm": LSTMForecaster, "patchtst": PatchTSTForecaster}

MIN_TRAINING_DAYS = 1000
"""Days with targets that a fold needs: nearly four of the five years, so that a source may start late in its first."""

ArtifactLike = Artifact | tuple[Mapping[str, Any], Mapping[str, bytes]]


@dataclass(frozen=True)
class Fold:
    """What one year's model is fitted on.

    Parameters
    ----------
    prices : PricePanel
        All bars up to the year's first decision, with a year before the training years to warm up on.
    inputs : Inputs
    returns : ndarray of float64, shape (T, N)
        Log return of the week each day decides; NaN where it may not be learnt from.
    targets : ndarray of float64, shape (T, N)
        Their cross-sectional ranks; NaN alike.
    """

    prices: panel.PricePanel
    inputs: inputs.Inputs
    returns: np.ndarray
    targets: np.ndarray

    @property
    def days(self) -> np.ndarray:
        """Rows that hold a target."""
        return np.flatnonzero(np.isfinite(self.targets).any(axis=1))

    @property
    def cutoff(self) -> str:
        """ISO date of the last exit a target reads."""
        return str(self.prices.dates[self.days[-1] + targets.EXIT])


def training_fold(year: int, prices: pd.DataFrame, has_open: bool) -> Fold:
    """Build what the model of a year is fitted on.

    Parameters
    ----------
    year : int
        The year the model will speak about.
    prices : DataFrame
        As `schemas.PRICES`; only the bars of year - 6 to the first decision of ``year`` are read.
    has_open : bool
        Whether weeks execute at the open.

    Returns
    -------
    Fold
        Its decision days lie in the five years before the first decision of ``year``, its exits not after that decision.

    Raises
    ------
    NotEnoughDataError
        If fewer than `MIN_TRAINING_DAYS` days or 15 symbols hold targets.
    """
    prices_panel = panel.price_panel(panel.training_bars(prices, year), has_open)
    features = inputs.build_inputs(prices_panel.close)
    first = calendar.first_decision_of_year(year) - pd.DateOffset(years=FORECAST_TRAINING_YEARS)
    learnt = features.usable & (prices_panel.dates >= np.datetime64(first, "D"))[:, None]
    returns = np.where(learnt, targets.weekly_returns(prices_panel.execution), np.nan)
    fold = Fold(prices_panel, features, returns, targets.rank_targets(returns))
    symbols = int(np.isfinite(fold.targets).any(axis=0).sum())
    if len(fold.days) < MIN_TRAINING_DAYS or symbols < N_STOCKS:
        raise NotEnoughDataError(
            f"The forecaster of {year} has targets on {len(fold.days)} days of {symbols} symbols before its first "
            f"decision, fewer than {MIN_TRAINING_DAYS} days or {N_STOCKS} symbols.",
            todo=f"materialise the prices of {year - FORECAST_TRAINING_YEARS} to {year}, or start at a later year.",
        )
    return fold


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
    return _identity(_new(name, config), seed, has_open, training_fold(year, prices, has_open))


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
    forecaster = _new(name, config)
    fold = training_fold(year, prices, has_open)
    identity = _identity(forecaster, seed, has_open, fold)
    say = None if progress is None else (lambda line: progress(f"{year} {line}"))
    forecaster.fit(fold.inputs.relative, fold.targets, seed, say)
    calibration = calibrate(forecaster.scores(fold.inputs.relative), fold)
    description = {
        "forecaster": name,
        "config": dataclasses.asdict(forecaster.config),
        "symbols": list(fold.prices.symbols),
        **calibration,
    }
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
    files = {
        "model.safetensors": save_safetensors(forecaster.tensors()),
        "model.json": canonical_json(description),
    }
    return Artifact(identity, files, facts)


def calibrate(scores: np.ndarray, fold: Fold) -> dict[str, float]:
    """Fit the map from scores to expected weekly log returns by least squares on the training fold.

    Parameters
    ----------
    scores : ndarray of float64, shape (T, N)
        In-sample scores; NaN where there are none.
    fold : Fold

    Returns
    -------
    dict
        ``intercept``, the pooled mean weekly log return, and ``slope``, which multiplies weekly volatility times score
        (both relative to the day's cross-section, so that the market's own moves do not blur it).
    """
    unit = scores * fold.inputs.sigma * np.sqrt(targets.HORIZON)
    both = np.isfinite(unit) & np.isfinite(fold.returns)
    explained, _ = inputs.demean(np.where(both, unit, np.nan))
    wanted, _ = inputs.demean(np.where(both, fold.returns, np.nan))
    power = float((explained**2).sum())
    return {
        "intercept": float(fold.returns[both].mean()),
        "slope": float((explained * wanted).sum() / power) if power > 0 else 0.0,
    }


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
    _check_context(features, rows, columns, weeks, stocks)
    values = np.empty((len(weeks), len(stocks)))
    for k, row in enumerate(rows):
        # one week at a time: the same shapes, so the same bits, however much of the year is there
        window = features.relative[row + 1 - forecaster.config.chunk : row + 1, columns].T
        unit = forecaster.predict(window) * features.sigma[row, columns] * np.sqrt(targets.HORIZON)
        values[k] = description["intercept"] + description["slope"] * unit
    return pd.DataFrame(
        {
            "week": np.repeat(weeks["week"].to_numpy(), len(stocks)),
            "decision_at": weeks["decision_at"].repeat(len(stocks)).reset_index(drop=True),
            "slot": np.tile(np.arange(len(stocks), dtype=np.int64), len(weeks)),
            "symbol": pd.Series(np.tile(np.array(stocks, dtype=object), len(weeks)), dtype="str"),
            "forecast": values.ravel(),
            "forecaster": pd.Series([name] * values.size, dtype="str"),
            "model_version": pd.Series([version] * values.size, dtype="str"),
        }
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


def load_forecaster(name: str, files: Mapping[str, bytes]) -> tuple[Forecaster, dict[str, Any]]:
    """Rebuild a fitted forecaster from its files.

    Parameters
    ----------
    name : {"lstm", "patchtst"}
    files : mapping of str to bytes
        ``model.safetensors`` and ``model.json``.

    Returns
    -------
    tuple of (Forecaster, dict)
        The forecaster and the content of ``model.json``.

    Raises
    ------
    CorruptArtifactError
        If a file is absent, unreadable, or not what the network expects.
    """
    try:
        description = json.loads(files["model.json"])
        if description["forecaster"] != name:
            raise ValueError(f"it is a {description['forecaster']!r} model")
        if not all(isinstance(symbol, str) for symbol in description["symbols"]):
            raise ValueError("its symbols are not names")
        if not np.isfinite([description["intercept"], description["slope"]]).all():
            raise ValueError("its calibration is not finite")
        config = CLASSES[name].config_type(**description["config"])
        tensors = load_safetensors(files["model.safetensors"])
        return CLASSES[name](config).load(tensors), description
    except CorruptArtifactError:
        raise
    except Exception as error:  # json, safetensors and torch raise their own types for every kind of damage
        raise CorruptArtifactError(
            f"These files are not a {name} forecaster: {error!r}.", todo="materialise the forecasts again."
        ) from error


def _parts(artifact: ArtifactLike) -> tuple[str, str, Mapping[str, bytes]]:
    if isinstance(artifact, Artifact):
        return artifact.name, artifact.version, artifact.files
    manifest, files = artifact
    return str(manifest["name"]), str(manifest["version"]), files


def _new(name: str, config: ForecasterConfig | None) -> Forecaster:
    if name not in CLASSES:
        raise ConfigurationError(f"There is no forecaster {name!r}.", todo=f"use one of {', '.join(CLASSES)}.")
    return CLASSES[name](CLASSES[name].config_type() if config is None else config)


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
