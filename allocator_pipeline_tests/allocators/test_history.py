from __future__ import annotations

import numpy as np
import pytest

from allocator_pipeline.allocators.history import DailyReturns
from allocator_pipeline.errors import MarketDataError, NotEnoughDataError
from allocator_pipeline.market import calendar
from allocator_pipeline_tests.allocators.conftest import SYMBOLS, returns_before, see


def test_a_year_up_to_the_decision(prices):
    found = DailyReturns(prices).before(see("2015-06-01"))
    assert found.shape == (252, 15)
    np.testing.assert_allclose(found, returns_before(prices, "2015-05-29"), rtol=1e-12)


def test_nothing_after_the_decision_session_is_read(prices):
    week = "2015-01-12"
    decision = calendar.week(week)["decision_session"]
    before = DailyReturns(prices).before(see(week))
    later = prices.copy()
    later.loc[later["date"] > decision, "adj_close"] *= 3.0
    np.testing.assert_array_equal(DailyReturns(later).before(see(week)), before)
    at = prices.copy()
    at.loc[(at["date"] == decision) & (at["symbol"] == "S00"), "adj_close"] *= 1.2
    assert (DailyReturns(at).before(see(week)) != before).any()


def test_columns_follow_the_slots(prices):
    order = np.random.default_rng(0).permutation(15)
    found = DailyReturns(prices).before(see("2015-03-02", SYMBOLS[order]))
    np.testing.assert_array_equal(found, DailyReturns(prices).before(see("2015-03-02"))[:, order])


def test_sixty_days_are_needed(prices):
    history = DailyReturns(prices)
    assert len(history.before(see("2014-04-07"))) == 64
    with pytest.raises(NotEnoughDataError, match="needs 60 daily returns, there are") as caught:
        history.before(see("2014-03-24"))
    assert caught.value.week == "2014-03-24"


def test_a_young_or_unknown_symbol_is_named(prices):
    young = prices[(prices["symbol"] != "S04") | (prices["date"] >= "2015-05-01")]
    with pytest.raises(NotEnoughDataError) as caught:
        DailyReturns(young).before(see("2015-06-01"))
    assert caught.value.symbol == "S04"
    with pytest.raises(NotEnoughDataError) as caught:
        DailyReturns(prices[prices["symbol"] != "S07"]).before(see("2015-06-01"))
    assert caught.value.symbol == "S07"


def test_a_price_that_never_moves_is_named(prices):
    frozen = prices.copy()
    frozen.loc[frozen["symbol"] == "S09", "adj_close"] = 10.0
    with pytest.raises(MarketDataError, match="not moved") as caught:
        DailyReturns(frozen).before(see("2015-06-01"))
    assert caught.value.symbol == "S09"


def test_missing_days_are_left_out(prices):
    gaps = prices.drop(prices.index[(prices["symbol"] == "S03") & (prices["date"].dt.day == 7)])
    found = DailyReturns(gaps).before(see("2015-06-01"))
    assert 230 < len(found) < 252
    assert np.isfinite(found).all()
