"""How far chance alone could have moved a compound annual growth rate, or the difference of two.

The stationary bootstrap of `significance`: weeks are redrawn in blocks, for a difference the same weeks on both sides.
The block length is that of the first-order term of the delta method, ``52 (1 + CAGR) log(1 + r)`` less its mean.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from allocator_pipeline.config import WEEKS_PER_YEAR
from allocator_pipeline.evaluation.metrics import cagr
from allocator_pipeline.evaluation.significance import (
    DRAWS,
    SEED,
    block_length,
    checked_returns,
    interval_of_draws,
    resampled_weeks,
)


def cagr_interval(net: ArrayLike, *, draws: int = DRAWS, seed: int = SEED) -> dict[str, Any]:
    """Bootstrap the compound annual growth rate of one series.

    Parameters
    ----------
    net : array_like of float, shape (T,)
        Weekly simple net returns above -1, T >= 26.
    draws : int
        Bootstrap samples.
    seed : int
        Equal seeds and returns give equal intervals.

    Returns
    -------
    dict
        ``estimate``, ``low``, ``high`` (fractions a year), ``level``, ``block_weeks`` and ``draws``.

    Raises
    ------
    NotEnoughDataError
        If there are fewer than 26 weeks.
    WeightsError
        If a return is not finite.
    """
    (series,) = checked_returns(net)
    block = block_length(np.log1p(series))
    picks = resampled_weeks(len(series), block, draws, seed)
    return interval_of_draws(cagr(series), _grown(series, picks), block)


def cagr_difference(net: ArrayLike, other: ArrayLike, *, draws: int = DRAWS, seed: int = SEED) -> dict[str, Any]:
    """Bootstrap the difference of two compound annual growth rates earned over the same weeks, redrawn in pairs.

    Parameters
    ----------
    net, other : array_like of float, shape (T,)
        Weekly simple net returns of the same weeks above -1, T >= 26.
    draws, seed : int
        As of `cagr_interval`.

    Returns
    -------
    dict
        As `cagr_interval`; ``estimate`` is the rate of ``net`` less that of ``other``.

    Raises
    ------
    NotEnoughDataError
        If there are fewer than 26 weeks.
    WeightsError
        If a return is not finite or the lengths differ.
    """
    first, second = checked_returns(net, other)
    mine, theirs = cagr(first), cagr(second)
    block = block_length((1 + mine) * np.log1p(first) - (1 + theirs) * np.log1p(second))
    picks = resampled_weeks(len(first), block, draws, seed)
    return interval_of_draws(mine - theirs, _grown(first, picks) - _grown(second, picks), block)


def _grown(series: np.ndarray, picks: np.ndarray) -> np.ndarray:
    """Return the growth rate of each sample, shape (draws,)."""
    return np.expm1(WEEKS_PER_YEAR * np.log1p(series)[picks].mean(axis=1))
