"""The gates of the study against slow second implementations and cases with known answers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from arch.bootstrap import StationaryBootstrap
from scipy import stats

from allocator_pipeline.evaluation.evidence import Thresholds, allowed_error, correlation_row, scored
from allocator_pipeline.evaluation.hac import long_run_variance
from allocator_pipeline.studies.gate_market import Month, Setting, months
from allocator_pipeline.studies.gate_rules import (
    GATES,
    Bonferroni,
    Bootstrap,
    EValues,
    Evidence,
    Look,
    Looks,
    Point,
    Saffron,
    all_gates,
    log_wealth,
    stationary_weights,
)

SETTING = Setting(2, "normal", "ar1")


def look(p_value: float | list[float]) -> Look:
    """Return a look of one baseline that shows some p-values."""
    z = stats.norm.isf(np.atleast_1d(p_value))[None]
    month = Month(slice(0, 1), np.zeros((1, z.shape[1], 1)), np.zeros((z.shape[1], 1)))
    return Look(month, z, np.full_like(z, 2.0), z, np.zeros_like(z))


def test_looks_are_those_of_the_ledger_one_market_at_a_time():
    found = list(months(SETTING, 3, 5, np.random.default_rng(1)))
    looks = Looks(3, found[0].candidate.shape[1], 5, draws=5_000, seed=2)
    shown = [looks.look(month) for month in found]
    for baseline in range(2):
        for run in range(3):
            rule, earlier = Thresholds(draws=5_000, seed=2), []
            for month, each in zip(found, shown, strict=True):
                weeks = [f"{week:05d}" for week in range(month.weeks.start, month.weeks.stop)]
                own = scored(month.candidate[run, month.weeks], month.baselines[baseline, run, month.weeks])
                row = correlation_row(weeks, own["stream"], earlier)
                earlier.append((weeks, own["stream"]))
                assert each.z[baseline, run] == pytest.approx(own["z"])
                assert each.threshold[baseline, run] == pytest.approx(rule.next(row[None])[0], abs=0.01)


def test_the_variance_of_the_stationary_bootstrap_is_that_of_its_draws():
    stream = np.random.default_rng(3).normal(size=104)
    stream = stream + 0.5 * np.roll(stream, 1)
    block = math.ceil(104 ** (1 / 3))
    drawn = [data[0][0].mean() for data in StationaryBootstrap(block, stream, seed=4).bootstrap(20_000)]
    exact = long_run_variance(stream, stationary_weights(104)) / 104
    assert np.var(drawn) == pytest.approx(exact, rel=0.05)


def test_bets_on_nothing_are_fair_and_bets_on_growth_pay():
    rng = np.random.default_rng(5)
    nothing = log_wealth(rng.normal(0, 0.01, (4000, 260)))
    assert (nothing > math.log(20)).mean() <= 0.05
    assert np.median(log_wealth(rng.normal(0.003, 0.01, (50, 520)))) > math.log(100)


def test_a_bet_knows_the_past_only():
    growth = np.random.default_rng(6).normal(0.003, 0.01, (1, 200))
    stakes = []
    for weeks in (100, 200):
        wealth = log_wealth(growth[:, :weeks])
        stakes.append(wealth)
    assert stakes[1] >= stakes[0]
    assert log_wealth(growth[:, :26]) == 0.0  # nothing is staked before
    assert log_wealth(growth[:, :27]) == pytest.approx(max(0.0, math.log1p(_stake(growth[0, :26]) * growth[0, 26])))


def _stake(past: np.ndarray) -> float:
    return min(max(past.mean() / (past**2).mean(), 0.0), 0.5 / np.abs(past).max())


def test_the_point_rule_demands_more_of_every_next_one():
    def month(candidate: float) -> Look:
        base = np.random.default_rng(7).normal(0, 0.01, (1, 1, 104))
        return Look(Month(slice(0, 104), base, base[0] + candidate), *[np.zeros((1, 1))] * 4)

    gate = Point()
    assert [bool(gate.passes(month(gain))[0]) for gain in (-0.001, 0.002, 0.001, 0.003, 0.003)] == [
        False,
        True,
        False,
        True,
        False,
    ]


def test_evidence_bootstrap_and_bonferroni_compare():
    assert Evidence().passes(look([0.02, 0.03])).tolist() == [True, False]  # the threshold is 2
    assert Bootstrap().passes(look([0.049, 0.051])).tolist() == [True, False]
    assert Bonferroni().passes(look([0.0008, 0.0009])).tolist() == [True, False]


def naive_saffron(p_values: list[float], alpha: float = 0.05, lam: float = 0.5) -> list[bool]:
    """Follow section 3 of the paper line by line."""
    gamma = np.arange(1, 61) ** -1.6 / stats.zipf(1.6).pmf(1) ** -1
    start, rejected, passes = alpha / 2, [], []
    candidates = [p <= lam for p in p_values]
    for t in range(1, len(p_values) + 1):
        since = [sum(candidates[tau : t - 1]) for tau in rejected]
        level = start * gamma[t - sum(candidates[: t - 1]) - 1]
        if rejected:
            level += (alpha - start) * gamma[t - rejected[0] - since[0] - 1]
        level += sum(alpha * gamma[t - tau - c - 1] for tau, c in zip(rejected[1:], since[1:], strict=True))
        passes.append(p_values[t - 1] <= min(lam, (1 - lam) * level))
        if passes[-1]:
            rejected.append(t)
    return passes


def test_saffron_is_the_papers():
    rng = np.random.default_rng(8)
    streams = [np.where(rng.random(40) < 0.4, rng.random(40) * 0.004, rng.random(40)).tolist() for _ in range(20)]
    gate = Saffron()
    together = np.array([gate.passes(look([stream[t] for stream in streams])) for t in range(40)]).T
    assert together.any()
    assert together.tolist() == [naive_saffron(stream) for stream in streams]


def test_e_values_share_the_allowance():
    gate = EValues()
    needed = -math.log(0.05 * allowed_error(1) / allowed_error(60))
    first = look(0.5)
    assert gate.passes(Look(first.month, *[first.z] * 3, np.full((1, 1), needed + 0.01)))[0]
    assert not gate.passes(Look(first.month, *[first.z] * 3, np.full((1, 1), needed + 0.01)))[0]  # the second is dearer


def test_both_baselines_must_be_beaten():
    z = np.array([[3.0], [1.0]])
    month = Month(slice(0, 104), np.zeros((2, 1, 104)), np.zeros((1, 104)))
    both = Look(month, z, np.full((2, 1), 2.0), z, np.zeros((2, 1)))
    assert not Evidence().passes(both)[0]
    assert Evidence().passes(both.against([0]))[0]
    assert not Bonferroni().passes(both)[0]


def test_there_is_one_gate_of_each_name():
    assert tuple(all_gates()) == GATES
