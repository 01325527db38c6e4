"""Whether two Sharpe ratios differ: the studentised bootstrap of Ledoit and Wolf (2008).

The difference is divided by its standard error in the data and in every bootstrap sample, which makes the test keep its
size with fewer weeks than a plain bootstrap needs. In the data the standard error allows for dependent weeks
(`hac.standard_error`; the paper prefers another kernel, the Bartlett one serves everything here); in a sample of
blocks, where dependence ends with a block, it is that of the blocks' sums.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from allocator_pipeline.config import WEEKS_PER_YEAR
from allocator_pipeline.evaluation.hac import standard_error
from allocator_pipeline.evaluation.metrics import sharpe_ratio
from allocator_pipeline.evaluation.significance import (
    DRAWS,
    SEED,
    block_length,
    checked_returns,
    resampled_weeks,
    sharpe_influence,
)

_NO_ERROR = 1e-12
"""Standard errors below this are rounding."""


def sharpe_test(net: ArrayLike, other: ArrayLike, *, draws: int = DRAWS, seed: int = SEED) -> dict[str, Any]:
    """Test whether two annualised Sharpe ratios, earned over the same weeks, are equal.

    Parameters
    ----------
    net, other : array_like of float, shape (T,)
        Weekly simple net returns of the same weeks, T >= 26.
    draws : int
        Bootstrap samples, in circular blocks of equal length.
    seed : int
        Equal seeds and returns give equal results.

    Returns
    -------
    dict
        ``estimate`` (per root year, of ``net`` less that of ``other``), ``standard_error`` (the same unit), ``t``,
        ``p_value`` (two-sided, from 1 / (draws + 1) to 1), ``block_weeks`` and ``draws``. Series that do not differ
        have t 0 and p 1.

    Raises
    ------
    NotEnoughDataError
        If there are fewer than 26 weeks.
    WeightsError
        If a return is not finite or the lengths differ.
    """
    first, second = checked_returns(net, other)
    stream = sharpe_influence(first) - sharpe_influence(second)
    estimate = float(sharpe_ratio(first) - sharpe_ratio(second))
    error = float(np.sqrt(WEEKS_PER_YEAR) * standard_error(stream))
    block = block_length(stream, "circular")
    t, p_value = 0.0, 1.0
    if error > _NO_ERROR:
        t = estimate / error
        picks = resampled_weeks(len(stream), block, draws, seed, "circular")
        drawn = _studentised(first[picks], second[picks], estimate, block)
        p_value = float((1 + np.count_nonzero(drawn >= abs(t))) / (draws + 1))
    return {
        "estimate": estimate,
        "standard_error": error,
        "t": t,
        "p_value": p_value,
        "block_weeks": block,
        "draws": draws,
    }


def _studentised(first: np.ndarray, second: np.ndarray, estimate: float, block: int) -> np.ndarray:
    """Return how far each sample's difference lies from the estimate, in its own standard errors (equation 9)."""
    draws, weeks = first.shape
    blocks = weeks // block
    stream = sharpe_influence(first) - sharpe_influence(second)
    sums = stream[:, : blocks * block].reshape(draws, blocks, block).sum(axis=2)
    error = np.sqrt(WEEKS_PER_YEAR * (sums**2).mean(axis=1) / block / weeks)
    moved = np.abs(sharpe_ratio(first) - sharpe_ratio(second) - estimate)
    return moved / np.maximum(error, _NO_ERROR)
