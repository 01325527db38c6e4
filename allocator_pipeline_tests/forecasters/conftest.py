from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from allocator_pipeline.forecasters.lstm import LSTMConfig
from allocator_pipeline.forecasters.patchtst import PatchTSTConfig
from allocator_pipeline.studies.forecast_control import price_table, universe_table

FIRST, LAST = "2008-01-02", "2015-12-31"
LISTED = "2014-12-17"  # eleven sessions before the first decision of 2015

SMALL = {
    "lstm": LSTMConfig(epochs=1, hidden=8),
    "patchtst": PatchTSTConfig(epochs=1, layers=1, chunks_per_step=8),
    "ridge": LSTMConfig(epochs=1, hidden=8),
}
"""Networks that train in a fraction of a second, for tests of everything but skill."""


def build_market() -> pd.DataFrame:
    """Seventeen stocks with opens, changing volatility and fat tails; the last one is listed late in 2014."""
    from allocator_pipeline.market import calendar

    random = np.random.default_rng(11)
    days = len(calendar.sessions(FIRST, LAST))
    level = np.exp(0.3 * np.sin(np.arange(days) / 90))[:, None]
    returns = 0.012 * level * random.standard_t(4, (days, 17)) + 0.006 * random.standard_normal((days, 1))
    prices = price_table(returns, FIRST)
    prices["open"] = prices["close"] * np.exp(0.004 * random.standard_normal(len(prices)))
    return prices[(prices["symbol"] != "S16") | (prices["date"] >= LISTED)].reset_index(drop=True)


def scramble(prices: pd.DataFrame, cut: str, seed: int = 5) -> pd.DataFrame:
    """Replace every price after a session by a random walk from there."""
    random = np.random.default_rng(seed)
    parts = []
    for _, bars in prices.groupby("symbol", sort=True):
        bars = bars.copy()
        after = (bars["date"] > cut).to_numpy()
        start = bars["close"].to_numpy()[~after][-1] if (~after).any() else 100.0
        walk = start * np.exp(np.cumsum(0.02 * random.standard_normal(after.sum())))
        bars.loc[after, ["close", "adj_close"]] = np.column_stack([walk, walk])
        bars.loc[after, "open"] = walk * np.exp(0.01 * random.standard_normal(after.sum()))
        parts.append(bars)
    return pd.concat(parts).sort_values(["date", "symbol"], ignore_index=True)


@pytest.fixture(scope="session")
def market() -> pd.DataFrame:
    return build_market()


@pytest.fixture(scope="session")
def universe() -> Callable[[int], pd.DataFrame]:
    return lambda year: universe_table(year, [f"S{i:02d}" for i in range(15)])
