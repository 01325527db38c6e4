"""How much of a Sharpe ratio is left once it is known how many were tried.

The best of many Sharpe ratios is high even if all are worth nothing. Bailey and Lopez de Prado (2014) give its expected
value and the probability that the true one is above it, allowing for skewness and fat tails.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from allocator_pipeline.config import WEEKS_PER_YEAR
from allocator_pipeline.errors import NotEnoughDataError, WeightsError
from allocator_pipeline.evaluation.metrics import sharpe_ratio
from allocator_pipeline.evaluation.significance import checked_returns


def expected_best(deviation: float, trials: int) -> float:
    """Return the expected greatest of some Sharpe ratios that are worth nothing.

    Parameters
    ----------
    deviation : float
        Standard deviation of the trials' Sharpe ratios.
    trials : int
        How many were tried, at least 1; trials that resemble each other count in full, which errs on the careful side.

    Returns
    -------
    float
        In the deviation's unit: ``deviation * ((1 - g) Phi^-1(1 - 1/N) + g Phi^-1(1 - 1/(N e)))`` with Euler's
        constant g; 0 for one trial.
    """
    if trials < 2:
        return 0.0
    tail, further = stats.norm.isf(1 / trials), stats.norm.isf(1 / (trials * math.e))
    return float(deviation * ((1 - np.euler_gamma) * tail + np.euler_gamma * further))


def probability_above(sharpe: float, benchmark: float, count: int, skewness: float, kurtosis: float) -> float:
    """Return the probability that the true Sharpe ratio is above a benchmark (Bailey and Lopez de Prado 2012).

    Parameters
    ----------
    sharpe, benchmark : float
        Per period, not annualised.
    count : int
        Periods observed.
    skewness, kurtosis : float
        Of the returns; 0 and 3 are the normal distribution's.
    """
    error = math.sqrt((1 - skewness * sharpe + (kurtosis - 1) / 4 * sharpe**2) / (count - 1))
    return float(stats.norm.cdf((sharpe - benchmark) / error))


def deflated_sharpe(net: ArrayLike, trial_sharpes: ArrayLike, trials: int) -> dict[str, Any]:
    """Compute the deflated Sharpe ratio of one series.

    Parameters
    ----------
    net : array_like of float, shape (T,)
        Weekly simple net returns of the series chosen, T >= 26.
    trial_sharpes : array_like of float, shape (K,)
        Annualised Sharpe ratios of the trials that have one, the chosen one among them. Their spread is what luck and
        the choice of a recipe make of it.
    trials : int
        The true number of trials, at least K: failures and trials without a Sharpe ratio count.

    Returns
    -------
    dict
        ``probability`` that the true Sharpe ratio exceeds what the best of so many worthless ones would show,
        ``benchmark`` (that value, per root year), ``trials``, ``skewness`` and ``kurtosis``.

    Raises
    ------
    NotEnoughDataError
        If there are fewer than 26 weeks, or several trials with fewer than two Sharpe ratios.
    WeightsError
        If a number is not finite, the returns do not vary, or fewer trials are named than have Sharpe ratios.
    """
    (series,) = checked_returns(net)
    tried = np.asarray(trial_sharpes, dtype=np.float64)
    if tried.ndim != 1 or not np.isfinite(tried).all() or trials < max(1, len(tried)) or series.std() < 1e-12:
        raise WeightsError(
            f"{trials} trial(s) with Sharpe ratios {tried.tolist()} cannot deflate a Sharpe ratio.",
            todo="pass returns that vary, finite Sharpe ratios of the trials, and a count that is not below theirs.",
        )
    if trials > 1 and len(tried) < 2:
        raise NotEnoughDataError(
            f"{len(tried)} Sharpe ratio(s) of {trials} trials have no spread.", todo="pass those of the other trials."
        )
    benchmark = expected_best(float(tried.std(ddof=1)) if trials > 1 else 0.0, trials)
    skewness, kurtosis = float(stats.skew(series)), float(stats.kurtosis(series, fisher=False))
    weekly = math.sqrt(WEEKS_PER_YEAR)
    sharpe = float(sharpe_ratio(series)) / weekly
    return {
        "probability": probability_above(sharpe, benchmark / weekly, len(series), skewness, kurtosis),
        "benchmark": benchmark,
        "trials": trials,
        "skewness": skewness,
        "kurtosis": kurtosis,
    }


def deflated_gain(net: ArrayLike, other: ArrayLike, trials: int) -> dict[str, Any]:
    """Deflate what one series has earned above another, for the number of tries.

    Parameters
    ----------
    net, other : array_like of float, shape (T,)
        Weekly simple net returns of the same weeks, T >= 26.
    trials : int
        The true number of tries, at least 1.

    Returns
    -------
    dict
        ``ratio``, the information ratio: the Sharpe ratio of net less other, per root year; ``threshold``, what the
        best of so many worthless tries would show; ``probability`` that the true ratio exceeds the threshold;
        ``trials``.

    Raises
    ------
    NotEnoughDataError
        If there are fewer than 26 weeks.
    WeightsError
        If a return is not finite, lengths differ, the two differ by a constant, or there is no try.

    Notes
    -----
    Tries of other weeks and other rivals have no spread that could be measured for this pair. That of worthless ones
    is known instead: over T weeks their ratios scatter by sqrt(52 / (T - 1)) (Lo 2002).
    """
    mine, theirs = checked_returns(net, other)
    gain = mine - theirs
    if trials < 1 or gain.std() < 1e-12:
        raise WeightsError(
            f"What one series earned above another does not vary, or there are {trials} tries.",
            todo="pass two series that differ and the number of tries, at least 1.",
        )
    yearly = math.sqrt(WEEKS_PER_YEAR)
    ratio, threshold = float(sharpe_ratio(gain)), expected_best(yearly / math.sqrt(len(gain) - 1), trials)
    skewness, kurtosis = float(stats.skew(gain)), float(stats.kurtosis(gain, fisher=False))
    return {
        "ratio": ratio,
        "threshold": threshold,
        "probability": probability_above(ratio / yearly, threshold / yearly, len(gain), skewness, kurtosis),
        "trials": trials,
    }
