"""What a sequence of weekly net returns was worth: one formula per number, each with its unit.

All of them read simple returns net of costs, a week being 1/52 of a year. Cash earns nothing in the accounts, so the
riskless rate of the Sharpe ratio is zero.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from allocator_pipeline.config import WEEKS_PER_YEAR
from allocator_pipeline.errors import NotEnoughDataError, WeightsError

TAIL_PERCENT = 5
"""The share of weeks that the tail is made of."""

_NO_VARIATION = 1e-12
"""A weekly standard deviation below this is rounding, not risk."""


def sharpe_ratio(net: np.ndarray) -> np.ndarray:
    """Annualised Sharpe ratio, ``sqrt(52) * mean / std`` with ``n - 1`` in the variance (Sharpe 1994).

    Parameters
    ----------
    net : ndarray of float64, shape (..., T)
        Weekly simple net returns; leading axes hold further series, such as bootstrap draws.

    Returns
    -------
    ndarray of float64, shape (...)
        Per root year. 0 where the returns do not vary: an account that stays in cash earns no excess return.
    """
    mean, deviation = net.mean(axis=-1), net.std(axis=-1, ddof=1)
    varies = deviation > _NO_VARIATION
    return np.where(varies, np.sqrt(WEEKS_PER_YEAR) * mean / np.where(varies, deviation, 1.0), 0.0)


def wealth(net: np.ndarray) -> np.ndarray:
    """Wealth at the end of each week, shape (T,), in units of the wealth at the start."""
    return np.cumprod(1.0 + net)


def drawdowns(net: np.ndarray) -> np.ndarray:
    """Loss since the highest wealth so far (the start counts), shape (T,): a fraction, 0 or negative."""
    path = wealth(net)
    return path / np.maximum.accumulate(np.maximum(path, 1.0)) - 1.0


def drawdown_weeks(net: np.ndarray) -> int:
    """Longest run of successive weeks that end below the highest wealth so far; one that still lasts counts."""
    under = drawdowns(net) < 0.0
    ends = np.flatnonzero(np.r_[True, ~under, True])
    return int(np.diff(ends).max()) - 1


def worst_weeks(returns: np.ndarray) -> np.ndarray:
    """Rows of the worst 5 % of weeks, rounded up to whole weeks, the worst first."""
    count = -(-len(returns) * TAIL_PERCENT // 100)
    return np.argsort(returns, kind="stable")[:count]


def sortino_ratio(net: np.ndarray) -> float:
    """Annualised Sortino ratio, ``sqrt(52) * mean / sqrt(mean(min(net, 0)^2))`` (Sortino and van der Meer 1991).

    Returns
    -------
    float
        Per root year, about a target of zero. 0 where no week lost anything: there is nothing to divide by.
    """
    downside = float(np.sqrt(np.mean(np.minimum(net, 0.0) ** 2)))
    return float(np.sqrt(WEEKS_PER_YEAR) * net.mean() / downside) if downside > _NO_VARIATION else 0.0


def cagr(net: np.ndarray) -> float:
    """Compound annual growth rate, ``wealth ** (52 / T) - 1``: a fraction per year."""
    return float(wealth(net)[-1] ** (WEEKS_PER_YEAR / len(net)) - 1.0)


def metrics(net: ArrayLike, turnover: ArrayLike) -> dict[str, float]:
    """Compute what can be told of a series from its net returns and turnover; `performance` adds what needs more.

    Parameters
    ----------
    net : array_like of float, shape (T,)
        Weekly simple returns net of costs, T >= 2.
    turnover : array_like of float, shape (T,)
        Weekly one-way turnover, ``0.5 * sum |target - held|`` with cash among the positions: a fraction of wealth.

    Returns
    -------
    dict of str to float
        ``weeks`` (count), ``sharpe`` and ``sortino`` (annualised, see `sharpe_ratio` and `sortino_ratio`), ``cagr``
        (fraction per year), ``volatility`` (``sqrt(52) * std``, fraction per root year), ``max_drawdown`` (fraction, 0
        or negative), ``drawdown_weeks`` (weeks, see `drawdown_weeks`), ``cvar`` (mean return of the worst 5 % of weeks,
        fraction per week; Rockafellar and Uryasev 2000), ``hit_rate`` (share of weeks with a return above 0),
        ``turnover`` (mean per week, fraction).

    Raises
    ------
    NotEnoughDataError
        If there are fewer than two weeks.
    WeightsError
        If a number is not finite, a return loses everything, or the lengths differ.
    """
    net, turnover = np.asarray(net, dtype=np.float64), np.asarray(turnover, dtype=np.float64)
    _check(net, turnover)
    return {
        "weeks": len(net),
        "sharpe": float(sharpe_ratio(net)),
        "sortino": sortino_ratio(net),
        "cagr": cagr(net),
        "volatility": float(np.sqrt(WEEKS_PER_YEAR) * net.std(ddof=1)),
        "max_drawdown": float(drawdowns(net).min()),
        "drawdown_weeks": drawdown_weeks(net),
        "cvar": float(net[worst_weeks(net)].mean()),
        "hit_rate": float((net > 0).mean()),
        "turnover": float(turnover.mean()),
    }


def _check(net: np.ndarray, turnover: np.ndarray) -> None:
    if net.ndim != 1 or net.shape != turnover.shape:
        raise WeightsError(
            f"Returns of shape {net.shape} do not match turnover of shape {turnover.shape}.",
            todo="pass one return and one turnover for each week.",
        )
    if len(net) < 2:
        raise NotEnoughDataError(
            f"{len(net)} known week(s) cannot be measured.", todo="wait until two weeks of the year have their returns."
        )
    if not (np.isfinite(net).all() and np.isfinite(turnover).all() and (net > -1).all()):
        raise WeightsError(
            "A weekly return or turnover is not finite, or a return is -100 % or less.",
            todo="check the prices of those weeks, then materialise state_tensors again.",
        )
