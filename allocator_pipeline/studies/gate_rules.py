"""Rules that decide month by month whether a candidate is better than what there is, for many markets side by side.

Each sees the same months and answers once a month. `point` and `evidence` are the two of this project; the others are
what one might use instead.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import special

from allocator_pipeline.evaluation.evidence import Thresholds, allowed_error, difference_stream, evidence
from allocator_pipeline.evaluation.hac import long_run_variance
from allocator_pipeline.evaluation.significance import weekly_sharpe
from allocator_pipeline.studies.gate_market import TRIES, Month

LEVEL = 0.05

GATES = ("point", "evidence", "bootstrap", "bonferroni", "saffron", "e_values")


@dataclass(frozen=True)
class Look:
    """What one month shows, against each baseline of a market.

    Parameters
    ----------
    month : Month
    z : ndarray of float64, shape (baselines, runs)
        Evidence, see `evaluation.evidence.evidence`.
    threshold : ndarray of float64, shape (baselines, runs)
        Of the evidence rule.
    plain : ndarray of float64, shape (baselines, runs)
        Difference over its bootstrap standard error.
    log_wealth : ndarray of float64, shape (baselines, runs)
        Greatest log wealth of a bet on the difference of log returns.
    """

    month: Month
    z: np.ndarray
    threshold: np.ndarray
    plain: np.ndarray
    log_wealth: np.ndarray

    def against(self, baselines: Sequence[int]) -> Look:
        """Return the look at some of the baselines only."""
        at = list(baselines)
        month = Month(self.month.weeks, self.month.baselines[at], self.month.candidate)
        return Look(month, self.z[at], self.threshold[at], self.plain[at], self.log_wealth[at])


class Looks:
    """Turns months into looks.

    Parameters
    ----------
    runs : int
    weeks : int
        All weeks of the market.
    tries : int
    draws, seed : int
        Of the thresholds.
    """

    def __init__(self, runs: int, weeks: int, tries: int, draws: int, seed: int) -> None:
        self._thresholds = [Thresholds(runs, draws, seed) for _ in range(2)]
        self._streams = np.zeros((2, runs, tries, weeks), dtype=np.float32)
        self._tries = 0

    def look(self, month: Month) -> Look:
        """Return what a month shows; months come in order."""
        net = month.candidate[:, month.weeks]
        shown = [self._against(at, net, other[:, month.weeks], month.weeks) for at, other in enumerate(month.baselines)]
        self._tries += 1
        return Look(month, *(np.stack(part) for part in zip(*shown, strict=True)))

    def _against(
        self, at: int, net: np.ndarray, other: np.ndarray, weeks: slice
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        difference, stream = difference_stream(net, other)
        _, z = evidence(difference, stream)
        units = self._streams[at, :, : self._tries + 1]
        units[:, -1, weeks] = stream / np.linalg.norm(stream, axis=1, keepdims=True)
        rows = (units[:, :, weeks] @ units[:, -1, weeks, None])[..., 0].astype(np.float64)
        error = np.sqrt(long_run_variance(stream, stationary_weights(stream.shape[1])) / stream.shape[1])
        return z, self._thresholds[at].next(rows), difference / error, log_wealth(np.log1p(net) - np.log1p(other))


def stationary_weights(weeks: int) -> np.ndarray:
    """Weights of autocovariances in the variance of a stationary bootstrap mean (Politis and Romano 1994, lemma 1).

    Blocks of a mean length of the cube root of the weeks. The variance is the exact one of infinitely many draws.
    """
    stay = 1 - 1 / math.ceil(weeks ** (1 / 3))
    lag = np.arange(min(weeks, math.ceil(math.log(1e-3) / math.log(stay))))
    return (1 - lag / weeks) * stay**lag + lag / weeks * stay ** (weeks - lag)


def log_wealth(growth: np.ndarray, wait: int = 26) -> np.ndarray:
    """Greatest log wealth of a gambler who bets on positive growth, by approximate Kelly stakes.

    An e-process (Waudby-Smith and Ramdas 2024, aGRAPA) but for the rounding up of ruinous weeks.

    Parameters
    ----------
    growth : ndarray of float64, shape (runs, T)
        Weekly differences of log returns.
    wait : int
        Weeks before the first stake; each stake knows the weeks before it, and is at most half of what the worst of
        them would have lost.

    Returns
    -------
    ndarray of float64, shape (runs,)
    """
    count = np.arange(1, growth.shape[1])
    mean = np.cumsum(growth, axis=1)[:, :-1] / count
    square = np.cumsum(growth**2, axis=1)[:, :-1] / count
    worst = np.maximum.accumulate(np.abs(growth), axis=1)[:, :-1]
    stake = np.clip(mean / square, 0.0, 0.5 / worst)
    stake[:, : wait - 1] = 0.0
    gains = np.log(np.maximum(1 + stake * growth[:, 1:], 1e-3))
    return np.maximum(np.cumsum(gains, axis=1).max(axis=1), 0.0)


class Gate(Protocol):
    """A rule with a memory."""

    def passes(self, look: Look) -> np.ndarray:
        """Return whether the candidate passes, shape (runs,) of bool."""


class Point:
    """The plan's rule: a greater Sharpe ratio than the baselines and than the last that passed, on the same weeks."""

    def __init__(self) -> None:
        self._champion: np.ndarray | None = None

    def passes(self, look: Look) -> np.ndarray:
        """Compare numbers."""
        month = look.month
        mine = weekly_sharpe(month.candidate[:, month.weeks])
        passed: np.ndarray = np.all(mine > weekly_sharpe(month.baselines[:, :, month.weeks]), axis=0)
        if self._champion is None:
            self._champion = np.full_like(month.candidate, np.nan)
        known = ~np.isnan(self._champion[:, 0])
        passed[known] &= mine[known] > weekly_sharpe(self._champion[known][:, month.weeks])
        self._champion[passed] = month.candidate[passed]
        return passed


class Evidence:
    """The ledger's rule."""

    def passes(self, look: Look) -> np.ndarray:
        """Compare with the thresholds."""
        return np.all(look.z > look.threshold, axis=0)


class Bootstrap:
    """A one-sided bootstrap test at 5 %, every month anew."""

    def passes(self, look: Look) -> np.ndarray:
        """Compare with the normal quantile."""
        return np.all(look.plain > special.ndtri(1 - LEVEL), axis=0)


class Bonferroni:
    """Plain alpha spending: each of sixty tries at 5 % / 60."""

    def passes(self, look: Look) -> np.ndarray:
        """Compare the p-value."""
        return _p_value(look) <= LEVEL / TRIES


class Saffron:
    """SAFFRON (Ramdas, Zrnic, Wainwright and Jordan 2018): a false discovery rate over a stream of p-values."""

    def __init__(self, candidate_below: float = 0.5) -> None:
        self._below = candidate_below
        raw = np.arange(1, TRIES + 1, dtype=np.float64) ** -1.6
        self._gamma = raw / special.zeta(1.6)
        self._candidates: list[np.ndarray] = []
        self._passed: list[np.ndarray] = []

    def passes(self, look: Look) -> np.ndarray:
        """Compare the p-value with what the wealth allows."""
        p_value, wealth = _p_value(look), LEVEL / 2
        level = wealth * self._gamma[self._rank(len(p_value), 0)]
        discoveries = np.zeros(len(p_value), dtype=int)
        for at, passed in enumerate(self._passed):
            earned = np.where(discoveries == 0, LEVEL - wealth, LEVEL)
            level = level + passed * earned * self._gamma[self._rank(len(p_value), at + 1)]
            discoveries += passed
        passes = p_value <= np.minimum(self._below, (1 - self._below) * level)
        self._candidates.append(p_value <= self._below)
        self._passed.append(passes)
        return passes

    def _rank(self, runs: int, since: int) -> np.ndarray:
        """Return how many tries since some try were no candidates: hopeless ones use up wealth, others do not."""
        seen = self._candidates[since:]
        return len(seen) - np.sum(seen, axis=0, dtype=int) if seen else np.zeros(runs, dtype=int)


class EValues:
    """Betting on log returns: each try may err as often as the ledger's allowance grows (Ville's inequality)."""

    def __init__(self) -> None:
        self._tries = 0

    def passes(self, look: Look) -> np.ndarray:
        """Compare the wealth."""
        self._tries += 1
        grown = allowed_error(self._tries) - (allowed_error(self._tries - 1) if self._tries > 1 else 0.0)
        share = grown / allowed_error(TRIES)
        return np.all(look.log_wealth > -math.log(LEVEL * share), axis=0)


def all_gates() -> dict[str, Gate]:
    """Return a new one of each, in the order of `GATES`."""
    return dict(zip(GATES, (Point(), Evidence(), Bootstrap(), Bonferroni(), Saffron(), EValues()), strict=True))


def _p_value(look: Look) -> np.ndarray:
    """Return the one-sided p-value against the baseline that is hardest to beat, shape (runs,)."""
    return special.ndtr(-look.z).max(axis=0)
