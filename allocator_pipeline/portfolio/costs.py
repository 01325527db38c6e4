"""What trading costs: proportional to one-way turnover."""

from __future__ import annotations

from typing import Any

from allocator_pipeline.config import CostConfig


def turnover(target: Any, held: Any, left: Any = 0.0) -> Any:
    """Return half the absolute change of weights over stocks and cash, of numpy arrays or torch tensors.

    Parameters
    ----------
    target, held : array, shape (..., n)
        Weights wanted, and weights held after last week's returns; CASH among them.
    left : array of shape (...) or float
        Weight held outside these n assets, all of which is sold.

    Returns
    -------
    array, shape (...)
        One-way turnover as a share of wealth, from 0 to 1.
    """
    return 0.5 * (abs(target - held).sum(axis=-1) + left)


def trading_cost(traded: Any, costs: CostConfig) -> Any:
    """Return the cost of a turnover, as a share of wealth: ``cost_bps / 10 000 * turnover``."""
    return costs.cost_bps / 10_000.0 * traded
