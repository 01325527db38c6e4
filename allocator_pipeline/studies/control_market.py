"""Markets of the forecasters' control: shuffled real days, in which one signal of known shape is planted, or none.

Shuffling real daily returns by day leaves how stocks move together and destroys every pattern in time. What a planted
signal says of the next day is then all that can be known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from allocator_pipeline.config import N_STOCKS
from allocator_pipeline.market import calendar

REVERSAL_DAYS = 20
MOMENTUM_DAYS, SKIPPED_DAYS = 252, 21
RECENT_VOLUME_DAYS, USUAL_VOLUME_DAYS = 5, 60

VOLUME_MEMORY, VOLUME_NOISE = 0.8, 0.3
"""Log volume is a first-order autoregression around a level of its own; daily coefficient and innovation."""


def reversal(scaled: np.ndarray) -> np.ndarray:
    """Return minus each stock's return of the last four weeks (Jegadeesh 1990), shape (N,).

    Parameters
    ----------
    scaled : ndarray of float64, shape (t, N)
        Returns up to today in daily standard deviations (or, for `attention`, log volumes).
    """
    return -scaled[-REVERSAL_DAYS:].sum(axis=0)


def momentum(scaled: np.ndarray) -> np.ndarray:
    """Return each stock's return of the last year without its last month (Jegadeesh & Titman 1993), shape (N,)."""
    return scaled[-MOMENTUM_DAYS:-SKIPPED_DAYS].sum(axis=0)


def attention(log_volume: np.ndarray) -> np.ndarray:
    """Return last week's log volume above that of a quarter (Gervais, Kaniel & Mingelgrin 2001), shape (N,)."""
    return log_volume[-RECENT_VOLUME_DAYS:].mean(axis=0) - log_volume[-USUAL_VOLUME_DAYS:].mean(axis=0)


@dataclass(frozen=True)
class Shape:
    """A signal that may be planted.

    Parameters
    ----------
    signal : callable
        Maps the past, (t, N), to one number a stock, (N,).
    days : int
        Days of the past that it reads.
    by_volume : bool
        Whether the past is that of log volumes, not of returns: the market then has volumes.
    """

    signal: Callable[[np.ndarray], np.ndarray]
    days: int
    by_volume: bool = False


SHAPES = {
    "reversal": Shape(reversal, REVERSAL_DAYS),
    "momentum": Shape(momentum, MOMENTUM_DAYS),
    "volume": Shape(attention, USUAL_VOLUME_DAYS, by_volume=True),
}


@dataclass(frozen=True)
class ControlMarket:
    """A market and what is planted in it.

    Parameters
    ----------
    prices : DataFrame
        As `schemas.PRICES`: closes, and volumes where the shape is made of them.
    signal : DataFrame of float64, days by symbols
        The planted signal known at each day's close, standardised across stocks.
    has_volume : bool
    """

    prices: pd.DataFrame
    signal: pd.DataFrame
    has_volume: bool


def plant(
    noise: np.ndarray, strength: float, shape: Shape, log_volume: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Plant a signal into daily returns.

    Parameters
    ----------
    noise : ndarray of float64, shape (T, N)
        Daily log returns without any pattern in time.
    strength : float
        Daily drift, in daily standard deviations, per unit of signal; 0 plants none.
    shape : Shape
    log_volume : ndarray of float64, shape (T, N), optional
        Log volumes, where the shape reads them.

    Returns
    -------
    tuple of ndarray, shape (T, N)
        Daily log returns, and the signal of each day's close (0 while its past is too short).
    """
    sigma = noise.std(axis=0)
    returns, signal = noise.copy(), np.zeros_like(noise)
    for t in range(1, len(noise)):
        returns[t] += strength * sigma * signal[t - 1]
        if t >= shape.days:
            recent = slice(t + 1 - shape.days, t + 1)
            past = shape.signal(returns[recent] / sigma if log_volume is None else log_volume[recent])
            signal[t] = (past - past.mean()) / past.std()
    return returns, signal


def log_volumes(shape: tuple[int, int], random: np.random.Generator) -> np.ndarray:
    """Return log volumes of shape (T, N): a level for each stock and an autoregression around it."""
    level = 14.0 + random.standard_normal(shape[1])
    shocks = VOLUME_NOISE * random.standard_normal(shape)
    moved = np.empty(shape)
    moved[0] = shocks[0] / np.sqrt(1 - VOLUME_MEMORY**2)
    for t in range(1, shape[0]):
        moved[t] = VOLUME_MEMORY * moved[t - 1] + shocks[t]
    return level + moved


@lru_cache(maxsize=1)
def real_days() -> tuple[np.ndarray, str]:
    """Return the daily log returns of skfolio's S&P 500 sample, (T, 20), and their first day."""
    from skfolio.datasets import load_sp500_dataset

    real = load_sp500_dataset()
    return np.diff(np.log(real.to_numpy()), axis=0), str(real.index[0].date())


@lru_cache(maxsize=2)
def control_market(draw: int, shape: str, strength: float) -> ControlMarket:
    """Return the market of a draw: a shuffle of the sample's days and 15 of its stocks, with a signal planted.

    Parameters
    ----------
    draw : int
        Equal draws give equal noise, whatever is planted.
    shape : str
        Name of `SHAPES`.
    strength : float
        As in `plant`.
    """
    daily, first = real_days()
    random = np.random.default_rng(draw)
    noise = daily[random.permutation(len(daily))][:, random.permutation(daily.shape[1])[:N_STOCKS]]
    chosen = SHAPES[shape]
    volume = log_volumes(noise.shape, random) if chosen.by_volume else None
    returns, signal = plant(noise - noise.mean(axis=0), strength, chosen, volume)
    prices = price_table(returns, first, None if volume is None else np.exp(volume))
    index = prices["date"].drop_duplicates()
    columns = prices["symbol"].iloc[:N_STOCKS].tolist()
    return ControlMarket(prices, pd.DataFrame(signal, index, columns), chosen.by_volume)


def price_table(returns: np.ndarray, first_session: str, volume: np.ndarray | None = None) -> pd.DataFrame:
    """Return a price table (`schemas.PRICES`) of consecutive sessions without opens, highs and lows.

    Parameters
    ----------
    returns : ndarray of float64, shape (T, N)
        Log returns.
    first_session : str
    volume : ndarray of float64, shape (T, N), optional
        Shares; none by default.
    """
    days = calendar.sessions(first_session, f"{calendar.LAST_YEAR}-12-31")[: len(returns)]
    count = returns.shape[1]
    symbols = [f"S{i:02d}" for i in range(count)]
    close = 100 * np.exp(np.cumsum(returns, axis=0)).ravel()
    empty = np.full(close.shape, np.nan)
    return pd.DataFrame(
        {
            "date": np.repeat(days.to_numpy(), count),
            "symbol": pd.Series(np.tile(np.array(symbols, dtype=object), len(returns)), dtype="str"),
            "open": empty,
            "high": empty,
            "low": empty,
            "close": close,
            "adj_close": close,
            "volume": empty if volume is None else volume.ravel(),
            "source": pd.Series(["control"] * len(close), dtype="str"),
        }
    )


def universe_table(year: int, symbols: Sequence[str]) -> pd.DataFrame:
    """Return a fixed universe (`schemas.UNIVERSE`) of 15 symbols."""
    return pd.DataFrame(
        {
            "year": np.full(N_STOCKS, year, dtype=np.int64),
            "slot": np.arange(N_STOCKS, dtype=np.int64),
            "symbol": pd.Series(list(symbols[:N_STOCKS]), dtype="str"),
            "rank": np.arange(1, N_STOCKS + 1, dtype=np.int64),
            "liquidity": np.zeros(N_STOCKS),
            "measure": pd.Series(["none"] * N_STOCKS, dtype="str"),
            "mode": pd.Series(["fixed"] * N_STOCKS, dtype="str"),
            "known_at": pd.Series([pd.Timestamp(year - 1, 12, 1, tz="UTC")] * N_STOCKS).dt.as_unit("us"),
        }
    )
