"""What one year's model is fitted on: five years of days, their inputs, and targets that all exit in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from allocator_pipeline.config import FORECAST_TRAINING_YEARS, N_STOCKS
from allocator_pipeline.errors import NotEnoughDataError
from allocator_pipeline.forecasters import inputs, panel, targets
from allocator_pipeline.forecasters.channels import fields_of
from allocator_pipeline.market import calendar

MIN_TRAINING_DAYS = 1000
"""Days with targets that a fold needs: nearly four of the five years, so that a source may start late in its first."""


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


def training_fold(year: int, prices: pd.DataFrame, has_open: bool, channels: Sequence[str]) -> Fold:
    """Build what the model of a year is fitted on.

    Parameters
    ----------
    year : int
        The year the model will speak about.
    prices : DataFrame
        As `schemas.PRICES`; only the bars of year - 6 to the first decision of ``year`` are read.
    has_open : bool
        Whether weeks execute at the open.
    channels : sequence of str
        What the forecaster reads.

    Returns
    -------
    Fold
        Its decision days lie in the five years before the first decision of ``year``; no exit lies after that decision.

    Raises
    ------
    NotEnoughDataError
        If fewer than `MIN_TRAINING_DAYS` days or 15 symbols hold targets.
    """
    prices_panel = panel.price_panel(panel.training_bars(prices, year), has_open, fields=fields_of(channels))
    features = inputs.build_inputs(prices_panel, channels)
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
