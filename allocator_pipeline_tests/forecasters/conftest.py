from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from allocator_pipeline.forecasters.lstm import LSTMConfig
from allocator_pipeline.forecasters.patchtst import PatchTSTConfig
from allocator_pipeline.forecasters.ridge import RidgeConfig
from allocator_pipeline.studies.control_market import price_table, universe_table

FIRST, LAST = "2008-01-02", "2015-12-31"
LISTED = "2014-12-17"  # eleven sessions before the first decision of 2015

SMALL = {
    "lstm": LSTMConfig(epochs=1, warm_epochs=1, hidden=8),
    "patchtst": PatchTSTConfig(epochs=1, warm_epochs=1, layers=1, chunks_per_step=8),
    "ridge": RidgeConfig(),
}
"""Forecasters that learn in a fraction of a second, for tests of everything but skill."""

PRICED = ("open", "high", "low", "close", "adj_close")


def build_market() -> pd.DataFrame:
    """Seventeen stocks with whole bars, changing volatility and fat tails; the last one is listed late in 2014."""
    from allocator_pipeline.market import calendar

    random = np.random.default_rng(11)
    days = len(calendar.sessions(FIRST, LAST))
    level = np.exp(0.3 * np.sin(np.arange(days) / 90))[:, None]
    returns = 0.012 * level * random.standard_t(4, (days, 17)) + 0.006 * random.standard_normal((days, 1))
    prices = price_table(returns, FIRST, np.exp(12 + 0.4 * random.standard_normal((days, 17))))
    prices = with_ranges(prices, random)
    return prices[(prices["symbol"] != "S16") | (prices["date"] >= LISTED)].reset_index(drop=True)


def with_ranges(bars: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    """Give bars an open near the close, and a high and a low around both."""
    moves = np.abs(random.standard_normal((3, len(bars))))
    opened = bars["close"] * np.exp(0.004 * (moves[0] - 0.8))
    both = pd.concat([opened, bars["close"]], axis=1)
    high, low = both.max(axis=1) * np.exp(0.003 * moves[1]), both.min(axis=1) * np.exp(-0.003 * moves[2])
    return bars.assign(open=opened, high=high, low=low)


def scramble(prices: pd.DataFrame, cut: str, seed: int = 5) -> pd.DataFrame:
    """Replace every bar after a session by a random walk from there, volumes included."""
    random = np.random.default_rng(seed)
    parts = []
    for _, bars in prices.groupby("symbol", sort=True):
        after = (bars["date"] > cut).to_numpy()
        start = bars["close"].to_numpy()[~after][-1] if (~after).any() else 100.0
        walk = start * np.exp(np.cumsum(0.02 * random.standard_normal(after.sum())))
        late = with_ranges(bars[after].assign(close=walk, adj_close=walk), random)
        late["volume"] = np.exp(11 + random.standard_normal(after.sum()))
        parts += [bars[~after], late]
    return pd.concat(parts).sort_values(["date", "symbol"], ignore_index=True)


@pytest.fixture(scope="session")
def market() -> pd.DataFrame:
    return build_market()


@pytest.fixture(scope="session")
def universe() -> Callable[[int], pd.DataFrame]:
    return lambda year: universe_table(year, [f"S{i:02d}" for i in range(15)])
