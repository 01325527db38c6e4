"""How far chance alone could have moved a Sharpe ratio, the difference of two, or a ratio of sums.

The stationary bootstrap (Politis and Romano 1994) of the `arch` package redraws the weeks in blocks of random length,
so that volatile spells stay together. The mean block length is the optimal one of Patton, Politis and White (2009) for
the influence function of the statistic. Intervals are the 2.5 % and 97.5 % quantiles of the draws.

An interval speaks about one comparison, made once. Somebody who looks at many, or again every month, will see some
intervals leave zero by chance.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from allocator_pipeline.config import MIN_JUDGED_WEEKS
from allocator_pipeline.errors import NotEnoughDataError, WeightsError
from allocator_pipeline.evaluation.metrics import sharpe_ratio

DRAWS = 2000
SEED = 20_260_101
LEVEL = 0.95

_NO_VARIATION = 1e-12
"""Standard deviations below this are rounding."""

NARROW_WEEKS = 104
"""Up to so many weeks an interval misses markedly more often than it says (docs/gate.md)."""

Blocks = Literal["stationary", "circular"]
"""Bootstrap blocks of random length (Politis and Romano 1994) or of equal length on a circle (1992)."""


def sharpe_interval(net: ArrayLike, *, draws: int = DRAWS, seed: int = SEED) -> dict[str, Any]:
    """Bootstrap the annualised Sharpe ratio of one series.

    Parameters
    ----------
    net : array_like of float, shape (T,)
        Weekly simple net returns, T >= 26.
    draws : int
        Bootstrap samples.
    seed : int
        Equal seeds and returns give equal intervals.

    Returns
    -------
    dict
        ``estimate``, ``low``, ``high`` (per root year), ``level``, ``block_weeks`` (mean block length) and ``draws``.

    Raises
    ------
    NotEnoughDataError
        If there are fewer than 26 weeks.
    WeightsError
        If a return is not finite.
    """
    (series,) = checked_returns(net)
    block = block_length(sharpe_influence(series))
    picks = resampled_weeks(len(series), block, draws, seed)
    return interval_of_draws(float(sharpe_ratio(series)), sharpe_ratio(series[picks]), block)


def sharpe_difference(net: ArrayLike, other: ArrayLike, *, draws: int = DRAWS, seed: int = SEED) -> dict[str, Any]:
    """Bootstrap the difference of two annualised Sharpe ratios earned over the same weeks.

    The draws are paired: both series are redrawn with the same weeks, so what moves both alike cancels.

    Parameters
    ----------
    net, other : array_like of float, shape (T,)
        Weekly simple net returns of the same weeks, T >= 26.
    draws : int
        Bootstrap samples.
    seed : int
        Equal seeds and returns give equal intervals.

    Returns
    -------
    dict
        As `sharpe_interval`; ``estimate`` is the Sharpe ratio of ``net`` less that of ``other``. Also ``p_value``: of
        no difference, two-sided, from 1 / (draws + 1) to 1: how often a draw lies as far from the estimate as that
        from 0.

    Raises
    ------
    NotEnoughDataError
        If there are fewer than 26 weeks.
    WeightsError
        If a return is not finite or the lengths differ.
    """
    first, second = checked_returns(net, other)
    block = block_length(sharpe_influence(first) - sharpe_influence(second))
    picks = resampled_weeks(len(first), block, draws, seed)
    estimate = float(sharpe_ratio(first) - sharpe_ratio(second))
    sample = sharpe_ratio(first[picks]) - sharpe_ratio(second[picks])
    further = np.count_nonzero(np.abs(sample - estimate) >= abs(estimate))
    return {**interval_of_draws(estimate, sample, block), "p_value": (1 + further) / (1 + draws)}


def ratio_interval(
    numerator: ArrayLike, denominator: ArrayLike, *, draws: int = DRAWS, seed: int = SEED
) -> dict[str, Any]:
    """Bootstrap a ratio of two sums over weeks: a mean, where the denominator is 1 or a count.

    Parameters
    ----------
    numerator, denominator : array_like of float, shape (T,)
        Weekly sums, T >= 26; the denominator is 0 or more, with a positive sum. Weeks that hold nothing are 0 in both.
    draws : int
        Bootstrap samples.
    seed : int
        Equal seeds and sums give equal intervals.

    Returns
    -------
    dict
        As `sharpe_interval`; ``estimate`` is the sum of the numerator over that of the denominator.

    Raises
    ------
    NotEnoughDataError
        If there are fewer than 26 weeks.
    WeightsError
        If a sum is not finite or the lengths differ.
    """
    above, below = checked_returns(numerator, denominator)
    estimate = float(above.sum() / below.sum())
    influence = (above - estimate * below) / below.mean()  # first-order term of the delta method
    block = block_length(influence)
    picks = resampled_weeks(len(above), block, draws, seed)
    return interval_of_draws(estimate, above[picks].sum(axis=1) / below[picks].sum(axis=1), block)


def narrow_words(weeks: int) -> str:
    """Say how far an interval of so few weeks can be trusted; nothing where it can."""
    if weeks > NARROW_WEEKS:
        return ""
    return (
        "Intervals of so few weeks are too narrow: of those called 95 %, about 90 % hold the truth at 26 weeks, 93 % "
        "at 52 to 104."
    )


def sharpe_influence(net: np.ndarray) -> np.ndarray:
    """Influence of each week on the weekly Sharpe ratio: ``z - SR / 2 * (z^2 - 1)``, ``z`` the standardised return.

    Parameters
    ----------
    net : ndarray of float64, shape (..., T)
        Leading axes hold further series.

    Returns
    -------
    ndarray of float64, shape (..., T)
        The first-order term of the delta method (Lo 2002; Ledoit and Wolf 2008); its mean is 0. Zeros where the returns
        do not vary.
    """
    mean, deviation = net.mean(axis=-1, keepdims=True), net.std(axis=-1, keepdims=True)
    varies = deviation >= _NO_VARIATION
    scale = np.where(varies, deviation, 1.0)
    z = (net - mean) / scale
    return np.where(varies, z - 0.5 * mean / scale * (z**2 - 1.0), 0.0)


def weekly_sharpe(net: np.ndarray) -> np.ndarray:
    """Sharpe ratio per root week with divisor T, which `sharpe_influence` is the influence on, shape (...)."""
    mean, deviation = net.mean(axis=-1), net.std(axis=-1)
    varies = deviation >= _NO_VARIATION
    return np.where(varies, mean / np.where(varies, deviation, 1.0), 0.0)


def checked_returns(*series: ArrayLike) -> list[np.ndarray]:
    """Return series as arrays, or say why they cannot be compared.

    Raises
    ------
    NotEnoughDataError
        If there are fewer than 26 weeks.
    WeightsError
        If a return is not finite or the lengths differ.
    """
    arrays = [np.asarray(values, dtype=np.float64) for values in series]
    count = len(arrays[0])
    if any(array.shape != (count,) or not np.isfinite(array).all() for array in arrays):
        raise WeightsError(
            "The returns to compare are not finite or do not cover the same weeks.",
            todo="compare series of the same weeks, all of them known.",
        )
    if count < MIN_JUDGED_WEEKS:
        raise NotEnoughDataError(
            f"{count} weeks are too few for an interval; {MIN_JUDGED_WEEKS} are needed.",
            todo="wait for more weeks, or report the number without an interval.",
        )
    return arrays


def block_length(influence: np.ndarray, kind: Blocks = "stationary") -> int:
    """Return the (mean) block length in whole weeks, from 1 to a quarter of the series."""
    from arch.bootstrap import optimal_block_length

    if influence.std() < _NO_VARIATION:  # nothing varies, so no dependence either
        return 1
    longest = len(influence) // 4
    with np.errstate(divide="ignore", invalid="ignore"):  # a series that hardly ever moves has no optimum
        length = float(optimal_block_length(influence)[kind].iloc[0])
    return int(min(max(1, math.ceil(length)), longest)) if math.isfinite(length) else longest


@lru_cache(maxsize=8)  # every series of one report asks for the same few
def resampled_weeks(count: int, block: int, draws: int, seed: int, kind: Blocks = "stationary") -> np.ndarray:
    """Return the weeks of each bootstrap sample, shape (draws, count): blocks of random or of equal length."""
    from arch.bootstrap import CircularBlockBootstrap, StationaryBootstrap

    bootstrap = {"stationary": StationaryBootstrap, "circular": CircularBlockBootstrap}[kind](
        block, np.arange(count), seed=seed
    )
    picks = np.stack([bootstrap.update_indices() for _ in range(draws)])
    picks.flags.writeable = False
    return picks


def interval_of_draws(estimate: float, sample: np.ndarray, block: int) -> dict[str, Any]:
    """Return an estimate with the interval that bootstrap draws of it, shape (draws,), span in blocks of some weeks."""
    low, high = np.quantile(sample, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return {
        "estimate": estimate,
        "low": float(low),
        "high": float(high),
        "level": LEVEL,
        "block_weeks": block,
        "draws": len(sample),
    }
