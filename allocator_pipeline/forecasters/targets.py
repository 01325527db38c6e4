"""What forecasters learn: where a stock's next weekly return ranks among the others'."""

from __future__ import annotations

import numpy as np
import pandas as pd

from allocator_pipeline.forecasters.inputs import HORIZON, MIN_CROSS_SECTION

ENTRY, EXIT = 1, 1 + HORIZON
"""Sessions from a decision to the entry and the exit of the week it decides, of a plain five-session week."""


def weekly_returns(execution: np.ndarray) -> np.ndarray:
    """Return, for every day as if it were a decision, the log return of the week it decides.

    Parameters
    ----------
    execution : ndarray of float64, shape (T, N)
        Execution prices, USD.

    Returns
    -------
    ndarray of float64, shape (T, N)
        ``log(execution[t + 6] / execution[t + 1])``; NaN in the last 6 days and where a price is missing.
    """
    returns = np.full(execution.shape, np.nan)
    if len(execution) > EXIT:
        returns[:-EXIT] = np.log(execution[EXIT:] / execution[ENTRY : ENTRY - EXIT])
    return returns


def rank_targets(returns: np.ndarray) -> np.ndarray:
    """Return the cross-sectional ranks of weekly returns, scaled to mean 0 and variance 1.

    Parameters
    ----------
    returns : ndarray of float64, shape (T, N)
        NaN where unknown.

    Returns
    -------
    ndarray of float64, shape (T, N)
        NaN where the return is, and on days with fewer than `MIN_CROSS_SECTION` returns. Ties share their mean rank.
    """
    ranks = pd.DataFrame(returns).rank(axis=1).to_numpy()
    count = np.isfinite(returns).sum(axis=1, keepdims=True).astype(np.float64)
    count[count < MIN_CROSS_SECTION] = np.nan
    # the ranks 1..n have mean (n + 1) / 2 and variance (n^2 - 1) / 12
    return (ranks - (count + 1) / 2) / np.sqrt((count**2 - 1) / 12)
