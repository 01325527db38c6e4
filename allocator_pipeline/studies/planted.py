"""Generated markets with a signal of known strength in them, or none, and those to compare with: oracle, equal weight.

The oracle tilts equal weight by the signal's exponential average, under the same costs and constraints as everyone; the
strength of its tilt and its smoothing are tuned on the training weeks. It does not look at what it holds, as a policy
may.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from allocator_pipeline.config import N_STOCKS, SIGNALS, CostConfig
from allocator_pipeline.evaluation.metrics import sharpe_ratio
from allocator_pipeline.market import calendar
from allocator_pipeline.portfolio.constraints import N_ASSETS, equal_weight_anchor, equal_weights, project
from allocator_pipeline.portfolio.rollout import drift, settle_batch
from allocator_pipeline.portfolio.state import StateTensors

FIRST_WEEK = "1990-01-08"
TRAINING_WEEKS, GAP_WEEKS, TEST_WEEKS = 1_040, 3, 520
"""Weeks to learn from, weeks that nobody sees (no return reaches across them), weeks to be judged on."""

PERSISTENCE = 0.9

TUNING_MARKETS = range(1, 49)
"""What recipes may be tuned on, and what is looked at in passing: looking often would be tuning too."""

TILTS = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0)
"""The oracle's choice of tilts. At 12 nearly all wealth is in five names at their cap. On markets 1 to 12 tilts of 16
and 24 were often chosen where they were offered, and out of sample made the oracle worse (by 0.01 of Sharpe ratio)."""

SMOOTHINGS = (0.0, 0.25, 0.5, 0.7, 0.8, 0.9)

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


@lru_cache(maxsize=64)
def market(number: int, ic: float) -> StateTensors:
    """Return the training, gap and test weeks of one generated market; equal numbers give equal markets."""
    return planted_states(number, TRAINING_WEEKS + GAP_WEEKS + TEST_WEEKS, ic, PERSISTENCE)


def split(states: StateTensors) -> tuple[StateTensors, StateTensors]:
    """Return the weeks to learn from and those to be judged on."""
    return states[:TRAINING_WEEKS], states[TRAINING_WEEKS + GAP_WEEKS :]


def oracle_targets(states: StateTensors, tilt: float, smoothing: float, costs: CostConfig) -> np.ndarray:
    """Return target weights of shape (T, 16) tilted from equal weight by the signal's exponential average."""
    signal = states.signals[:, :, SIGNAL]
    average = np.empty_like(signal)
    average[0] = signal[0]
    for t in range(1, len(signal)):
        average[t] = smoothing * average[t - 1] + (1.0 - smoothing) * signal[t]
    logits = np.tile(equal_weight_anchor(costs), (len(states), 1))
    logits[:, :-1] += tilt * average
    return project(logits, costs)


def sharpe_of_targets(targets: np.ndarray, states: StateTensors, costs: CostConfig) -> float:
    """Return the annual net Sharpe ratio of target weights of shape (T, 16), from all cash."""
    held = np.zeros((len(states), N_ASSETS))
    held[0, -1] = 1.0
    held[1:] = drift(targets[:-1], states.returns[:-1])
    week = settle_batch(targets, held, np.zeros(len(states)), states.returns, costs)
    return float(sharpe_ratio(week.net))


def tuned_oracle(training: StateTensors, costs: CostConfig) -> tuple[float, float]:
    """Return the tilt and the smoothing that give the oracle the best net Sharpe ratio on the training weeks."""
    _, tilt, smoothing = max(
        (sharpe_of_targets(oracle_targets(training, tilt, smoothing, costs), training, costs), tilt, smoothing)
        for tilt in TILTS
        for smoothing in SMOOTHINGS
    )
    return tilt, smoothing


def opponents(states: StateTensors, costs: CostConfig) -> tuple[float, float]:
    """Return the net Sharpe ratios on the test weeks of equal weight and of the oracle."""
    training, test = split(states)
    known = oracle_targets(states, *tuned_oracle(training, costs), costs)[-len(test) :]
    equal = np.tile(equal_weights(costs), (len(test), 1))
    return sharpe_of_targets(equal, test, costs), sharpe_of_targets(known, test, costs)
