from __future__ import annotations

import numpy as np
import pytest

from allocator_pipeline.allocators.baselines import BuyAndHold, EqualWeight, Momentum, RandomPortfolio, baseline
from allocator_pipeline.allocators.history import DailyReturns
from allocator_pipeline.config import BASELINES, CostConfig
from allocator_pipeline.errors import ConfigurationError
from allocator_pipeline.portfolio.constraints import check_weights, equal_weights
from allocator_pipeline_tests.allocators.conftest import SYMBOLS, see

COSTS = CostConfig()


def test_every_baseline_keeps_the_constraints(prices):
    for name in BASELINES:
        for cap in (0.2, 0.1):
            costs = CostConfig(max_position_weight=cap)
            check_weights(baseline(name, prices, costs).target_weights(see("2015-06-01")), costs)


def test_an_unknown_baseline_is_refused(prices):
    with pytest.raises(ConfigurationError, match="no baseline 'luck'"):
        baseline("luck", prices, COSTS)


def test_equal_weight_is_equal():
    weights = EqualWeight(COSTS).target_weights(see("2015-06-01"))
    np.testing.assert_allclose(weights, np.r_[np.full(15, 0.98 / 15), 0.02], atol=1e-15)
    check_weights(weights, COSTS)


def test_buy_and_hold_buys_equal_weights_and_then_keeps_what_it_has():
    rule = BuyAndHold(COSTS)
    np.testing.assert_array_equal(rule.target_weights(see("2015-01-05")), equal_weights(COSTS))
    held = np.r_[np.linspace(0.03, 0.1, 15), 0.025]
    np.testing.assert_allclose(rule.target_weights(see("2015-06-01", weights=held)), held, atol=1e-15)


def test_buy_and_hold_sells_only_what_cap_and_buffer_force():
    held = np.r_[0.25, np.full(14, 0.74 / 14), 0.01]
    found = BuyAndHold(COSTS).target_weights(see("2015-06-01", weights=held))
    np.testing.assert_allclose(found, np.r_[0.2, np.full(14, 0.78 / 14), 0.02])


def test_momentum_holds_the_five_that_rose_most_before_the_last_month(prices):
    found = Momentum(DailyReturns(prices), COSTS).target_weights(see("2015-06-01"))
    wide = prices.pivot(index="date", columns="symbol", values="adj_close")[SYMBOLS].loc[:"2015-05-29"]
    rise = wide.iloc[-22] / wide.iloc[-253]
    winners = {SYMBOLS[slot] for slot in np.flatnonzero(found[:-1])}
    assert winners == set(rise.sort_values().index[-5:])
    np.testing.assert_allclose(np.sort(found)[-5:], 0.98 / 5)
    assert found[-1] == pytest.approx(0.02)


def test_momentum_is_blind_to_the_last_month(prices):
    last_month = (
        prices["date"] > prices.loc[prices["date"] <= "2015-05-29", "date"].drop_duplicates().nlargest(21).min()
    )
    changed = prices.assign(adj_close=prices["adj_close"].where(~last_month, prices["adj_close"] * 1.5))
    before, after = (
        Momentum(DailyReturns(table), COSTS).target_weights(see("2015-06-01")) for table in (prices, changed)
    )
    np.testing.assert_array_equal(before, after)


def test_momentum_under_a_tight_cap_leaves_the_rest_in_cash(prices):
    found = Momentum(DailyReturns(prices), CostConfig(max_position_weight=0.1)).target_weights(see("2015-06-01"))
    np.testing.assert_allclose(np.sort(found), np.r_[np.zeros(10), np.full(5, 0.1), 0.5])


def test_the_random_portfolio_depends_on_the_week_and_on_nothing_else():
    rule = RandomPortfolio(COSTS)
    first = rule.target_weights(see("2015-06-01"))
    np.testing.assert_array_equal(first, rule.target_weights(see("2015-06-01", SYMBOLS[::-1], np.full(16, 1 / 16))))
    np.testing.assert_array_equal(first, RandomPortfolio(COSTS).target_weights(see("2015-06-01")))
    assert (first != rule.target_weights(see("2015-06-08"))).any()


def test_random_portfolios_are_uniform_where_no_limit_binds():
    """Every part of a uniform point of the simplex of 16 is Beta(1, 15): mean 1/16, P(part > x) = (1 - x)^15."""
    free = CostConfig(max_position_weight=1.0, cash_buffer=0.0)
    weeks = np.arange("2000-01-03", "2060-01-01", 7, dtype="datetime64[D]")
    drawn = np.array([RandomPortfolio(free).target_weights(see(str(week))) for week in weeks])
    np.testing.assert_allclose(drawn.mean(axis=0), 1 / 16, atol=0.005)
    for level in (0.02, 0.1, 0.2):
        np.testing.assert_allclose((drawn > level).mean(), (1 - level) ** 15, atol=0.006)
