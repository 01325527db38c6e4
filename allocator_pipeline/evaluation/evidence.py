"""Evidence that survives repeated looks: thresholds for a sequence of tries whose results resemble each other.

One test at 5 % promotes noise in one try of twenty, and a monthly one in most years. Here the error is a budget that
a whole sequence of tries shares (alpha spending, Lan and DeMets 1983). Tries that use nearly the same weeks and nearly
the same policy are nearly one try: their joint distribution under "no difference" is that of correlated normal scores,
and the correlations are known, since each score is a mean of weekly influences (`significance.sharpe_influence`). So
each threshold is set such that the sequence so far, with its own correlations, errs as often as its budget allows and
no more (group sequential testing, Pocock 1977, with streams that move instead of grow).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import special

from allocator_pipeline.config import WEEKS_PER_YEAR
from allocator_pipeline.evaluation.hac import standard_error
from allocator_pipeline.evaluation.significance import checked_returns, sharpe_influence, weekly_sharpe

TRIES = 60
"""Scored tries of one sequence: five years of monthly ones."""

ERROR = 0.04
"""Chance of a false badge within a sequence; what estimation adds has room below 5 %."""

FLOOR = 1.5
"""The least threshold, in standard normal units."""

DRAWS = 200_000
SEED = 20_260_105

WEEKS_A_FREEDOM = 4
"""Weeks for each degree of freedom of the t statistic, whose standard error is estimated from dependent weeks."""

_NO_PIVOT = 1e-6


def allowed_error(tries: int) -> float:
    """Return the chance of an error that may have been spent after some tries: most of it early, a fifth evenly.

    ``ERROR * (0.8 * (6 / pi^2) * sum_{j <= m} 1 / j^2 + 0.2 * min(1, m / 60))``
    """
    early = 6 / math.pi**2 * sum(1 / j**2 for j in range(1, tries + 1))
    return ERROR * (0.8 * early + 0.2 * min(1.0, tries / TRIES))


def difference_stream(net: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Difference of two Sharpe ratios and the influence of each week on it.

    Parameters
    ----------
    net, other : ndarray of float64, shape (..., T)
        Weekly simple net returns of the same weeks.

    Returns
    -------
    tuple of (ndarray of float64, shape (...); ndarray of float64, shape (..., T))
        The difference of the *weekly* Sharpe ratios (divisor T in the variance), and the stream, whose mean is 0; all
        zeros where the two are equal or do not vary.
    """
    return weekly_sharpe(net) - weekly_sharpe(other), sharpe_influence(net) - sharpe_influence(other)


def evidence(difference: np.ndarray, stream: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Evidence for a positive difference: its t statistic, and the normal quantile as rare as that.

    Parameters
    ----------
    difference : ndarray of float64, shape (...)
    stream : ndarray of float64, shape (..., T)
        As `difference_stream` returns both.

    Returns
    -------
    tuple of (ndarray of float64, shape (...); ndarray of float64, shape (...))
        t = difference / standard error (`hac.standard_error`), and z, with the same tail probability as t has with
        T / 4 degrees of freedom. Both are 0 for a stream that does not vary: a tie is no evidence.
    """
    weeks = stream.shape[-1]
    error = standard_error(stream)
    varies = error > 1e-12
    t = np.where(varies, difference / np.where(varies, error, 1.0), 0.0)
    tail = special.stdtr(weeks / WEEKS_A_FREEDOM, -np.abs(t))
    return t, -np.sign(t) * special.ndtri(tail)


def scored(net: Sequence[float], other: Sequence[float]) -> dict[str, object]:
    """Return what the evidence of one comparison consists of.

    Parameters
    ----------
    net, other : sequence of float, length T
        Weekly simple net returns of the same weeks, T >= 26.

    Returns
    -------
    dict
        ``stream`` (list of float), ``sharpe_difference`` (per root year), ``t`` and ``z``.

    Raises
    ------
    NotEnoughDataError, WeightsError
        As `significance.checked_returns`.
    """
    difference, stream = difference_stream(*checked_returns(net, other))
    t, z = evidence(difference, stream)
    return {
        "stream": stream.tolist(),
        "sharpe_difference": float(difference) * math.sqrt(WEEKS_PER_YEAR),
        "t": float(t),
        "z": float(z),
    }


def correlation_row(
    weeks: Sequence[str], stream: Sequence[float], earlier: Sequence[tuple[Sequence[str], Sequence[float]]]
) -> np.ndarray:
    """Correlate the score of a try with those of earlier tries and itself.

    Parameters
    ----------
    weeks : sequence of str, length T
        ISO Mondays, increasing.
    stream : sequence of float, length T
        Influence of each week.
    earlier : sequence of pairs
        Weeks and stream of each earlier try, oldest first.

    Returns
    -------
    ndarray of float64, shape (len(earlier) + 1,)
        ``sum over common weeks of psi_i psi_j / (|psi_i| |psi_j|)``: scalar products of unit vectors, so that all rows
        together are a positive semi-definite matrix. 0 where a stream does not vary, on the diagonal as well.
    """
    mine = np.asarray(stream, dtype=np.float64)
    row = np.zeros(len(earlier) + 1)
    size = float(np.linalg.norm(mine))
    if size == 0.0:
        return row
    row[-1] = 1.0
    for at, (their_weeks, their_stream) in enumerate(earlier):
        theirs = np.asarray(their_stream, dtype=np.float64)
        _, here, there = np.intersect1d(np.asarray(weeks), np.asarray(their_weeks), True, True)
        norm = float(np.linalg.norm(theirs))
        row[at] = float(mine[here] @ theirs[there]) / (size * norm) if norm > 0.0 and len(here) else 0.0
    return row


class Thresholds:
    """Thresholds of successive tries, from draws of their scores as they would be if nothing differed.

    Parameters
    ----------
    sequences : int
        Sequences of tries followed side by side (a study has many, a ledger one).
    draws : int
        Draws of each sequence; 200,000 hold 48 MB of normal numbers after 60 tries.
    seed : int
        Equal seeds and correlations give equal thresholds, whatever comes after.

    Attributes
    ----------
    spent : ndarray of float64, shape (sequences,)
        Share of the draws that have crossed a threshold: the error spent so far.
    """

    def __init__(self, sequences: int = 1, draws: int = DRAWS, seed: int = SEED) -> None:
        self.draws, self.seed = draws, seed
        self._normals = np.empty((0, draws), dtype=np.float32)
        self._factor = np.zeros((sequences, 0, 0))
        self._crossed = np.zeros((sequences, draws), dtype=bool)

    @property
    def spent(self) -> np.ndarray:
        """Error spent so far."""
        return self._crossed.mean(axis=1)

    def next(self, rows: np.ndarray) -> np.ndarray:
        """Set the threshold of the next try.

        Parameters
        ----------
        rows : ndarray of float64, shape (sequences, m)
            Correlations of try m with tries 1, ..., m, as `correlation_row` returns them. What correlates with nothing,
            not even itself, cannot cross and spends nothing.

        Returns
        -------
        ndarray of float64, shape (sequences,)
            The value above which new crossings use up what `allowed_error` leaves, at least 1.5.
        """
        tries = rows.shape[1]
        fresh = np.random.default_rng([self.seed, tries]).standard_normal((1, self.draws), dtype=np.float32)
        self._normals = np.concatenate([self._normals, fresh])
        self._extend(rows)
        scores = self._factor[:, -1].astype(np.float32) @ self._normals
        allowed = math.floor(self.draws * allowed_error(tries) + 1e-9)
        thresholds = np.full(len(rows), FLOOR)
        for at, (score, crossed) in enumerate(zip(scores, self._crossed, strict=True)):
            above = np.flatnonzero(score > FLOOR)
            above = above[~crossed[above]]
            left = allowed - int(np.count_nonzero(crossed))
            if len(above) > left:
                ranked = np.partition(score[above], len(above) - left - 1)
                thresholds[at] = ranked[len(above) - left - 1]
            crossed[above[score[above] > thresholds[at]]] = True
        return thresholds

    def _extend(self, rows: np.ndarray) -> None:
        """Add a row to the Cholesky factors; tries that repeat earlier ones get no pivot of their own."""
        sequences, tries = rows.shape
        factor = np.zeros((sequences, tries, tries))
        factor[:, :-1, :-1] = self._factor
        for column in range(tries - 1):
            pivot = factor[:, column, column]
            rest = rows[:, column] - np.einsum("sk,sk->s", factor[:, -1, :column], factor[:, column, :column])
            usable = pivot > _NO_PIVOT
            factor[:, -1, column] = np.where(usable, rest / np.where(usable, pivot, 1.0), 0.0)
        left = rows[:, -1] - (factor[:, -1] ** 2).sum(axis=1)
        factor[:, -1, -1] = np.sqrt(np.maximum(left, 0.0))
        self._factor = factor
