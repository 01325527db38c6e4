"""Baselines as tables: made on a walk through the year, replayed through the environment."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from allocator_pipeline import schemas
from allocator_pipeline.allocators.baselines import baseline
from allocator_pipeline.allocators.scheduled import Scheduled, scheduled_weights
from allocator_pipeline.config import BASELINES, CASH, CostConfig
from allocator_pipeline.errors import ConflictError, NotEnoughDataError
from allocator_pipeline.features.outcomes import weekly_outcomes
from allocator_pipeline.portfolio.rollout import simulate
from allocator_pipeline.portfolio.state import StateTensors
from allocator_pipeline_tests.allocators.conftest import SYMBOLS, see

COSTS = CostConfig()
UNIVERSE = pd.DataFrame({"year": 2015, "slot": np.arange(15), "symbol": SYMBOLS})


@pytest.fixture(scope="module")
def states(prices) -> StateTensors:
    """The known weeks of 2015; features show nothing."""
    returns, marks = weekly_outcomes(2015, UNIVERSE, prices, has_open=False)
    table = scheduled_weights("equal_weight", 2015, prices, UNIVERSE, COSTS)
    weeks = np.unique(table["week"].to_numpy()).astype("datetime64[D]")
    count = len(weeks)
    every = StateTensors(
        weeks=weeks,
        symbols=np.tile(SYMBOLS, (count, 1)),
        signals=np.zeros((count, 15, 7)),
        missing=np.zeros((count, 15, 7), dtype=bool),
        forecasts=np.zeros((count, 15)),
        returns=returns,
        marks=marks,
    )
    return every[every.known]


@pytest.mark.parametrize("name", BASELINES)
def test_replaying_the_table_is_walking_the_baseline(name, prices, states):
    table = schemas.validate(scheduled_weights(name, 2015, prices, UNIVERSE, COSTS), schemas.BASELINE_WEIGHTS, name)
    replayed = simulate(Scheduled(table).target_weights, states, COSTS)
    walked = simulate(baseline(name, prices, COSTS).target_weights, states, COSTS)
    np.testing.assert_allclose(replayed.targets, walked.targets, atol=1e-12)


@pytest.mark.parametrize("name", BASELINES)
def test_no_week_reads_a_price_after_its_decision(name, prices):
    cut = pd.Timestamp("2015-03-06")
    changed = prices.copy()
    after = changed["date"] > cut
    noise = np.random.default_rng(3).normal(0, 0.05, int(after.sum()))
    changed.loc[after, "adj_close"] *= np.exp(noise)
    honest, corrupt = (scheduled_weights(name, 2015, table, UNIVERSE, COSTS) for table in (prices, changed))
    early = honest["week"] <= pd.Timestamp("2015-03-09")  # decided on the Friday of the cut
    pd.testing.assert_frame_equal(honest[early], corrupt[early])
    if name not in ("equal_weight", "random"):
        assert not honest[~early].equals(corrupt[~early])


def test_buy_and_hold_trades_only_the_move_between_decision_and_execution(prices, states):
    run = simulate(
        Scheduled(scheduled_weights("buy_and_hold", 2015, prices, UNIVERSE, COSTS)).target_weights, states, COSTS
    )
    equal = simulate(baseline("equal_weight", prices, COSTS).target_weights, states, COSTS)
    assert run.turnover[0] == pytest.approx(0.98)
    assert run.turnover[1:].mean() < 0.6 * equal.turnover[1:].mean()
    still = np.where(np.isfinite(states.marks), states.returns, np.nan)  # as if nothing moved in between
    calm = StateTensors(**{**vars(states), "marks": still})
    assert simulate(baseline("buy_and_hold", prices, COSTS).target_weights, calm, COSTS).turnover[1:].max() < 0.005


def test_a_week_or_a_universe_the_table_does_not_know_is_refused(prices):
    rule = Scheduled(scheduled_weights("random", 2015, prices, UNIVERSE, COSTS))
    assert rule.target_weights(see("2015-06-01"))[-1] >= 0.02
    with pytest.raises(NotEnoughDataError, match="no weights for this week"):
        rule.target_weights(see("2016-06-06"))
    with pytest.raises(ConflictError, match="another universe"):
        rule.target_weights(see("2015-06-01", SYMBOLS[::-1]))


def test_a_table_has_every_decidable_week_with_cash_last(prices):
    short = prices[prices["date"] <= "2015-02-20"]
    table = scheduled_weights("momentum", 2015, short, UNIVERSE, COSTS)
    assert table["week"].max() == pd.Timestamp("2015-02-23")  # decided on the last session there is
    assert table.groupby("week")["symbol"].last().unique().tolist() == [CASH]
    np.testing.assert_allclose(table.groupby("week")["weight"].sum(), 1.0)
