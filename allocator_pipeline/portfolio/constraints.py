"""The constraint map: from 16 logits to weights that are long only, capped and keep the cash buffer, exactly.

The map is the Kullback-Leibler projection of ``softmax(logits)``: ``w_i = min(c p_i, cap)`` for stocks and
``w_cash = max(c p_cash, buffer)``, with the one ``c`` that makes the sum 1 (water-filling). Cash has no cap. The usual
shortcut, clipping and renormalising once, breaks its own cap for most random logits.
"""

from __future__ import annotations

import numpy as np

from allocator_pipeline.config import N_STOCKS, CostConfig
from allocator_pipeline.errors import WeightsError

N_ASSETS = N_STOCKS + 1

_TOLERANCE = 1e-9
_MAX_EXPONENT = 700.0  # exp beyond it overflows; any share is capped long before


def project(logits: np.ndarray, costs: CostConfig) -> np.ndarray:
    """Map logits to the nearest admissible weights.

    Parameters
    ----------
    logits : ndarray, shape (N, 16) or (16,)
        One row per portfolio, CASH last. Any finite numbers; the logarithm of admissible weights is a fixed point.
    costs : CostConfig
        Its ``cash_buffer`` and ``max_position_weight``.

    Returns
    -------
    ndarray of float64, same shape
        ``0 <= w <= cap`` for stocks, ``w_cash >= buffer``, sum 1.

    Raises
    ------
    WeightsError
        If a logit is NaN or infinite, or the last axis is not 16 long.
    """
    logits = np.asarray(logits, dtype=np.float64)
    if logits.ndim == 0 or logits.shape[-1] != N_ASSETS:
        raise WeightsError(f"Logits have shape {logits.shape}.", todo="give 15 stocks and CASH on the last axis.")
    if not np.isfinite(logits).all():
        raise WeightsError(
            "Logits are not finite.", todo="the policy diverged: train it again with a lower learning rate."
        )
    rows = logits.reshape(-1, N_ASSETS)
    cap, buffer = costs.max_position_weight, costs.cash_buffer
    with np.errstate(over="ignore", under="ignore"):
        # Are the stocks' shares too much at the scale that gives cash exactly its buffer? Then the buffer binds.
        relative = np.exp(np.minimum(rows[:, :-1] - rows[:, -1:], _MAX_EXPONENT))
        stocks = np.minimum(buffer * relative, cap).sum(axis=1)
        binds = stocks > (1.0 - buffer) * (1.0 + 1e-12)
        free = np.ones(rows.shape, dtype=bool)
        free[:, -1] = ~binds
        weights = _fill(rows, free, np.where(binds, 1.0 - buffer, 1.0), cap)
    np.maximum(weights[:, -1], buffer, out=weights[:, -1])
    return weights.reshape(logits.shape)


def _fill(logits: np.ndarray, free: np.ndarray, budget: np.ndarray, cap: float) -> np.ndarray:
    """Share a budget among the free assets by softmax; what exceeds the cap is capped and the rest shared again.

    Capping only ever raises the other shares, so a capped stock stays capped and at most 1 / cap rounds are needed.
    Each round takes its own maximum: the rest keeps full precision however far below the capped ones it lies.
    """
    rest = np.where(free, logits, -np.inf)
    shares = np.exp(rest - _row_max(rest))
    shares *= (budget / shares.sum(axis=1))[:, None]
    over = shares[:, :-1] > cap
    rows = np.flatnonzero(over.any(axis=1))
    if rows.size:
        capped = np.zeros((rows.size, N_ASSETS), dtype=bool)
        capped[:, :-1] = over[rows]
        rest_of_budget = budget[rows] - cap * capped.sum(axis=1)
        shares[rows] = np.where(capped, cap, _fill(logits[rows], free[rows] & ~capped, rest_of_budget, cap))
    return shares


def _row_max(values: np.ndarray) -> np.ndarray:
    """Return the greatest of each 16, shape (N, 1), by halves: faster than numpy's reduction of short rows."""
    while values.shape[1] > 1:
        half = values.shape[1] // 2
        values = np.maximum(values[:, :half], values[:, half:])
    return values


def logits_near(weights: np.ndarray, near: np.ndarray, costs: CostConfig) -> np.ndarray:
    """Return logits that `project` maps to admissible weights, as near to others as those allow.

    The weights fix logits up to a constant; it is the one that brings the free assets nearest (least squares, by
    weight). A stock at its cap bounds its logit from below only, cash at its buffer from above only: within that bound
    they are those given.

    Parameters
    ----------
    weights : ndarray, shape (16,)
        Admissible, CASH last.
    near : ndarray, shape (..., 16)
        Finite.
    costs : CostConfig

    Returns
    -------
    ndarray of float64, shape (..., 16)
        Of a weight of 0 it is the logarithm of next to nothing.
    """
    fixed = weights >= costs.max_position_weight - _TOLERANCE
    fixed[-1] = weights[-1] <= costs.cash_buffer + _TOLERANCE
    mass = np.where(fixed, 0.0, weights)
    mass = mass if mass.sum() > 0.0 else weights
    found = np.log(np.maximum(weights, np.finfo(np.float64).tiny))
    logits = found + ((near - found) * mass).sum(axis=-1, keepdims=True) / mass.sum()
    stocks, cash = logits[..., :-1], logits[..., -1:]
    free = np.concatenate([np.maximum(stocks, near[..., :-1]), np.minimum(cash, near[..., -1:])], axis=-1)
    return np.where(fixed, free, logits)


def check_weights(weights: np.ndarray, costs: CostConfig) -> np.ndarray:
    """Return weights unchanged if they satisfy every constraint to 1e-9.

    Parameters
    ----------
    weights : ndarray, shape (N, 16) or (16,)
        CASH last.
    costs : CostConfig

    Returns
    -------
    ndarray of float64, same shape

    Raises
    ------
    WeightsError
        Naming the first constraint that is broken and by how much. Finiteness is checked first, for NaN passes every
        comparison.
    """
    weights = np.asarray(weights, dtype=np.float64)
    if weights.ndim == 0 or weights.shape[-1] != N_ASSETS:
        raise WeightsError(f"Weights have shape {weights.shape}.", todo="give 15 stocks and CASH on the last axis.")
    if not np.isfinite(weights).all():
        raise WeightsError("Weights are not finite.", todo="look at the allocator that made them.")
    cap, buffer = costs.max_position_weight, costs.cash_buffer
    excess = {
        "a weight is negative": -weights.min(initial=0.0),
        f"a stock exceeds {cap:g}": weights[..., :-1].max(initial=0.0) - cap,
        f"cash is below {buffer:g}": buffer - weights[..., -1].min(initial=1.0),
        "the sum is not 1": np.abs(weights.sum(axis=-1) - 1.0).max(initial=0.0),
    }
    for constraint, amount in excess.items():
        if amount > _TOLERANCE:
            raise WeightsError(
                f"Weights break a constraint: {constraint} (by {amount:.3g}).",
                todo="pass logits through portfolio.constraints.project.",
            )
    return weights


def within_limits(weights: np.ndarray, costs: CostConfig) -> np.ndarray:
    """Return the admissible weights nearest to a portfolio that may break the constraints: `project` of its logarithm.

    Parameters
    ----------
    weights : ndarray, shape (16,)
        At least 0, CASH last. Without cash the stocks make room for the buffer and no more.
    costs : CostConfig

    Returns
    -------
    ndarray of float64, shape (16,)
        What was 0 stays 0 but cash, which takes what the cap leaves.
    """
    floor = np.r_[np.full(N_STOCKS, 1e-300), 1e-200]  # a stock not held stays so even where only cash has room
    limited = project(np.log(np.maximum(weights, floor)), costs)
    limited[:-1][np.asarray(weights)[:-1] <= 0] = 0.0
    return limited


def equal_weights(costs: CostConfig) -> np.ndarray:
    """Return equal weights of the stocks beside the cash buffer, shape (16,); cash takes what the cap leaves."""
    stock = min((1.0 - costs.cash_buffer) / N_STOCKS, costs.max_position_weight)
    weights = np.full(N_ASSETS, stock)
    weights[-1] = max(1.0 - N_STOCKS * stock, costs.cash_buffer)
    return weights


def equal_weight_anchor(costs: CostConfig) -> np.ndarray:
    """Return the logits, shape (16,), that `project` maps to equal weights: a policy adds its tilt to them."""
    if costs.cash_buffer <= 0:
        raise WeightsError("Without a cash buffer the anchor has no logit.", todo="set a cash_buffer above 0.")
    return np.log(equal_weights(costs))
