"""How often the best in sample is below the median out of sample: the probability of backtest overfitting.

Combinatorially symmetric cross-validation (Bailey, Borwein, Lopez de Prado and Zhu 2017): the weeks are cut into an
even number of spells, and every half of the spells chooses once while the other half judges.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from allocator_pipeline.config import WEEKS_PER_YEAR
from allocator_pipeline.errors import NotEnoughDataError, WeightsError

SPELLS = 16
"""12,870 halves; the paper's choice."""


def overfitting_probability(returns: ArrayLike, spells: int = SPELLS) -> dict[str, Any]:
    """Compute the probability of backtest overfitting of a choice among columns.

    Parameters
    ----------
    returns : array_like of float, shape (T, N)
        Weekly simple net returns of the same weeks, one column for each recipe and seed; N >= 2. The first ``T mod
        spells`` weeks are left out, so that all spells are of one length.
    spells : int
        Even, at least 2; each needs two weeks or more.

    Returns
    -------
    dict
        ``probability`` (share of halves whose best column ranks at or below the median in the other half), ``by_luck``
        (what it would be on average if no column had an edge: 1/2 of an even number of columns, (N + 1) / 2N of an odd
        one, in which the median column counts), ``logit``
        (mean of ``log(w / (1 - w))``, w the relative rank; positive is good), ``in_sample`` and ``out_of_sample`` (mean
        annualised Sharpe ratio of the chosen column in its own half and in the other), ``loss_probability`` (share of
        halves whose chosen column has a negative Sharpe ratio in the other), ``columns``, ``splits`` and ``weeks``.

    Raises
    ------
    NotEnoughDataError
        If there are too few weeks or columns.
    WeightsError
        If a return is not finite or the number of spells is odd.
    """
    matrix = np.asarray(returns, dtype=np.float64)
    if matrix.ndim != 2 or not np.isfinite(matrix).all() or spells < 2 or spells % 2:
        raise WeightsError(
            f"Returns of shape {matrix.shape} in {spells} spells cannot be cross-validated.",
            todo="pass a finite matrix of weeks x columns and an even number of spells.",
        )
    length = len(matrix) // spells
    if length < 2 or matrix.shape[1] < 2:
        raise NotEnoughDataError(
            f"{matrix.shape[0]} weeks of {matrix.shape[1]} column(s) are too few.",
            todo=f"pass two columns or more and {2 * spells} weeks or more.",
        )
    parts = matrix[len(matrix) - length * spells :].reshape(spells, length, -1)
    chosen = itertools.combinations(range(spells), spells // 2)
    halves = np.array([[spell in half for spell in range(spells)] for half in chosen])
    chosen_by, judged_by = _sharpe(parts, halves), _sharpe(parts, ~halves)
    best = chosen_by.argmax(axis=1)
    rows = np.arange(len(halves))
    outcome = judged_by[rows, best]
    below, tied = (judged_by < outcome[:, None]).sum(axis=1), (judged_by == outcome[:, None]).sum(axis=1)
    rank = (below + 0.5 * (tied + 1)) / (matrix.shape[1] + 1)
    return {
        "probability": float((rank <= 0.5).mean()),
        "by_luck": (matrix.shape[1] + 1) // 2 / matrix.shape[1],
        "logit": float(np.log(rank / (1 - rank)).mean()),
        "in_sample": float(chosen_by[rows, best].mean()),
        "out_of_sample": float(outcome.mean()),
        "loss_probability": float((outcome < 0).mean()),
        "columns": matrix.shape[1],
        "splits": len(halves),
        "weeks": length * spells,
    }


def _sharpe(parts: np.ndarray, halves: np.ndarray) -> np.ndarray:
    """Return the annualised Sharpe ratio of each column in each half, shape (splits, N), from the spells' sums."""
    count = parts.shape[1] * halves.shape[1] // 2
    picked = halves.astype(np.float64)
    centre = parts.mean(axis=(0, 1))  # squares of what is centred lose fewer digits
    shifted = picked @ (parts - centre).sum(axis=1) / count
    squares = picked @ ((parts - centre) ** 2).sum(axis=1) / count
    deviation = np.sqrt(np.maximum(squares - shifted**2, 0.0) * count / (count - 1))
    varies = deviation > 1e-12
    return np.where(varies, math.sqrt(WEEKS_PER_YEAR) * (shifted + centre) / np.where(varies, deviation, 1.0), 0.0)
