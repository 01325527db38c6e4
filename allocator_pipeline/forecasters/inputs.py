"""What the networks read: volatility-scaled daily returns relative to the cross-section, known at each day's close."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

HALF_LIFE = 20
"""Half-life, in observed days, of the exponentially weighted volatility."""

WARM_UP = 20
"""Returns a symbol must have before it has a volatility."""

CLIP = 5.0
"""Scaled returns are clipped at this many standard deviations: a constant, so that no later day can move it."""

MIN_CROSS_SECTION = 5
"""A day on which fewer symbols are observed has no cross-section."""

CONTEXT = 60
"""Days a forecast looks back on at least."""

MIN_OBSERVED = 48
"""Of those, the days that must be observed: a few closed or missing days do no harm, a young or dead listing does."""


@dataclass(frozen=True)
class Inputs:
    """Network inputs by day and symbol.

    Parameters
    ----------
    relative : ndarray of float32, shape (T, N)
        Scaled return minus the day's cross-sectional mean. A day without an observation holds 0, the mean itself; such
        days are counted, and a row with too many of them is not `usable`.
    usable : ndarray of bool, shape (T, N)
        Whether the last `CONTEXT` days up to this one hold at least `MIN_OBSERVED` observations.
    sigma : ndarray of float64, shape (T, N)
        Daily volatility of log returns known at this day's close; NaN where it is not known.
    """

    relative: np.ndarray
    usable: np.ndarray
    sigma: np.ndarray


def daily_returns(close: np.ndarray) -> np.ndarray:
    """Return daily log returns, shape (T, N): NaN on the first day and wherever either day has no bar."""
    returns = np.full(close.shape, np.nan)
    returns[1:] = np.log(close[1:] / close[:-1])
    return returns


def volatility(returns: np.ndarray) -> np.ndarray:
    """Return the root of the exponentially weighted mean square of the returns up to each day, shape (T, N).

    RiskMetrics' estimator (J. P. Morgan, 1996) with `HALF_LIFE`; NaN until `WARM_UP` returns are there.
    """
    squares = pd.DataFrame(returns**2)
    mean = squares.ewm(halflife=HALF_LIFE, min_periods=WARM_UP, ignore_na=True).mean()
    return np.sqrt(mean.to_numpy(dtype=np.float64))


def build_inputs(close: np.ndarray) -> Inputs:
    """Build the inputs of all days; row t depends on closes up to t only.

    Each return is divided by the volatility known the day before, so that a shock does not scale itself down.

    Parameters
    ----------
    close : ndarray of float64, shape (T, N)
        Adjusted closes, NaN where there is no bar.

    Returns
    -------
    Inputs
    """
    returns = daily_returns(close)
    sigma = volatility(returns)
    before = np.full(sigma.shape, np.nan)
    before[1:] = sigma[:-1]
    before[before <= 0] = np.nan
    scaled = scale(returns, before)
    relative, observed = demean(scaled)
    counts = pd.DataFrame(observed.astype(np.float64)).rolling(CONTEXT, min_periods=1).sum().to_numpy()
    return Inputs(relative.astype(np.float32), counts >= MIN_OBSERVED, sigma)


def scale(returns: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """Return the returns in units of their volatility, clipped at `CLIP`, shape (T, N)."""
    return np.clip(returns / sigma, -CLIP, CLIP)


def demean(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Subtract each day's mean over the observed symbols.

    Returns
    -------
    tuple of ndarray, shape (T, N)
        The differences, 0 where nothing is observed, and the mask of what is observed. A day with fewer than
        `MIN_CROSS_SECTION` observations counts as not observed.
    """
    observed = np.isfinite(values)
    observed &= observed.sum(axis=1, keepdims=True) >= MIN_CROSS_SECTION
    count = np.maximum(observed.sum(axis=1, keepdims=True), 1)
    mean = np.where(observed, values, 0.0).sum(axis=1, keepdims=True) / count
    return np.where(observed, values - mean, 0.0), observed
