"""Thresholds for repeated looks: known quantiles, the error they spend, ties, and the evidence they judge."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from allocator_pipeline.errors import NotEnoughDataError
from allocator_pipeline.evaluation.evidence import (
    ERROR,
    FLOOR,
    TRIES,
    Thresholds,
    allowed_error,
    correlation_row,
    difference_stream,
    evidence,
    scored,
)
from allocator_pipeline.evaluation.hac import standard_error
from allocator_pipeline.evaluation.metrics import sharpe_ratio


def thresholds_of(matrix: np.ndarray, draws: int = 100_000, seed: int = 1) -> tuple[np.ndarray, float]:
    rule = Thresholds(draws=draws, seed=seed)
    found = [rule.next(matrix[None, m, : m + 1])[0] for m in range(len(matrix))]
    return np.array(found), float(rule.spent[0])


def autoregressive(tries: int, persistence: float) -> np.ndarray:
    at = np.arange(tries)
    return persistence ** np.abs(at[:, None] - at)


def test_the_allowance_grows_to_the_whole_error():
    allowed = [allowed_error(tries) for tries in range(1, TRIES + 1)]
    assert allowed[0] == pytest.approx(0.04 * (0.8 * 6 / math.pi**2 + 0.2 / 60))
    assert np.all(np.diff(allowed) > 0)
    assert 0.98 * ERROR < allowed[-1] < ERROR


def test_the_first_threshold_is_a_normal_quantile():
    found, spent = thresholds_of(np.ones((1, 1)))
    assert found[0] == pytest.approx(stats.norm.isf(allowed_error(1)), abs=0.03)
    assert spent == pytest.approx(allowed_error(1), abs=2e-5)


def test_independent_tries_spend_their_increments():
    found, _ = thresholds_of(np.eye(4), draws=400_000)
    increments = np.diff([0.0, *(allowed_error(tries) for tries in range(1, 5))])
    before = np.array([0.0, *(allowed_error(tries) for tries in range(1, 4))])
    assert found == pytest.approx(stats.norm.isf(increments / (1 - before)), abs=0.05)


def test_the_same_try_again_costs_nothing_and_gains_what_was_left():
    """Two looks at one and the same score are one look, with the allowance of both."""
    found, spent = thresholds_of(np.ones((2, 2)))
    assert found[1] == pytest.approx(stats.norm.isf(allowed_error(2)), abs=0.03)
    assert spent == pytest.approx(allowed_error(2), abs=2e-5)


def test_likeness_lowers_thresholds():
    alike, apart = (thresholds_of(autoregressive(12, persistence))[0] for persistence in (0.97, 0.0))
    assert (alike[1:] < apart[1:]).all()


@pytest.mark.parametrize("persistence", [0.0, 0.9, 0.99])
def test_scores_that_were_not_drawn_cross_as_often_as_allowed(persistence):
    matrix = autoregressive(TRIES, persistence)
    found, spent = thresholds_of(matrix)
    others = np.random.default_rng(77).standard_normal((40_000, TRIES)) @ np.linalg.cholesky(matrix).T
    assert spent <= allowed_error(TRIES) + 1e-9
    assert (others > found).any(axis=1).mean() == pytest.approx(allowed_error(TRIES), abs=0.004)


def test_a_tie_crosses_nothing_and_leaves_its_error_to_the_next():
    tied = np.eye(2)
    tied[0, 0] = 0.0
    found, spent = thresholds_of(tied)
    assert found[0] == FLOOR
    assert found[1] == pytest.approx(stats.norm.isf(allowed_error(2)), abs=0.03)
    assert spent == pytest.approx(allowed_error(2), abs=2e-5)


def test_sequences_side_by_side_are_those_alone():
    matrices = [autoregressive(5, persistence) for persistence in (0.2, 0.9)]
    rule = Thresholds(2, draws=20_000, seed=3)
    together = [rule.next(np.stack([matrix[m, : m + 1] for matrix in matrices])) for m in range(5)]
    for at, matrix in enumerate(matrices):
        assert thresholds_of(matrix, 20_000, 3)[0] == pytest.approx([row[at] for row in together], rel=1e-6)


def test_equal_seeds_give_equal_thresholds():
    matrix = autoregressive(5, 0.9)
    assert (thresholds_of(matrix)[0] == thresholds_of(matrix)[0]).all()
    assert (thresholds_of(matrix)[0] != thresholds_of(matrix, seed=2)[0]).any()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 8), st.integers(2, 12))
def test_any_streams_give_thresholds_above_the_floor_and_never_overspend(seed, weeks, tries):
    """More tries than weeks make a matrix without full rank."""
    streams = np.random.default_rng(seed).normal(size=(tries, weeks))
    streams /= np.linalg.norm(streams, axis=1, keepdims=True)
    found, spent = thresholds_of(streams @ streams.T, draws=5_000)
    assert (found >= FLOOR).all()
    assert spent <= allowed_error(tries)


def test_correlations_are_those_of_common_weeks():
    weeks = [f"2020-{1 + n // 28:02d}-{1 + n % 28:02d}" for n in range(60)]
    first, second = np.random.default_rng(5).normal(size=(2, 40))
    row = correlation_row(weeks[20:], second, [(weeks[:40], first), (weeks[20:], 2 * second), (weeks[:2], [1.0, 1.0])])
    common = first[20:] @ second[:20] / (np.linalg.norm(first) * np.linalg.norm(second))
    assert row == pytest.approx([common, 1.0, 0.0, 1.0])


def test_a_stream_of_nothing_correlates_with_nothing():
    weeks, stream = ["2020-01-06", "2020-01-13"], [1.0, -1.0]
    assert correlation_row(weeks, [0.0, 0.0], [(weeks, stream)]).tolist() == [0.0, 0.0]
    assert correlation_row(weeks, stream, [(weeks, [0.0, 0.0]), ([], [])]).tolist() == [0.0, 0.0, 1.0]


def test_evidence_is_the_difference_over_its_error_as_a_normal_quantile():
    rng = np.random.default_rng(6)
    net, other = rng.normal(0.003, 0.02, 104), rng.normal(0.002, 0.02, 104)
    difference, stream = difference_stream(net, other)
    t, z = evidence(difference, stream)
    assert t == pytest.approx(difference / standard_error(stream))
    assert stats.norm.sf(z) == pytest.approx(stats.t.sf(t, 26))
    back, mirrored = evidence(*difference_stream(other, net))
    assert (back, mirrored) == pytest.approx((-t, -z))
    found = scored(net, other)
    assert found["sharpe_difference"] == pytest.approx(sharpe_ratio(net) - sharpe_ratio(other), rel=0.01)


def test_large_evidence_stays_finite_and_ordered():
    stream = np.random.default_rng(7).normal(size=520)
    _, z = evidence(np.array([0.5, 1.0, 2.0]), np.broadcast_to(stream, (3, 520)))
    assert np.isfinite(z).all()
    assert (np.diff(z) > 0).all()


def test_a_tie_is_no_evidence():
    net = np.random.default_rng(8).normal(0.002, 0.02, 60)
    found = scored(net, net)
    assert (found["t"], found["z"], found["sharpe_difference"], set(found["stream"])) == (0.0, 0.0, 0.0, {0.0})


def test_too_few_weeks_are_refused():
    with pytest.raises(NotEnoughDataError):
        scored([0.01] * 25, [0.0] * 25)


def test_a_whole_sequence_is_cheap():
    start = time.process_time()
    thresholds_of(autoregressive(TRIES, 0.97), draws=200_000)
    assert time.process_time() - start < 5.0
