"""Weekly returns of two baselines and of a new candidate every month, many markets side by side.

Everything holds much the same stocks: each series is a market factor and a part of its own, and any two correlate with
`CORRELATION`. A candidate's own part of a given week resembles that of the candidate a month before (`PERSISTENCE`), or
does not: retrained policies do, newly thought-out ones do not.

Heavy tails: the volatility of factor and own parts follows a GARCH(1,1) of the factor (Bollerslev 1987), and shocks
have Student's t distribution, the own parts of one week sharing one mixing variable: a week that is extreme for one
candidate is extreme for all.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from allocator_pipeline.config import WEEKS_PER_YEAR

TRIES = 60
CORRELATION = 0.95
PERSISTENCE = 0.97
SHARPE = 0.6
"""Annual, of both baselines and of a candidate without a gain."""

VOLATILITY = (0.145, 0.17, 0.17)
"""Annual, of HRP, equal weight and candidate."""

FREEDOM, ARCH, GARCH = 4.0, 0.12, 0.86
"""Of the heavy tails: degrees of freedom of t, and the weights of last week's square and variance."""

Tails = Literal["normal", "heavy"]
Likeness = Literal["ar1", "independent"]


@dataclass(frozen=True)
class Setting:
    """What a market is like.

    Parameters
    ----------
    years : int
        Of weeks that every try is judged on: those before it.
    tails : {"normal", "heavy"}
    correlation : {"ar1", "independent"}
        Of candidates a month apart.
    gain : float
        Annual Sharpe ratio of every candidate above that of both baselines.
    """

    years: int
    tails: Tails
    correlation: Likeness
    gain: float = 0.0

    @property
    def window(self) -> int:
        """Weeks that a try is judged on."""
        return self.years * WEEKS_PER_YEAR


@dataclass(frozen=True)
class Month:
    """One try.

    Parameters
    ----------
    weeks : slice
        The weeks it is judged on.
    baselines : ndarray of float64, shape (2, runs, all weeks)
        HRP and equal weight; weekly simple returns, the same in every month.
    candidate : ndarray of float64, shape (runs, all weeks)
    """

    weeks: slice
    baselines: np.ndarray
    candidate: np.ndarray


def months(setting: Setting, runs: int, tries: int, rng: np.random.Generator) -> Iterator[Month]:
    """Yield the tries of some markets, one a month.

    Parameters
    ----------
    setting : Setting
    runs : int
        Markets, independent of each other.
    tries : int
    rng : numpy.random.Generator
    """
    ends = [setting.window + round(month * WEEKS_PER_YEAR / 12) for month in range(tries)]
    shape = (runs, ends[-1])
    factor, scale = volatile(shape, rng) if setting.tails == "heavy" else (rng.standard_normal(shape), np.ones(shape))
    hrp, equal = (_returns(factor, scale * rng.standard_normal(shape), VOLATILITY[at], SHARPE) for at in range(2))
    baselines = np.stack([hrp, equal])
    persistence = PERSISTENCE if setting.correlation == "ar1" else 0.0
    own = rng.standard_normal(shape)
    for end in ends:
        candidate = _returns(factor, scale * own, VOLATILITY[2], SHARPE + setting.gain)
        yield Month(slice(end - setting.window, end), baselines, candidate)
        own = persistence * own + math.sqrt(1 - persistence**2) * rng.standard_normal(shape)


def volatile(shape: tuple[int, int], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw a factor with GARCH-t volatility, and the scale of own parts in the same weeks.

    Returns
    -------
    tuple of (ndarray, ndarray), both of float64, shape (runs, weeks)
        Mean squares are 1 over many runs.
    """
    runs, weeks = shape
    shocks = rng.standard_normal(shape) * _mixing(shape, rng)
    variance, lead = np.ones(runs), 52
    past = rng.standard_normal((runs, lead)) * _mixing((runs, lead), rng)
    deviation = np.empty(shape)
    for week in range(-lead, weeks):
        if week >= 0:
            deviation[:, week] = np.sqrt(variance)
        shock = shocks[:, week] if week >= 0 else past[:, week]
        variance = 1 - ARCH - GARCH + variance * (ARCH * shock**2 + GARCH)
    return deviation * shocks, deviation * _mixing(shape, rng)


def _mixing(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Return what turns normal shocks into t ones of variance 1."""
    return np.sqrt((FREEDOM - 2) / rng.chisquare(FREEDOM, shape))


def _returns(factor: np.ndarray, own: np.ndarray, volatility: float, sharpe: float) -> np.ndarray:
    shock = math.sqrt(CORRELATION) * factor + math.sqrt(1 - CORRELATION) * own
    weekly = volatility / math.sqrt(WEEKS_PER_YEAR)
    return weekly * (sharpe / math.sqrt(WEEKS_PER_YEAR) + shock)
