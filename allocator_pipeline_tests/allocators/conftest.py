"""Two years of made-up prices, and observations that show nothing but week, symbols and weights."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from allocator_pipeline.config import N_STOCKS, SIGNALS
from allocator_pipeline.market import calendar
from allocator_pipeline.portfolio.state import Observation

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


def see(week: str, symbols: np.ndarray = SYMBOLS, weights: np.ndarray | None = None) -> Observation:
    features = np.zeros((N_STOCKS, len(SIGNALS) + 1))
    missing = np.zeros((N_STOCKS, len(SIGNALS)), dtype=bool)
    held = np.r_[np.zeros(N_STOCKS), 1.0] if weights is None else weights
    return Observation(np.datetime64(week), symbols, features, missing, held)


def returns_before(prices: pd.DataFrame, session: str) -> np.ndarray:
    """The 252 daily returns up to a session, by pandas."""
    wide = prices.pivot(index="date", columns="symbol", values="adj_close")[SYMBOLS]
    return wide.loc[:session].pct_change().iloc[-252:].to_numpy()


@pytest.fixture(scope="session")
def prices() -> pd.DataFrame:
    return make_prices()
