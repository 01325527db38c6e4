"""What stands beside the accounts: the one accounting, an index fund bought once, and weeks that were known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from allocator_pipeline.config import CASH, CostConfig
from allocator_pipeline.errors import NotEnoughDataError
from allocator_pipeline.evaluation.weekly.rivals import (
    INDEX_FUND,
    as_mapping,
    baseline_weeks,
    execution_sessions,
    growth,
    index_fund_weeks,
    last_known,
)
from allocator_pipeline.market import calendar
from allocator_pipeline.portfolio.rollout import simulate
from allocator_pipeline_tests.account.market import make_market
from allocator_pipeline_tests.evaluation.conftest import Tilted, year_of_states

COSTS = CostConfig()
WEEKS = ["2019-01-07", "2019-01-14", "2019-01-21", "2019-01-28"]


@pytest.fixture(scope="module")
def prices() -> pd.DataFrame:
    """Return a year of prices, one of whose symbols is the index fund."""
    made = make_market().prices
    return made.assign(symbol=made["symbol"].replace("S00", INDEX_FUND))


def test_a_baseline_is_walked_by_the_one_accounting():
    states, rule = year_of_states(2016)[:10], Tilted((0, 3))
    assert baseline_weeks(rule, states, COSTS) == simulate(rule.target_weights, states, COSTS).net.tolist()


@pytest.mark.parametrize("has_open", [True, False])
def test_the_index_fund_is_bought_once_and_held(prices, has_open):
    nets = index_fund_weeks(prices, WEEKS, has_open, COSTS)
    own = prices[prices["symbol"] == INDEX_FUND].set_index("date")
    fill = own["open"] * own["adj_close"] / own["close"] if has_open else own["adj_close"]
    first, last = execution_sessions(WEEKS)[[0, -1]]
    assert np.prod([1.0 + net for net in nets]) == pytest.approx(0.999 * fill[last] / fill[first], rel=1e-12)
    assert last == pd.Timestamp("2019-02-04")


def test_a_price_that_is_missing_is_no_zero_return(prices):
    gap = (prices["symbol"] == INDEX_FUND) & (prices["date"] == calendar.week(WEEKS[2])["execution_session"])
    with pytest.raises(NotEnoughDataError, match="no price of SPY at the execution of 2019-01-22"):
        index_fund_weeks(prices[~gap], WEEKS, True, COSTS)


@pytest.mark.parametrize(
    ("week", "known"),
    [
        ("2022-12-26", "2022-12-12"),  # executed on a Tuesday
        ("2022-06-13", "2022-05-30"),
        ("2020-01-06", "2019-12-23"),
    ],
)
def test_the_week_before_last_is_known_at_a_decision(week, known):
    assert last_known(week) == known
    assert calendar.week(known)["exit_session"] <= calendar.week(week)["decision_session"]


def test_growth_counts_from_a_week_on():
    assert growth([0.1, 0.1, -0.5], WEEKS[:3], WEEKS[1]) == pytest.approx(1.1 * 0.5 - 1.0)
    assert growth([], [], WEEKS[0]) == 0.0


def test_weights_of_a_week_or_none():
    table = pd.DataFrame({"week": pd.to_datetime([WEEKS[0]] * 2), "symbol": ["A", CASH], "weight": [0.2, 0.8]})
    assert as_mapping(table, WEEKS[0]) == {"A": 0.2, CASH: 0.8}
    assert as_mapping(table, WEEKS[1]) is None
