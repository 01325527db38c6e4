"""The probability of backtest overfitting: a loop by hand, noise, skill, ties."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.stats import rankdata

from allocator_pipeline.errors import NotEnoughDataError, WeightsError
from allocator_pipeline.evaluation.overfitting import overfitting_probability


def noise(seed: int, weeks: int = 416, columns: int = 12) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.001, 0.02, (weeks, columns))


def test_it_equals_a_loop_over_halves():
    returns = noise(1, 66, 5)  # two weeks are left out
    spells = np.split(returns[2:], 8)
    worse, logits = [], []
    for half in itertools.combinations(range(8), 4):
        inside = np.concatenate([spells[n] for n in half])
        outside = np.concatenate([spells[n] for n in range(8) if n not in half])
        best = (inside.mean(0) / inside.std(0, ddof=1)).argmax()
        rank = rankdata(outside.mean(0) / outside.std(0, ddof=1))[best] / 6
        worse.append(rank <= 0.5)
        logits.append(math.log(rank / (1 - rank)))
    found = overfitting_probability(returns, spells=8)
    assert (found["splits"], found["weeks"], found["columns"]) == (70, 64, 5)
    assert found["probability"] == pytest.approx(np.mean(worse))
    assert found["logit"] == pytest.approx(np.mean(logits))


def test_choosing_among_noise_is_overfitting_about_half_of_the_time():
    assert np.mean([overfitting_probability(noise(seed))["probability"] for seed in range(30)]) == pytest.approx(
        0.5, abs=0.12
    )


@pytest.mark.parametrize(("columns", "expected"), [(2, 1 / 2), (3, 2 / 3), (9, 5 / 9), (12, 1 / 2), (21, 11 / 21)])
def test_what_luck_alone_makes_of_it_depends_on_whether_the_number_of_columns_is_odd(columns, expected):
    chances = [overfitting_probability(noise(seed, columns=columns), spells=8) for seed in range(60)]
    assert [found["by_luck"] for found in chances] == pytest.approx([expected] * len(chances))
    assert np.mean([found["probability"] for found in chances]) == pytest.approx(expected, abs=0.09)


def test_skill_is_not_overfitting():
    returns = noise(2)
    returns[:, 3] += 0.01
    found = overfitting_probability(returns)
    assert found["probability"] == 0.0
    assert found["loss_probability"] == 0.0
    assert found["out_of_sample"] == pytest.approx(found["in_sample"], rel=0.05)


def test_what_was_best_and_turns_worst_is_overfitting():
    weeks = np.arange(416)
    sign = np.where(weeks < 208, 1.0, -1.0)
    returns = noise(3, columns=2) * 0.1 + 0.01 * np.stack([sign, -sign], axis=1)
    assert overfitting_probability(returns, spells=2)["probability"] == 1.0


def test_equal_columns_share_a_rank():
    column = noise(4, columns=1)
    found = overfitting_probability(np.repeat(column, 4, axis=1))
    assert found["logit"] == pytest.approx(0.0)  # the rank of all is the middle one


def test_the_mean_does_not_cost_digits():
    returns = noise(5)
    large = overfitting_probability(returns + 100.0)
    assert large["in_sample"] == pytest.approx(
        math.sqrt(52) * 100 / 0.02, rel=0.1
    )  # a Sharpe ratio of 36,000 from sums of squares near 10,000


def test_what_cannot_be_validated_is_refused():
    with pytest.raises(NotEnoughDataError):
        overfitting_probability(noise(6, 31))
    with pytest.raises(NotEnoughDataError):
        overfitting_probability(noise(6, columns=1))
    with pytest.raises(WeightsError):
        overfitting_probability(noise(6), spells=7)
    with pytest.raises(WeightsError):
        overfitting_probability(np.full((416, 3), math.nan))
