"""One against many, and which of many are among the best: tests that know how many were compared.

Both work on mean losses. A week's loss is ``-(SR + influence)``: its mean is the negative Sharpe ratio exactly, and its
fluctuation is, to first order, that of the Sharpe ratio. Series that are equal week by week, but for rounding, share
one place, since nothing can tell them apart. Bootstraps and tests are the `arch` package's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from allocator_pipeline.config import WEEKS_PER_YEAR
from allocator_pipeline.errors import NotEnoughDataError
from allocator_pipeline.evaluation.hac import long_run_variance
from allocator_pipeline.evaluation.performance import TIE
from allocator_pipeline.evaluation.significance import (
    DRAWS,
    SEED,
    block_length,
    checked_returns,
    sharpe_influence,
    weekly_sharpe,
)

SIZE = 0.05


def superior_ability(
    benchmark: ArrayLike, others: Mapping[str, ArrayLike], *, draws: int = DRAWS, seed: int = SEED
) -> dict[str, Any]:
    """Test whether the best of several has a greater Sharpe ratio than a benchmark (Hansen 2005).

    Parameters
    ----------
    benchmark : array_like of float, shape (T,)
        Weekly simple net returns, T >= 26.
    others : mapping of str to array_like of float, shape (T,)
        Everything that was compared with it, over the same weeks.
    draws, seed : int
        Bootstrap samples, and their seed.

    Returns
    -------
    dict
        ``p_value`` (consistent), ``lower`` and ``upper`` (its bounds; the upper one is White's reality check), ``best``
        (name of the greatest studentised difference), ``compared`` (how many), ``ties`` (names of those that equal the
        benchmark in every week; the others are tested) and ``block_weeks``.

    Raises
    ------
    NotEnoughDataError
        If there are fewer than 26 weeks, or nothing to compare with.
    WeightsError
        If a return is not finite or lengths differ.

    Notes
    -----
    `arch` uses its standard errors to recentre, not in the statistic. Differences are divided by theirs beforehand,
    which makes the statistic Hansen's studentised one.

    A tie's difference is 0 in every draw. It cannot be divided by its error and is not passed on; but where everything
    else lies below the benchmark, it is the best, and the statistic is 0: no draw lies below that, so that p is 1.
    """
    from arch.bootstrap import SPA

    reference, names, series = _aligned(benchmark, others)
    gains = _yearly(series) - _yearly(reference)
    error = np.sqrt(long_run_variance(gains))
    varies = error > 1e-12
    scaled = gains[varies] / error[varies, None]
    score = np.zeros(len(names))
    score[varies] = scaled.mean(axis=1)
    best = names[int(score.argmax())]
    ties = [name for name, differs in zip(names, varies, strict=True) if not differs]
    found = {"best": best, "compared": len(names), "ties": ties}
    if best in ties:
        return {"p_value": 1.0, "lower": 1.0, "upper": 1.0, **found, "block_weeks": 1}
    block = max(block_length(row) for row in scaled)
    test = SPA(np.zeros(len(reference)), -scaled.T, block_size=block, reps=draws, seed=seed)
    test.compute()
    return {
        "p_value": float(test.pvalues["consistent"]),
        "lower": float(test.pvalues["lower"]),
        "upper": float(test.pvalues["upper"]),
        **found,
        "block_weeks": block,
    }


def confidence_set(
    returns: Mapping[str, ArrayLike], *, size: float = SIZE, draws: int = DRAWS, seed: int = SEED
) -> dict[str, Any]:
    """Find the series that may have the greatest Sharpe ratio (Hansen, Lunde and Nason 2011, range statistic).

    Parameters
    ----------
    returns : mapping of str to array_like of float, shape (T,)
        Weekly simple net returns of the same weeks, T >= 26.
    size : float
        Probability that the set lacks the best one.
    draws, seed : int
        Bootstrap samples, and their seed.

    Returns
    -------
    dict
        ``included`` (names, in the order given), ``p_values`` (name -> the least size that would exclude it), ``size``
        and ``block_weeks``.

    Raises
    ------
    NotEnoughDataError
        If there are fewer than 26 weeks, or no series.
    WeightsError
        If a return is not finite or lengths differ.
    """
    from arch.bootstrap import MCS

    if not returns:
        raise NotEnoughDataError("There is nothing to compare.", todo="pass the returns of one series or more.")
    first = next(iter(returns.values()))
    _, names, series = _aligned(first, returns)
    distinct, place = np.unique(series, axis=0, return_inverse=True)
    values, block = np.ones(1), 1
    if len(distinct) > 1:
        losses = -_yearly(distinct)
        block = max(block_length(row - losses[0]) for row in losses[1:])
        test = MCS(losses.T, size=size, reps=draws, block_size=block, method="R", seed=seed)
        test.compute()
        values = test.pvalues["Pvalue"].sort_index().to_numpy()
    p_values = {name: float(values[at]) for name, at in zip(names, place.ravel(), strict=True)}
    return {
        "included": [name for name, value in p_values.items() if value > size],
        "p_values": p_values,
        "size": size,
        "block_weeks": block,
    }


def _aligned(first: ArrayLike, others: Mapping[str, ArrayLike]) -> tuple[np.ndarray, list[str], np.ndarray]:
    """Return checked returns; a series that differs from an earlier one by rounding alone becomes that one."""
    if not others:
        raise NotEnoughDataError("There is nothing to compare with.", todo="pass the returns of one series or more.")
    reference, *series = checked_returns(first, *others.values())
    distinct = [reference]
    for at, each in enumerate(series):
        equal = next((known for known in distinct if np.abs(known - each).max() <= TIE), None)
        if equal is None:
            distinct.append(each)
        else:
            series[at] = equal
    return reference, list(others), np.stack(series)


def _yearly(net: np.ndarray) -> np.ndarray:
    """Return the Sharpe ratio plus the influence of each week, shape (..., T), per root year."""
    return math.sqrt(WEEKS_PER_YEAR) * (weekly_sharpe(net)[..., None] + sharpe_influence(net))
