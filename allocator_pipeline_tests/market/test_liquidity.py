"""Liquidity rankings, with and without volume."""

import numpy as np
import pytest

from allocator_pipeline.errors import MarketDataError, NotEnoughDataError
from allocator_pipeline.market.liquidity import rank_by_liquidity, roll_spread

SYMBOLS = [f"S{i:02d}" for i in range(20)]


def walks(count: int = 252, seed: int = 0) -> dict[str, np.ndarray]:
    steps = np.random.default_rng(seed).normal(0, 0.01, (count, len(SYMBOLS)))
    return dict(zip(SYMBOLS, 50 * np.exp(np.cumsum(steps, axis=0)).T, strict=True))


def test_roll_spread_recovers_a_planted_bounce():
    generator = np.random.default_rng(1)
    value = np.cumsum(generator.normal(0, 0.001, 20_000))
    quoted = value + 0.02 / 2 * generator.choice([-1, 1], 20_000)  # half of a 2 % spread on either side

    assert roll_spread(np.diff(quoted)) == pytest.approx(0.02, rel=0.05)


def test_roll_spread_of_a_trend_is_zero():
    assert roll_spread(np.repeat([0.01, -0.01], 50)) == 0.0


def test_dollar_volume_ranks_the_greatest_first(bars):
    prices = bars(walks(), volume=1_000.0)
    prices.loc[prices["symbol"] == "S07", "volume"] = 90_000.0
    ranked = rank_by_liquidity(prices)

    assert ranked["symbol"].iloc[0] == "S07"
    assert ranked["rank"].tolist() == list(range(1, 21))
    assert ranked["liquidity"].is_monotonic_decreasing
    assert set(ranked["measure"]) == {"dollar_volume"}


def test_without_volume_the_spread_ranks_then_still_days_then_the_symbol(bars):
    closes = walks()
    rising = 50 * np.exp(np.cumsum(np.repeat(np.linspace(0.001, 0.002, 126), 2)))  # positive autocovariance: no spread
    still = rising.copy()
    still[100:103] = still[100]
    bounce = 50 * (1 + 0.05 * (np.arange(252) % 2))
    closes |= {"S19": rising, "S03": rising.copy(), "S11": still, "S00": bounce}
    ranked = rank_by_liquidity(bars(closes))
    order = ranked["symbol"].tolist()

    assert set(ranked["measure"]) == {"roll_spread"}
    assert order.index("S03") < order.index("S19") < order.index("S11")
    assert order[-1] == "S00"


def test_only_the_trailing_year_counts(bars):
    prices = bars(walks(400), volume=1_000.0)
    early = (prices["symbol"] == "S05") & (prices["date"] <= np.sort(prices["date"].unique())[147])
    prices.loc[early, "volume"] = 1e9

    assert rank_by_liquidity(prices)["symbol"].iloc[0] != "S05"


def test_absent_at_the_end_or_too_often_is_not_eligible(bars):
    prices = bars(walks(), volume=1_000.0)
    days = np.sort(prices["date"].unique())
    gone = (prices["symbol"] == "S01") & (prices["date"] == days[-1])
    rare = (prices["symbol"] == "S02") & prices["date"].isin(days[:13])  # 239 of 252 sessions: 94.8 %
    enough = (prices["symbol"] == "S03") & prices["date"].isin(days[:12])  # 95.2 %
    untraded = (prices["symbol"] == "S04") & (prices["date"] == days[-1])
    prices.loc[untraded, "volume"] = 0.0
    ranked = rank_by_liquidity(prices[~gone & ~rare & ~enough])["symbol"].tolist()

    assert set(SYMBOLS) - set(ranked) == {"S01", "S02", "S04"}


def test_too_few_stocks_or_sessions_are_refused(bars):
    with pytest.raises(NotEnoughDataError, match="14 stocks"):
        rank_by_liquidity(bars(dict(list(walks().items())[:14])))
    with pytest.raises(NotEnoughDataError, match="126 sessions; there are 125"):
        rank_by_liquidity(bars(walks(125)))


def test_volume_on_some_bars_only_is_refused(bars):
    prices = bars(walks(), volume=1_000.0)
    prices.loc[1_000, "volume"] = np.nan

    with pytest.raises(MarketDataError, match=f"symbol={prices['symbol'][1000]}"):
        rank_by_liquidity(prices)
