"""What trading costs: proportional to one-way turnover."""

from __future__ import annotations

import numpy as np

from allocator_pipeline.config import CostConfig


def turnover(target: np.ndarray, held: np.ndarray, left: np.ndarray | float = 0.0) -> np.ndarray:
    """Return half the absolute change of weights over stocks and cash.

    Parameters
    ----------
    target, held : ndarray, shape (..., n)
        Weights wanted, and weights held after last week's returns; CASH among them.
    left : ndarray of shape (...) or float
        Weight held outside these n assets, all of which is sold.

    Returns
    -------
    ndarray, shape (...)
        One-way turnover as a share of wealth, from 0 to 1.
    """
    return 0.5 * (np.abs(target - held).sum(axis=-1) + left)


def trading_cost(traded: np.ndarray | float, costs: CostConfig) -> np.ndarray | float:
    """Return the cost of a turnover, as a share of wealth: ``cost_bps / 10 000 * turnover``."""
    return costs.cost_bps / 10_000.0 * traded
