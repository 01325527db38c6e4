"""The standard error of a mean whose weeks depend on each other.

Newey and West (1987): autocovariances weighted by the Bartlett kernel, which keeps the estimate from falling below
zero.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import fft


def bartlett_lag(weeks: int) -> int:
    """Return the lag after which the weights are zero: ``floor(weeks ** (1/3)) + 2``."""
    return math.floor(weeks ** (1 / 3) + 1e-9) + 2


def bartlett_weights(weeks: int) -> np.ndarray:
    """Return the weights of lags 0, 1, ..., lag: ``1 - k / (lag + 1)``."""
    lag = bartlett_lag(weeks)
    return 1.0 - np.arange(lag + 1) / (lag + 1)


def autocovariances(stream: np.ndarray, lags: int) -> np.ndarray:
    """Autocovariances of lags 0 to ``lags`` with divisor T, by the fast Fourier transform.

    Parameters
    ----------
    stream : ndarray of float64, shape (..., T)
    lags : int
        Below T.

    Returns
    -------
    ndarray of float64, shape (..., lags + 1)
    """
    weeks = stream.shape[-1]
    size = fft.next_fast_len(weeks + lags, real=True)  # the padding keeps the ends from meeting
    spectrum = fft.rfft(stream - stream.mean(axis=-1, keepdims=True), size)
    return fft.irfft(spectrum.real**2 + spectrum.imag**2, size)[..., : lags + 1] / weeks


def long_run_variance(stream: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Variance of ``sqrt(T)`` times the mean: the autocovariance at 0 plus twice the weighted ones of the other lags.

    Parameters
    ----------
    stream : ndarray of float64, shape (..., T)
    weights : ndarray of float64, shape (lags + 1,), optional
        Of lags 0 and up; the Bartlett kernel's by default.

    Returns
    -------
    ndarray of float64, shape (...)
        Never negative; 0 for a stream that does not vary.
    """
    weights = bartlett_weights(stream.shape[-1]) if weights is None else weights
    doubled = weights * np.where(np.arange(len(weights)) == 0, 1.0, 2.0)
    return np.maximum(autocovariances(stream, len(weights) - 1) @ doubled, 0.0)


def standard_error(stream: np.ndarray) -> np.ndarray:
    """Estimate the standard error of the mean of a stream whose weeks depend on each other.

    Parameters
    ----------
    stream : ndarray of float64, shape (..., T)

    Returns
    -------
    ndarray of float64, shape (...)
        ``sqrt(long_run_variance / (T - lag - 1))``. Autocovariances around the estimated mean are too low by the
        variance over T each, their weighted sum by ``lag + 1`` times that where weeks are independent; T in the place
        of ``T - lag - 1`` would make a t statistic of two years 3 % too large.
    """
    weeks = stream.shape[-1]
    return np.sqrt(long_run_variance(stream) / (weeks - bartlett_lag(weeks) - 1))
