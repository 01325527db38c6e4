"""What forecasters read: channels scaled by volatility, relative to the cross-section, known at each day's close."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from allocator_pipeline.forecasters import channels as definitions
from allocator_pipeline.forecasters.panel import PricePanel

HALF_LIFE = 20
"""Half-life, in observed days, of the exponentially weighted volatility."""

OUTLOOK_HALF_LIVES = (5, 20, 125)
"""Those whose mean says how volatile the coming week will be: a week, a month, half a year."""

WARM_UP = 20
"""Returns a symbol must have before it has a volatility."""

CLIP = 5.0
"""Scaled values are clipped at this many standard deviations: a constant, so that no later day can move it."""

MIN_CROSS_SECTION = 5
"""A day on which fewer symbols are observed has no cross-section."""

CONTEXT = 60
"""Days a forecast looks back on at least."""

HORIZON = 5
"""Sessions of the week that is forecast."""

MIN_OBSERVED = 48
"""Of those, the days that must be observed: a few closed or missing days do no harm, a young or dead listing does."""


@dataclass(frozen=True)
class Inputs:
    """Inputs by day, symbol and channel.

    Parameters
    ----------
    values : ndarray of float32, shape (T, N, C)
        Each channel minus the day's cross-sectional mean. What is not observed holds 0, the mean itself; days without a
        return are counted, and a row with too many of them is not `usable`.
    usable : ndarray of bool, shape (T, N)
        Whether the last `CONTEXT` days up to this one hold at least `MIN_OBSERVED` returns.
    sigma : ndarray of float64, shape (T, N)
        Volatility of the coming week's log return known at this day's close; NaN where it is not known.
    """

    values: np.ndarray
    usable: np.ndarray
    sigma: np.ndarray


def daily_returns(close: np.ndarray) -> np.ndarray:
    """Return daily log returns, shape (T, N): NaN on the first day and wherever either day has no bar."""
    returns = np.full(close.shape, np.nan)
    returns[1:] = np.log(close[1:] / close[:-1])
    return returns


def volatility(returns: np.ndarray, half_life: float = HALF_LIFE) -> np.ndarray:
    """Return the root of the exponentially weighted mean square of the returns up to each day, shape (T, N).

    RiskMetrics' estimator (J. P. Morgan, 1996); NaN until `WARM_UP` returns are there.
    """
    return np.sqrt(trailing_mean(returns**2, half_life))


def outlook(returns: np.ndarray) -> np.ndarray:
    """Return the volatility of the coming week's log return, shape (T, N), from daily returns up to each day.

    The mean of volatilities of different memories, as in Corsi's heterogeneous autoregression (2009), with equal
    weights; the week has five sessions.
    """
    memories = [volatility(returns, half_life) for half_life in OUTLOOK_HALF_LIVES]
    return np.sqrt(HORIZON) * np.mean(memories, axis=0)


def trailing_mean(values: np.ndarray, half_life: float = HALF_LIFE) -> np.ndarray:
    """Return the exponentially weighted mean of the values up to each day, shape (T, N), as in `volatility`."""
    mean = pd.DataFrame(values).ewm(halflife=half_life, min_periods=WARM_UP, ignore_na=True).mean()
    return mean.to_numpy(dtype=np.float64)


def build_inputs(prices: PricePanel, channels: Sequence[str]) -> Inputs:
    """Build the inputs of all days; row t depends on bars up to t only.

    Each value is divided by the volatility known the day before, so that a shock does not scale itself down.

    Parameters
    ----------
    prices : PricePanel
        With the fields that the channels need.
    channels : sequence of str
        Names of `channels.NEEDS`.

    Returns
    -------
    Inputs
    """
    returns = daily_returns(prices.close)
    sigma = volatility(returns)
    relative, observed = demean(scale(returns, day_before(sigma)))
    layers = []
    for name in channels:
        base, days = definitions.parts(name)
        if base == "return":
            values, seen = relative, observed
        else:
            values, seen = demean(_daily(base, prices, sigma))
        if days is not None:
            values, _ = demean(definitions.cumulated(np.where(seen, values, np.nan), days))
        layers.append(values)
    return Inputs(np.stack(layers, axis=-1).astype(np.float32), often(observed), outlook(returns))


def often(observed: np.ndarray) -> np.ndarray:
    """Tell where at least `MIN_OBSERVED` of the last `CONTEXT` days up to a day were observed, shape (T, N)."""
    return pd.DataFrame(observed.astype(np.float64)).rolling(CONTEXT, min_periods=1).sum().to_numpy() >= MIN_OBSERVED


def lost(prices: PricePanel, learnt: int) -> dict[str, np.ndarray]:
    """Tell where a symbol no longer has a field that the model has learnt to read.

    Its channel would be at the mean of the cross-section, which says something else than that it is not there.

    Parameters
    ----------
    prices : PricePanel
        With the fields that the model reads.
    learnt : int
        Row of the last day that the model was fitted on.

    Returns
    -------
    dict of str to ndarray of bool, shape (T, N)
        By field; a volume of zero counts as none. A symbol that had too little of the field on every day up to
        ``learnt`` has nothing to lose.
    """
    held = {name: often(values > 0) for name, values in prices.fields.items()}
    return {name: seen[: learnt + 1].any(axis=0) & ~seen for name, seen in held.items()}


def _daily(name: str, prices: PricePanel, sigma: np.ndarray) -> np.ndarray:
    """Return a daily channel in its own standard deviations, shape (T, N); NaN where it is not known."""
    if name == "volume":
        shares = prices.fields["volume"]
        log_volume = np.log(np.where(shares > 0, shares, np.nan))
        surprise = log_volume - day_before(trailing_mean(log_volume))
        return scale(surprise, day_before(volatility(surprise)))
    base = prices.fields["open"] if name == "overnight" else prices.fields[name]
    moved = np.log(base / (day_before(prices.close) if name == "overnight" else prices.close))
    return scale(moved, day_before(sigma))


def day_before(values: np.ndarray) -> np.ndarray:
    """Return the values of the day before, shape (T, N); NaN on the first day."""
    before = np.full(values.shape, np.nan)
    before[1:] = values[:-1]
    return before


def scale(values: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """Return values in units of their volatility, clipped at `CLIP`, shape (T, N); NaN where there is none."""
    return np.clip(values / np.where(sigma > 0, sigma, np.nan), -CLIP, CLIP)


def demean(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Subtract each day's mean over the observed symbols.

    Returns
    -------
    tuple of ndarray, shape (T, N)
        The differences, 0 where nothing is observed, and the mask of what is observed. A day with fewer than
        `MIN_CROSS_SECTION` observations counts as not observed.
    """
    observed = np.isfinite(values)
    observed &= observed.sum(axis=1, keepdims=True) >= MIN_CROSS_SECTION
    count = np.maximum(observed.sum(axis=1, keepdims=True), 1)
    mean = np.where(observed, values, 0.0).sum(axis=1, keepdims=True) / count
    return np.where(observed, values - mean, 0.0), observed
