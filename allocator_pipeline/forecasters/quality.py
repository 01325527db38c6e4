"""How well forecasts ordered the stocks, once the weeks have paid."""

from __future__ import annotations

import numpy as np
import pandas as pd

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
