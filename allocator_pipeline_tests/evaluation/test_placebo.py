"""The placebo of the forecasts: what a draw keeps, and that forecasts without worth are found worthless."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from allocator_pipeline.evaluation.metrics import sharpe_ratio
from allocator_pipeline.evaluation.placebo import placebo_p, shuffled_forecasts
from allocator_pipeline.portfolio.state import StateTensors

WEEKS, DRAWS, MARKETS = 104, 119, 600
COST = 0.001


def persistent(states: StateTensors, generator: np.random.Generator) -> StateTensors:
    """Return weeks whose forecasts last and are worth nothing; what stocks earn on average differs, and nobody knows.

    Each forecast is a lasting opinion about the stock and a part that resembles last week's with 0.97.
    """
    shocks = generator.normal(size=(WEEKS, 15)) * np.sqrt(1 - 0.97**2)
    shocks[0] /= np.sqrt(1 - 0.97**2)
    path = np.empty_like(shocks)
    path[0] = shocks[0]
    for week in range(1, WEEKS):
        path[week] = 0.97 * path[week - 1] + shocks[week]
    market = generator.normal(0.002, 0.02, (WEEKS, 1))
    returns = market + generator.normal(0.0, 0.02, (WEEKS, 15)) + generator.normal(0.0, 0.002, 15)
    return dataclasses.replace(states[:WEEKS], forecasts=path + generator.normal(size=15), returns=returns)


def linear(forecasts: np.ndarray, returns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return net returns and turnover of a tilt that is linear in the forecasts, shape (..., T)."""
    weights = (1.0 + 0.5 * (forecasts - forecasts.mean(axis=-1, keepdims=True))) / 15
    turnover = 0.5 * np.abs(np.diff(weights, axis=-2)).sum(axis=-1)
    turnover = np.concatenate([np.zeros_like(turnover[..., :1]), turnover], axis=-1)
    return (weights * returns).sum(axis=-1) - COST * turnover, turnover


def drawn(states: StateTensors) -> np.ndarray:
    """Return the forecasts of all draws, shape (DRAWS, T, 15)."""
    return np.stack([shuffled_forecasts(states, draw).forecasts for draw in range(DRAWS)])


def p_of(states: StateTensors) -> float:
    """Return the placebo's p-value of the linear policy."""
    net, _ = linear(drawn(states), states.returns)
    true, _ = linear(states.forecasts, states.returns)
    rows = [{"unshrunk_sharpe": float(value)} for value in sharpe_ratio(net)]
    return placebo_p({"draws": rows, "unshrunk_sharpe": float(sharpe_ratio(true))})


def test_worthless_forecasts_that_last_are_significant_in_one_market_of_twenty(states):
    """So many draws can show exactly 5 %; the standard error of the rate is 0.9 points."""
    generator = np.random.default_rng(20_260_109)
    found = [p_of(persistent(states, generator)) for _ in range(MARKETS)]
    assert 0.03 < np.mean(np.array(found) <= 0.05) < 0.075


def test_forecasts_that_know_the_stock_are_significant(states):
    generator = np.random.default_rng(20_260_110)
    found = []
    for _ in range(20):
        made = persistent(states, generator)
        found.append(p_of(dataclasses.replace(made, forecasts=made.forecasts + 15 * made.returns)))
    assert np.mean(np.array(found) <= 0.05) > 0.9


def test_draws_turn_over_as_much_as_the_policy_does(states):
    made = persistent(states, np.random.default_rng(20_260_111))
    _, turnover = linear(drawn(made), made.returns)
    _, own = linear(made.forecasts, made.returns)
    assert turnover.mean(axis=1) == pytest.approx(np.full(DRAWS, own.mean()), rel=0.05)


def test_a_draw_keeps_every_path_whole_and_gives_it_to_another_stock(states):
    moved = shuffled_forecasts(states, 0)
    order = [int(np.flatnonzero((states.forecasts == path[:, None]).all(axis=0))[0]) for path in moved.forecasts.T]
    assert sorted(order) == list(range(15))
    assert sum(place != slot for slot, place in enumerate(order)) > 8
    np.testing.assert_array_equal(shuffled_forecasts(states, 0).forecasts, moved.forecasts)
    assert (shuffled_forecasts(states, 1).forecasts != moved.forecasts).any()
    assert dataclasses.replace(moved, forecasts=states.forecasts).digest() == states.digest()
