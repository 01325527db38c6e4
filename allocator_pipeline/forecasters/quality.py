"""How good forecasts were, once the weeks have paid: error, sign, and rank correlation, with their counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from allocator_pipeline.errors import MarketDataError

MIN_STOCKS = 5
"""Weeks with fewer known returns have no rank correlation."""


def rank_ic(forecasts: np.ndarray, returns: np.ndarray) -> np.ndarray:
    """Return Spearman's correlation of forecasts and returns across stocks, week by week.

    Parameters
    ----------
    forecasts, returns : ndarray of float64, shape (T, N)
        NaN where unknown.

    Returns
    -------
    ndarray of float64, shape (T,)
        NaN for weeks with fewer than `MIN_STOCKS` pairs or where either side is the same for all stocks.
    """
    both = np.isfinite(forecasts) & np.isfinite(returns)
    count = both.sum(axis=1)
    enough = count >= MIN_STOCKS
    left, right = (_centred_ranks(values, both) for values in (forecasts, returns))
    size = np.sqrt((left**2).sum(axis=1) * (right**2).sum(axis=1))
    defined = enough & (size > 0)
    return np.where(defined, (left * right).sum(axis=1) / np.where(defined, size, 1.0), np.nan)


def _centred_ranks(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    ranks = pd.DataFrame(np.where(known, values, np.nan)).rank(axis=1).to_numpy()
    middle = (known.sum(axis=1, keepdims=True) + 1) / 2  # the mean of the ranks 1..n, with ties too
    return np.where(known, ranks - middle, 0.0)


def forecast_quality(forecasts: pd.DataFrame, returns: np.ndarray) -> dict[str, Any]:
    """Measure forecasts against the returns that followed.

    Parameters
    ----------
    forecasts : DataFrame
        As `schemas.FORECASTS`: expected weekly log returns.
    returns : ndarray of float64, shape (T, 15)
        Simple weekly returns in the same weeks and slots; NaN where not known yet.

    Returns
    -------
    dict
        For all weeks: ``forecasts`` (how many have a known return), ``mse``, ``mse_of_zero`` (of always forecasting
        0), ``mse_ratio`` (below 1 beats zero), ``hit_rate`` (share of right signs), ``always_up`` (share of positive
        returns: what a forecaster that only says "up" hits), ``rank_ic`` (mean weekly), ``rank_ic_error`` (its
        standard error) and ``weeks`` (with a rank IC). ``by_year`` holds the same for each year of the weeks' Mondays.
        A number that is not defined is None.

    Raises
    ------
    MarketDataError
        If the returns do not fit the forecasts' weeks and slots.
    """
    table = forecasts.pivot(index="week", columns="slot", values="forecast")
    if table.shape != returns.shape:
        raise MarketDataError(
            f"There are forecasts of {table.shape} weeks and slots, but returns of {returns.shape}.",
            todo="pass the returns of the very weeks and slots that were forecast.",
        )
    predicted, realised = table.to_numpy(dtype=np.float64), np.log1p(returns)
    years = pd.DatetimeIndex(table.index).year.to_numpy()
    summary = _measure(predicted, realised)
    summary["by_year"] = {
        str(year): _measure(predicted[years == year], realised[years == year]) for year in np.unique(years)
    }
    return summary


def _measure(predicted: np.ndarray, realised: np.ndarray) -> dict[str, Any]:
    known = np.isfinite(realised) & np.isfinite(predicted)
    said, came = predicted[known], realised[known]
    ic = rank_ic(predicted, realised)
    ic = ic[np.isfinite(ic)]
    result: dict[str, Any] = {"forecasts": int(known.sum()), "weeks": len(ic)}
    result |= dict.fromkeys(
        ("mse", "mse_of_zero", "mse_ratio", "hit_rate", "always_up", "rank_ic", "rank_ic_error"), None
    )
    if known.any():
        mse, zero = float(((said - came) ** 2).mean()), float((came**2).mean())
        result |= {"mse": mse, "mse_of_zero": zero, "mse_ratio": mse / zero if zero > 0 else None}
        result |= {"hit_rate": float((np.sign(said) == np.sign(came)).mean()), "always_up": float((came > 0).mean())}
    if len(ic):
        result["rank_ic"] = float(ic.mean())
    if len(ic) > 1:
        result["rank_ic_error"] = float(ic.std(ddof=1) / np.sqrt(len(ic)))
    return result
