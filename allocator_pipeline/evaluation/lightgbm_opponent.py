"""LightGBM as an opponent of the forecasters (Ke et al. 2017): gradient-boosted trees on the last 60 days.

It reads what the networks read of closes and learns what they learn, walked forward over the same folds; its scores
become returns and quantiles by the same calibration. It is judged, never used: no state holds its forecasts. The
library is optional (``pip install 'allocator_pipeline[panel]'``).
"""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pandas as pd

from allocator_pipeline.artifact import Identity
from allocator_pipeline.config import QUANTILES
from allocator_pipeline.features.panel import decidable_weeks
from allocator_pipeline.forecasters import inputs, panel, targets
from allocator_pipeline.forecasters.calibration import Calibration
from allocator_pipeline.forecasters.channels import fields_of
from allocator_pipeline.forecasters.fold import training_fold

NAME = "lightgbm"

CHANNELS = ("return", "return_20", "return_60", "return_252")
"""The daily return, of which it reads 60 days, and slow ones, of which it reads the last."""

NOT_INSTALLED = "the library is not installed (pip install 'allocator_pipeline[panel]')."

WAS_NOT_INSTALLED = "the library was not installed when its forecasts were made: materialise opponent_forecasts again."

PARAMETERS: dict[str, Any] = {
    "objective": "regression",
    "n_estimators": 100,
    "learning_rate": 0.03,
    "num_leaves": 8,  # shallow trees: the signal, if any, is weak and nearly linear
    "min_child_samples": 200,
    "subsample": 0.5,
    "subsample_freq": 1,
    "colsample_bytree": 0.5,
    "reg_lambda": 10.0,
    "random_state": 0,
    "deterministic": True,
    "force_col_wise": True,
    "n_jobs": 1,
    "verbosity": -1,
}
"""Hyperparameters of LightGBM's scikit-learn interface, small trees and slow steps; never tuned on real returns."""


def installed() -> bool:
    """Tell whether the library is there."""
    return importlib.util.find_spec("lightgbm") is not None


def opponent_forecasts(year: int, prices: pd.DataFrame, universe: pd.DataFrame, has_open: bool) -> pd.DataFrame:
    """Fit on the five years before a year's first decision and forecast the year's decidable weeks.

    Parameters
    ----------
    year : int
    prices : DataFrame
        `schemas.PRICES` of ``year - 6`` to ``year``; week by week only bars up to the decision session are read.
    universe : DataFrame
        `schemas.UNIVERSE` of the year.
    has_open : bool
        Whether weeks execute at the open.

    Returns
    -------
    DataFrame
        As `schemas.FORECASTS`, by week and slot; NaN without enough past days.

    Raises
    ------
    NotEnoughDataError
        As `fold.training_fold`.
    """
    fold = training_fold(year, prices, has_open, CHANNELS)
    read = _features(fold.inputs.values)
    learnt = np.isfinite(fold.targets) & np.isfinite(read).all(axis=2)
    model = _fitted(read, fold.targets, learnt)
    calibration = Calibration.fit(_unseen_scores(read, fold.targets, learnt), fold)

    stocks = universe.sort_values("slot")["symbol"].astype(str).tolist()
    bars = panel.bars_between(prices, panel.warm_up_start(year), pd.Timestamp(year, 12, 31))
    # The cross-section is that of the fold, as it is for the networks: a later listing changes nothing.
    known = panel.price_panel(bars, False, [*fold.prices.symbols, *stocks], fields_of(CHANNELS))
    features = inputs.build_inputs(known, CHANNELS)
    weeks = decidable_weeks(year, bars["date"].max())
    rows = np.searchsorted(known.dates, weeks["decision_session"].to_numpy().astype("datetime64[D]"))
    at = np.ix_(rows, np.array([known.symbols.index(stock) for stock in stocks]))
    usable = features.usable[at] & np.isfinite(features.sigma[at])
    values = np.full((*usable.shape, 1 + len(QUANTILES)), np.nan)
    sigma = features.sigma[at][usable]
    values[usable, 0] = calibration.expected(_predict(model, _features(features.values)[at][usable]), sigma)
    values[usable, 1:] = calibration.spread(sigma)
    version = Identity("forecaster", NAME, fold.cutoff, dict(PARAMETERS), fold.prices.digest()).version
    return forecast_table(weeks, stocks, values, NAME, version)


def forecast_table(
    weeks: pd.DataFrame, stocks: list[str], values: np.ndarray, forecaster: str, version: str
) -> pd.DataFrame:
    """Return forecasts and their quantiles, shape (T, 15, 8), as a table by week and slot (`schemas.FORECASTS`)."""
    table = weeks[["week", "decision_at"]].iloc[np.repeat(np.arange(len(weeks)), len(stocks))].reset_index(drop=True)
    flat = values.reshape(-1, values.shape[-1]).T
    return table.assign(
        slot=np.tile(np.arange(len(stocks), dtype=np.int64), len(weeks)),
        symbol=pd.Series(stocks * len(weeks), dtype="str"),
        **dict(zip(("forecast", *QUANTILES), flat, strict=True)),
        forecaster=pd.Series([forecaster] * len(flat[0]), dtype="str"),
        model_version=pd.Series([version] * len(flat[0]), dtype="str"),
    )


def _features(values: np.ndarray) -> np.ndarray:
    """Return the last 60 daily returns and the slow channels of inputs (T, N, C), shape (T, N, 60 + C - 1).

    NaN in the first days, which have no context.
    """
    daily, slow = values[..., 0], values[..., 1:]
    padded = np.concatenate([np.full((inputs.CONTEXT - 1, daily.shape[1]), np.nan, daily.dtype), daily])
    windows = np.lib.stride_tricks.sliding_window_view(padded, inputs.CONTEXT, axis=0)
    return np.concatenate([windows, slow], axis=2)


def _fitted(read: np.ndarray, wanted: np.ndarray, learnt: np.ndarray) -> Any:
    from lightgbm import LGBMRegressor

    return LGBMRegressor(**PARAMETERS).fit(read[learnt], wanted[learnt])


def _unseen_scores(read: np.ndarray, wanted: np.ndarray, learnt: np.ndarray) -> np.ndarray:
    """Score each half of the days by a model of the other half, shape (T, N).

    Trees fit what they have seen far too well for the size of a forecast to be read off it.
    """
    days = np.flatnonzero(learnt.any(axis=1))
    middle = days[len(days) // 2]
    scores = np.full(wanted.shape, np.nan)
    day = np.arange(len(wanted))[:, None]
    early, late = learnt & (day < middle - targets.EXIT), learnt & (day >= middle)  # no exit of one lies in the other
    for seen, unseen in ((early, late), (late, early)):
        scores[unseen] = _predict(_fitted(read, wanted, seen), read[unseen])
    return scores


def _predict(model: Any, windows: np.ndarray) -> np.ndarray:
    # the booster itself: the scikit-learn wrapper warns about feature names that arrays do not have
    return np.asarray(model.booster_.predict(windows, num_threads=1), dtype=np.float64)
