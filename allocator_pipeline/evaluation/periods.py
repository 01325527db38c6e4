"""One walk cut in time: calendar years, and windows of a year that move week by week."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from allocator_pipeline.config import WEEKS_PER_YEAR
from allocator_pipeline.evaluation.metrics import drawdowns, sharpe_ratio, wealth
from allocator_pipeline.portfolio.rollout import Rollout

QUARTER = 13
"""Weeks."""

NORMAL_95 = 1.96
"""Standard errors on either side of a 95 % interval."""


def rolling_sharpe(net: np.ndarray, window: int = WEEKS_PER_YEAR) -> np.ndarray:
    """Return the annualised Sharpe ratio of each ``window`` successive weeks, shape (T - window + 1,).

    The first value belongs to week ``window - 1``, the last of its weeks; empty where there are fewer weeks.
    """
    if len(net) < window:
        return np.empty(0)
    return sharpe_ratio(np.lib.stride_tricks.sliding_window_view(net, window))


def rolling_interval(sharpe: np.ndarray, window: int = WEEKS_PER_YEAR) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the 95 % interval of such Sharpe ratios (Lo 2002, independent normal weeks)."""
    error = np.sqrt(WEEKS_PER_YEAR / window * (1 + sharpe**2 / WEEKS_PER_YEAR / 2))
    return sharpe - NORMAL_95 * error, sharpe + NORMAL_95 * error


def smoothed_turnover(turnover: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return the mean turnover of each quarter that ends in a week; of all weeks where there are fewer than 13."""
    window = min(QUARTER, len(turnover))
    return np.convolve(turnover, np.ones(window) / window, mode="valid")


def calendar_years(years: np.ndarray, run: Rollout, others: Mapping[str, Rollout]) -> list[dict[str, Any]]:
    """Return what each calendar year was worth.

    Parameters
    ----------
    years : ndarray of int, shape (T,)
        Year of each week.
    run : Rollout
    others : mapping of str to Rollout
        What to compare with, over the same weeks.

    Returns
    -------
    list of dict
        For each year, in order: ``year``, ``return`` (of the year's weeks, a fraction, net), ``sharpe`` (annualised; 0
        for a single week), ``max_drawdown`` (from the year's start or later, a fraction, 0 or negative), ``turnover``
        (mean a week, one-way), ``costs`` (sum, a fraction of wealth) and ``returns`` (that of each other walk).
    """
    rows = []
    for year in np.unique(years):
        chosen = years == year
        net = run.net[chosen]
        rows.append(
            {
                "year": int(year),
                "return": float(wealth(net)[-1] - 1.0),
                "sharpe": float(sharpe_ratio(net)) if len(net) > 1 else 0.0,
                "max_drawdown": float(drawdowns(net).min()),
                "turnover": float(run.turnover[chosen].mean()),
                "costs": float(run.cost[chosen].sum()),
                "returns": {name: float(wealth(other.net[chosen])[-1] - 1.0) for name, other in others.items()},
            }
        )
    return rows
