"""State tensors of a generated market with a signal of known strength in it, or none."""

from __future__ import annotations

import numpy as np

from allocator_pipeline.config import N_STOCKS, SIGNALS
from allocator_pipeline.market import calendar
from allocator_pipeline.portfolio.state import StateTensors

FIRST_WEEK = "1990-01-08"
SIGNAL = SIGNALS.index("news_sentiment")
"""The signal that carries the plant; the forecast is noise."""

MARKET_MEAN, MARKET_DEVIATION = 0.0018, 0.022
"""Weekly return of the market: 9 % and 16 % a year."""

STOCK_DEVIATION = (0.025, 0.045)
"""Least and greatest weekly standard deviation of a stock's own part: 18 % to 32 % a year."""


def planted_states(seed: int, weeks: int, ic: float, persistence: float = 0.9) -> StateTensors:
    """Generate a market of 15 stocks for the same 15 slots throughout.

    The return of stock i is ``m + d_i (ic s_i + sqrt(1 - ic^2) e_i)`` with a market return m, a deviation d_i of its
    own, noise e_i and the planted signal s_i, a unit-variance AR(1) process that the decision sees. Everything else in
    the state is noise of the same persistence. A week is marked at its full return.

    Parameters
    ----------
    seed : int
        Equal seeds give equal markets.
    weeks : int
        Number of weeks.
    ic : float
        Correlation of the signal with the stock's own part of next week's return; 0 plants nothing.
    persistence : float
        Weekly autocorrelation of signal and noise.

    Returns
    -------
    StateTensors
    """
    rng = np.random.default_rng(seed)
    draws = rng.standard_normal((weeks, N_STOCKS, len(SIGNALS) + 1))
    series = np.empty_like(draws)
    series[0] = draws[0]
    for t in range(1, weeks):
        series[t] = persistence * series[t - 1] + np.sqrt(1.0 - persistence**2) * draws[t]
    deviation = rng.uniform(*STOCK_DEVIATION, N_STOCKS)
    own = ic * series[..., SIGNAL] + np.sqrt(1.0 - ic**2) * rng.standard_normal((weeks, N_STOCKS))
    market = MARKET_MEAN + MARKET_DEVIATION * rng.standard_normal((weeks, 1))
    returns = np.maximum(market + deviation * own, -0.95)
    mondays = calendar.weeks(FIRST_WEEK, "2035-01-01")["week"].to_numpy()[:weeks]
    return StateTensors(
        weeks=mondays.astype("datetime64[D]"),
        symbols=np.tile(np.array([f"STOCK{slot:02d}" for slot in range(N_STOCKS)]), (weeks, 1)),
        signals=series[..., : len(SIGNALS)].copy(),
        missing=np.zeros((weeks, N_STOCKS, len(SIGNALS)), dtype=bool),
        forecasts=0.01 * series[..., -1],
        returns=returns,
        marks=returns.copy(),
    )
