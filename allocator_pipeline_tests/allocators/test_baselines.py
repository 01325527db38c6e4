import numpy as np
import pandas as pd
import pytest
from skfolio.optimization import HierarchicalRiskParity as SkfolioHRP

from allocator_pipeline.allocators import baselines
from allocator_pipeline.allocators.baselines import EqualWeight, HierarchicalRiskParity
from allocator_pipeline.config import N_STOCKS, SIGNALS, CostConfig
from allocator_pipeline.errors import MarketDataError, NotEnoughDataError
from allocator_pipeline.market import calendar
from allocator_pipeline.portfolio.constraints import check_weights
from allocator_pipeline.portfolio.state import Observation

COSTS = CostConfig()
SYMBOLS = np.array([f"S{slot:02d}" for slot in range(N_STOCKS)])
VOLATILITY = np.linspace(0.008, 0.03, 20)


def make_prices(volatility: np.ndarray = VOLATILITY, seed: int = 0) -> pd.DataFrame:
    """Two years of random closes with a common factor, sessions of 2014 and 2015."""
    rng = np.random.default_rng(seed)
    days = calendar.sessions("2014-01-01", "2015-12-31")
    moves = volatility * (0.6 * rng.normal(size=(len(days), 1)) + 0.8 * rng.normal(size=(len(days), len(volatility))))
    closes = 50.0 * np.exp(np.cumsum(moves, axis=0))
    wide = pd.DataFrame(closes, index=days, columns=[f"S{i:02d}" for i in range(len(volatility))])
    return wide.rename_axis("date").melt(ignore_index=False, var_name="symbol", value_name="adj_close").reset_index()


def see(week: str, symbols: np.ndarray = SYMBOLS) -> Observation:
    features = np.zeros((N_STOCKS, len(SIGNALS) + 1))
    missing = np.zeros((N_STOCKS, len(SIGNALS)), dtype=bool)
    return Observation(np.datetime64(week), symbols, features, missing, np.r_[np.zeros(N_STOCKS), 1.0])


@pytest.fixture(scope="module")
def prices() -> pd.DataFrame:
    return make_prices()


def test_equal_weight_is_equal():
    weights = EqualWeight(COSTS).target_weights(see("2015-06-01"))
    np.testing.assert_allclose(weights, np.r_[np.full(15, 0.98 / 15), 0.02], atol=1e-15)
    check_weights(weights, COSTS)


def test_hrp_is_skfolios_on_the_year_before_the_decision(prices):
    weights = HierarchicalRiskParity(prices, COSTS).target_weights(see("2015-06-01"))
    wide = prices.pivot(index="date", columns="symbol", values="adj_close")[SYMBOLS]
    returns = wide.loc[:"2015-05-29"].pct_change().iloc[-252:]
    assert len(returns.dropna()) == 252
    expected = SkfolioHRP().fit(returns.to_numpy()).weights_
    assert expected.max() < 0.2
    np.testing.assert_allclose(weights, np.r_[0.98 * expected, 0.02], atol=1e-12)


def test_calm_stocks_weigh_more(prices):
    weights = HierarchicalRiskParity(prices, COSTS).target_weights(see("2015-06-01"))
    assert weights[:5].sum() > 2 * weights[10:15].sum()


def test_hrp_keeps_the_cap():
    calm = np.r_[0.001, 0.001, VOLATILITY[2:]]
    weights = HierarchicalRiskParity(make_prices(calm), COSTS).target_weights(see("2015-06-01"))
    check_weights(weights, COSTS)
    np.testing.assert_allclose(weights[:2], 0.2)
    assert weights[-1] == pytest.approx(0.02)


def test_hrp_reads_nothing_after_the_decision_session(prices):
    week = "2015-01-12"
    decision = calendar.week(week)["decision_session"]
    before = HierarchicalRiskParity(prices, COSTS).target_weights(see(week))
    later = prices.copy()
    later.loc[later["date"] > decision, "adj_close"] *= 3.0
    np.testing.assert_array_equal(HierarchicalRiskParity(later, COSTS).target_weights(see(week)), before)
    at = prices.copy()
    at.loc[(at["date"] == decision) & (at["symbol"] == "S00"), "adj_close"] *= 1.2
    assert (HierarchicalRiskParity(at, COSTS).target_weights(see(week)) != before).any()


def test_hrp_follows_the_slots(prices):
    hrp = HierarchicalRiskParity(prices, COSTS)
    order = np.random.default_rng(0).permutation(N_STOCKS)
    first = hrp.target_weights(see("2015-03-02"))
    second = hrp.target_weights(see("2015-03-02", SYMBOLS[order]))
    assert second[-1] == pytest.approx(first[-1])
    np.testing.assert_allclose(np.sort(second), np.sort(first), atol=0.02)
    assert set(np.argsort(first[order])[-3:]) == set(np.argsort(second[:-1])[-3:])


def test_hrp_needs_sixty_days(prices):
    hrp = HierarchicalRiskParity(prices, COSTS)
    check_weights(hrp.target_weights(see("2014-04-07")), COSTS)  # 64 returns
    with pytest.raises(NotEnoughDataError, match="needs 60 daily returns, there are") as caught:
        hrp.target_weights(see("2014-03-24"))
    assert caught.value.week == "2014-03-24"


def test_a_young_or_unknown_symbol_is_named(prices):
    young = prices[(prices["symbol"] != "S04") | (prices["date"] >= "2015-05-01")]
    with pytest.raises(NotEnoughDataError) as caught:
        HierarchicalRiskParity(young, COSTS).target_weights(see("2015-06-01"))
    assert caught.value.symbol == "S04"
    with pytest.raises(NotEnoughDataError) as caught:
        HierarchicalRiskParity(prices[prices["symbol"] != "S07"], COSTS).target_weights(see("2015-06-01"))
    assert caught.value.symbol == "S07"


def test_a_price_that_never_moves_is_named(prices):
    frozen = prices.copy()
    frozen.loc[frozen["symbol"] == "S09", "adj_close"] = 10.0
    with pytest.raises(MarketDataError, match="not moved") as caught:
        HierarchicalRiskParity(frozen, COSTS).target_weights(see("2015-06-01"))
    assert caught.value.symbol == "S09"


def test_missing_days_are_left_out(prices):
    gaps = prices.drop(prices.index[(prices["symbol"] == "S03") & (prices["date"].dt.day == 7)])
    check_weights(HierarchicalRiskParity(gaps, COSTS).target_weights(see("2015-06-01")), COSTS)


def test_a_window_is_computed_once(prices, monkeypatch):
    monkeypatch.setattr(baselines, "_WEIGHTS", {})
    first = HierarchicalRiskParity(prices, COSTS).target_weights(see("2015-08-03"))
    for _ in range(3):
        again = HierarchicalRiskParity(prices, COSTS).target_weights(see("2015-08-03"))
        again[:] = 0.0  # what a caller does with its weights is its own affair
    assert len(baselines._WEIGHTS) == 1
    np.testing.assert_array_equal(HierarchicalRiskParity(prices, COSTS).target_weights(see("2015-08-03")), first)
