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

OUTLOOK = {
    "own 20": 0.39,
    "own 125": 0.41,
    "market 5": 0.51,
    "market 20": -0.31,
    "market's trend 5": -0.13,
    "own trend 5": -0.04,
}
"""What the logarithm of the coming week's volatility is made of (see `outlook_terms`), by half-life.

Estimated on 36 stocks of 1962 to 1984 (`studies.volatility`), years before any that is forecast here. The weights of
volatilities add up to 1, so that returns twice as large have twice the volatility.
"""

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

    The exponential of `outlook_terms`, each times its weight in `OUTLOOK`; the week has five sessions.
    """
    weighted = sum(weight * term for weight, term in zip(OUTLOOK.values(), outlook_terms(returns), strict=True))
    return np.sqrt(HORIZON) * np.exp(weighted)


def outlook_terms(returns: np.ndarray) -> list[np.ndarray]:
    """Return what `OUTLOOK` weighs, from daily returns up to each day.

    Volatilities of different memories, as in Corsi's heterogeneous autoregression (2009), as logarithms: the stock's
    own of a month and of half a year, and the market's, the mean over the stocks of the day, of a week and of a month.
    They are means of absolute returns, which say more about the future than those of squares do (Forsberg & Ghysels
    2007). Then what market and stock have gained in a week, in standard deviations: volatility rises after a fall
    (Black 1976).

    Parameters
    ----------
    returns : ndarray of float64, shape (T, N)

    Returns
    -------
    list of ndarray of float64, each of shape (T, N)
        NaN where not known.
    """
    observed = np.isfinite(returns)
    own = {days: _logarithm(trailing_mean(np.abs(returns), days)) for days in (5, 20, 125)}
    market = {days: _carried(market_mean(np.where(observed, own[days], np.nan))) for days in (5, 20)}
    layers = [own[20], own[125], market[5], market[20], _trend(market_mean(returns)), _trend(returns)]
    return [np.broadcast_to(layer, returns.shape) for layer in layers]


def market_mean(values: np.ndarray) -> np.ndarray:
    """Return the mean over the stocks of each day, shape (T, 1); NaN where fewer than `MIN_CROSS_SECTION` are there."""
    known = np.isfinite(values)
    count = known.sum(axis=1, keepdims=True)
    mean = np.where(known, values, 0.0).sum(axis=1, keepdims=True) / np.maximum(count, 1)
    return np.where(count >= MIN_CROSS_SECTION, mean, np.nan)


def _trend(returns: np.ndarray) -> np.ndarray:
    """Return the recent daily return in standard deviations of half a year, shape as given."""
    return trailing_mean(scale(returns, day_before(volatility(returns, 125))), 5)


def _carried(values: np.ndarray) -> np.ndarray:
    """Return the values with that of the last day before where a day has none."""
    return pd.DataFrame(values).ffill().to_numpy()


def _logarithm(values: np.ndarray) -> np.ndarray:
    return np.log(np.where(values > 0, values, np.nan))


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
    layers = np.empty((*returns.shape, len(channels)), dtype=np.float32)
    for at, name in enumerate(channels):
        base, days = definitions.parts(name)
        if base == "return":
            values, seen = relative, observed
        else:
            values, seen = demean(_daily(base, prices, sigma))
        if days is not None:
            values, _ = demean(definitions.cumulated(np.where(seen, values, np.nan), days))
        layers[..., at] = values
    return Inputs(layers, often(observed), outlook(returns))


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
