"""Other ways to admissible weights, for comparison with `portfolio.constraints.project`.

All map (N, 16) to (N, 16), CASH last: ``0 <= w <= cap`` for stocks, ``w_cash >= buffer``, sum 1.
"""

from __future__ import annotations

import numpy as np

from allocator_pipeline.config import CostConfig

HALVINGS = 60
"""Of an interval at most 750 wide: it ends below 1e-15."""


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return shares that sum to 1."""
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def euclidean(points: np.ndarray, costs: CostConfig) -> np.ndarray:
    """Return the nearest admissible weights by Euclidean distance, exactly.

    ``w_i = clip(y_i - tau, 0, cap)`` and ``w_cash = max(y_cash - tau, buffer)``; their sum falls with tau along
    straight lines between 31 breakpoints, which are sorted (Wang & Carreira-Perpinan 2013, arXiv:1309.1541, with caps).

    Parameters
    ----------
    points : ndarray of float64, shape (N, 16)
    costs : CostConfig
    """
    cap, buffer = costs.max_position_weight, costs.cash_buffer
    stocks, cash = points[:, :-1], points[:, -1:]
    breaks = np.concatenate([stocks - cap, stocks, cash - buffer], axis=1)
    bends = np.concatenate([-np.ones_like(stocks), np.ones_like(stocks), np.ones_like(cash)], axis=1)
    order = np.argsort(breaks, axis=1)
    breaks = np.take_along_axis(breaks, order, axis=1)
    slopes = np.cumsum(np.take_along_axis(bends, order, axis=1), axis=1) - 1.0  # after each break; before: cash alone
    sums = np.empty_like(breaks)
    sums[:, 0] = _euclidean_weights(points, breaks[:, :1], costs).sum(axis=1)
    sums[:, 1:] = sums[:, :1] + np.cumsum(slopes[:, :-1] * np.diff(breaks, axis=1), axis=1)
    last = np.maximum((sums >= 1.0).sum(axis=1, keepdims=True) - 1, 0)  # the sum crosses 1 after this break
    at, slope = np.take_along_axis(breaks, last, axis=1), np.take_along_axis(slopes, last, axis=1)
    total = np.take_along_axis(sums, last, axis=1)
    before = total < 1.0  # even at the first break the sum is too small: the line before it, of slope -1
    tau = at + (total - 1.0) / np.where(before, 1.0, -slope)
    return _euclidean_weights(points, tau, costs)


def euclidean_by_bisection(points: np.ndarray, costs: CostConfig) -> np.ndarray:
    """Return what `euclidean` returns, by halving the interval in which tau lies."""
    low = points.min(axis=1, keepdims=True) - 1.0  # there every stock is at its cap
    high = points.max(axis=1, keepdims=True)  # there only the cash buffer is left
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        too_much = _euclidean_weights(points, middle, costs).sum(axis=1, keepdims=True) > 1.0
        low, high = np.where(too_much, middle, low), np.where(too_much, high, middle)
    return _euclidean_weights(points, 0.5 * (low + high), costs)


def _euclidean_weights(points: np.ndarray, tau: np.ndarray, costs: CostConfig) -> np.ndarray:
    weights = np.maximum(points - tau, 0.0)
    np.minimum(weights[:, :-1], costs.max_position_weight, out=weights[:, :-1])
    np.maximum(weights[:, -1], costs.cash_buffer, out=weights[:, -1])
    return weights


def kullback_leibler_by_bisection(logits: np.ndarray, costs: CostConfig) -> np.ndarray:
    """Return what `portfolio.constraints.project` returns, by halving the interval in which log c lies."""
    low = np.log(costs.cash_buffer) - logits.max(axis=1, keepdims=True) - np.log(logits.shape[1])
    high = np.maximum(np.log(costs.max_position_weight) - logits.min(axis=1, keepdims=True), low)
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        too_much = _shared(logits, middle, costs).sum(axis=1, keepdims=True) > 1.0
        low, high = np.where(too_much, low, middle), np.where(too_much, middle, high)
    return _shared(logits, 0.5 * (low + high), costs)


def _shared(logits: np.ndarray, log_scale: np.ndarray, costs: CostConfig) -> np.ndarray:
    weights = np.exp(np.minimum(logits + log_scale, 1.0))  # beyond 1 the sum is too great anyway
    np.minimum(weights[:, :-1], costs.max_position_weight, out=weights[:, :-1])
    np.maximum(weights[:, -1], costs.cash_buffer, out=weights[:, -1])
    return weights
