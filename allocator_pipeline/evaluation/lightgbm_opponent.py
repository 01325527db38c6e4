"""LightGBM as an opponent of the forecasters (Ke et al. 2017): gradient-boosted trees on the last 60 relative returns.

It reads what the networks read and learns what they learn, walked forward over the same folds. It is judged, never
used: no state holds its forecasts. The library is optional (``pip install 'allocator_pipeline[panel]'``).
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
from allocator_pipeline.forecasters.fold import calibrate, training_fold

NAME = "lightgbm"
NOT_INSTALLED = "the library is not installed (pip install 'allocator_pipeline[panel]')."

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
        As `schemas.FORECASTS`, by week and slot; quantiles are NaN, and so is a forecast without enough past days.

    Raises
    ------
    NotEnoughDataError
        As `fold.training_fold`.
    """
    fold = training_fold(year, prices, has_open)
    windows = _windows(fold.inputs.relative)
    learnt = np.isfinite(fold.targets) & np.isfinite(windows).all(axis=2)
    model = _fitted(windows, fold.targets, learnt)
    line = calibrate(_unseen_scores(windows, fold.targets, learnt), fold)

    stocks = universe.sort_values("slot")["symbol"].astype(str).tolist()
    bars = panel.bars_between(prices, panel.warm_up_start(year), pd.Timestamp(year, 12, 31))
    # The cross-section is that of the fold, as it is for the networks: a later listing changes nothing.
    read = panel.price_panel(bars, has_open=False, symbols=[*fold.prices.symbols, *stocks])
    features = inputs.build_inputs(read.close)
    weeks = decidable_weeks(year, bars["date"].max())
    rows = np.searchsorted(read.dates, weeks["decision_session"].to_numpy().astype("datetime64[D]"))
    at = np.ix_(rows, np.array([read.symbols.index(stock) for stock in stocks]))
    usable = features.usable[at] & np.isfinite(features.sigma[at])
    values = np.full(usable.shape, np.nan)
    score = _predict(model, _windows(features.relative)[at][usable])
    values[usable] = line["intercept"] + line["slope"] * features.sigma[at][usable] * np.sqrt(targets.HORIZON) * score
    version = Identity("forecaster", NAME, fold.cutoff, dict(PARAMETERS), fold.prices.digest()).version
    return forecast_table(weeks, stocks, values, NAME, version)


def forecast_table(
    weeks: pd.DataFrame, stocks: list[str], values: np.ndarray, forecaster: str, version: str
) -> pd.DataFrame:
    """Return forecasts, shape (T, 15), as a table by week and slot (`schemas.FORECASTS`), without quantiles."""
    table = weeks[["week", "decision_at"]].iloc[np.repeat(np.arange(len(weeks)), len(stocks))].reset_index(drop=True)
    return table.assign(
        slot=np.tile(np.arange(len(stocks), dtype=np.int64), len(weeks)),
        symbol=pd.Series(stocks * len(weeks), dtype="str"),
        forecast=values.ravel(),
        **dict.fromkeys(QUANTILES, np.nan),
        forecaster=pd.Series([forecaster] * values.size, dtype="str"),
        model_version=pd.Series([version] * values.size, dtype="str"),
    )


def _windows(relative: np.ndarray) -> np.ndarray:
    """Return each day's last `CONTEXT` inputs, shape (T, N, CONTEXT): NaN in the first days, which have no context."""
    padded = np.concatenate([np.full((inputs.CONTEXT - 1, relative.shape[1]), np.nan, relative.dtype), relative])
    return np.lib.stride_tricks.sliding_window_view(padded, inputs.CONTEXT, axis=0)


def _fitted(windows: np.ndarray, wanted: np.ndarray, learnt: np.ndarray) -> Any:
    from lightgbm import LGBMRegressor

    return LGBMRegressor(**PARAMETERS).fit(windows[learnt], wanted[learnt])


def _unseen_scores(windows: np.ndarray, wanted: np.ndarray, learnt: np.ndarray) -> np.ndarray:
    """Score each half of the days by a model of the other half, shape (T, N).

    Trees fit what they have seen far too well for the size of a forecast to be read off it.
    """
    days = np.flatnonzero(learnt.any(axis=1))
    middle = days[len(days) // 2]
    scores = np.full(wanted.shape, np.nan)
    day = np.arange(len(wanted))[:, None]
    early, late = learnt & (day < middle - targets.EXIT), learnt & (day >= middle)  # no exit of one lies in the other
    for seen, unseen in ((early, late), (late, early)):
        scores[unseen] = _predict(_fitted(windows, wanted, seen), windows[unseen])
    return scores


def _predict(model: Any, windows: np.ndarray) -> np.ndarray:
    # the booster itself: the scikit-learn wrapper warns about feature names that arrays do not have
    return np.asarray(model.booster_.predict(windows, num_threads=1), dtype=np.float64)
