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
from allocator_pipeline.evaluation.evidence import difference_stream
from allocator_pipeline.evaluation.hac import standard_error
from allocator_pipeline.evaluation.metrics import sharpe_ratio
from allocator_pipeline.evaluation.significance import checked_returns

_NO_ERROR = 1e-12
"""Standard errors below this are rounding."""


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
    """Deflate the Sharpe ratio of one series less that of another for the number of tries.

    Parameters
    ----------
    net, other : array_like of float, shape (T,)
        Weekly simple net returns of the same weeks, T >= 26.
    trials : int
        The true number of tries, at least 1.

    Returns
    -------
    dict
        ``difference`` (of the two Sharpe ratios, per root year), ``threshold`` (what the best of so many tries that
        differ in nothing would show, the same unit), ``probability`` that the true difference exceeds what luck has
        given the best of them, ``Phi((difference - threshold) / error)``, and ``trials``.

    Raises
    ------
    NotEnoughDataError
        If there are fewer than 26 weeks.
    WeightsError
        If a return is not finite, lengths differ, no week moves the difference, or there is no try.

    Notes
    -----
    Tries of other weeks and other rivals have no spread that could be measured for this pair. That of tries without a
    difference is known instead: it is the standard error of the difference, of its weekly influences as in the
    ledger (`evidence.difference_stream`, `hac.standard_error`). It allows for unequal volatility, fat tails and
    dependent weeks.
    """
    difference, stream = difference_stream(*checked_returns(net, other))
    error = float(standard_error(stream))
    if trials < 1 or error < _NO_ERROR:
        raise WeightsError(
            f"No week moves the difference of the two Sharpe ratios, or there are {trials} tries.",
            todo="pass two series that differ and the number of tries, at least 1.",
        )
    yearly, luckiest = math.sqrt(WEEKS_PER_YEAR), expected_best(error, trials)
    return {
        "difference": yearly * float(difference),
        "threshold": yearly * luckiest,
        "probability": float(stats.norm.cdf((float(difference) - luckiest) / error)),
        "trials": trials,
    }
