"""A generated market with daily bars, news and fundamentals, up to today, with a planted signal or none.

The planted signal predicts the return of a stock over a week and is carried by the tone of its news before the
decision. Articles of one week share a tone ``s``; a reader who weighs articles by ``exp(-age / 7 days)`` sees about
``z_k = s_k + b z_{k-1}`` with ``b = exp(-1)``. So ``z``, and not ``s``, is planted, and ``s`` follows an autoregression
with coefficient ``(p - b) / (1 - p b)``, which gives ``z`` the weekly autocorrelation ``p``.
"""

from __future__ import annotations

from datetime import date
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd

from allocator_pipeline.config import N_STOCKS, SimulatedConfig
from allocator_pipeline.errors import ConfigurationError
from allocator_pipeline.market import calendar
from allocator_pipeline.market.fundamentals import generated_fundamentals
from allocator_pipeline.market.liquidity import TRAILING_SESSIONS, rank_by_liquidity
from allocator_pipeline.market.news import generated_articles
from allocator_pipeline.market.source import MarketCoverage, require_year
from allocator_pipeline.schemas import PRICES, validate

NEWS_DECAY = float(np.exp(-1.0))
SESSIONS_PER_WEEK = 4.83
OVERNIGHT = 0.3
"""Share of a day's variance, and of its planted drift, between the close and the next open."""

MARKET_DRIFT, MARKET_VOLATILITY = 0.0003, 0.009
"""Daily drift and volatility (log returns) of the common factor."""

_COMPANIES, _RETURNS, _SIGNAL, _ARTICLES, _RANGES, _VOLUMES = range(6)
"""Streams of random numbers. Each is drawn session by session (or week by week), so that a longer market begins with
exactly the shorter one."""


class _Paths(NamedTuple):
    """Prices and volumes, each of shape (T, N), and the tone of the news of each session, shape (T, N)."""

    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    volume: np.ndarray
    tone: np.ndarray


class SimulatedMarket:
    """The generated market; see `MarketSource` for the methods.

    Parameters
    ----------
    config : SimulatedConfig
    now : Timestamp, optional
        The present, with a time zone; by default that of the clock. It decides the last session where the configuration
        names no end, and nothing else.

    Raises
    ------
    ConfigurationError
        If the seed is negative, or no session has closed between start and end.
    """

    def __init__(self, config: SimulatedConfig, now: pd.Timestamp | None = None) -> None:
        if config.seed < 0:
            raise ConfigurationError(
                f"The seed of the simulated market is {config.seed}.",
                todo="set ALLOCATOR_SIMULATED_SEED to 0 or more.",
            )
        self.config = config
        self.sessions = _closed_sessions(config, now)
        self.symbols = tuple(f"SIM{i:02d}" for i in range(config.n_symbols))

    def coverage(self) -> MarketCoverage:
        """Return what the source holds."""
        config = self.config
        planted = (
            f"A signal with a weekly information coefficient of {config.weekly_ic:g} and a weekly autocorrelation of "
            f"{config.persistence:g} is planted in the news; news_sentiment of 15 stocks shows about 0.95 of it."
            if config.weekly_ic > 0
            else "No signal is planted: nothing predicts any return."
        )
        return MarketCoverage(
            name="simulated",
            first_session=self.sessions[0].date(),
            last_session=self.sessions[-1].date(),
            static=config.end is not None,
            has_open=True,
            has_volume=True,
            simulated=("prices", "news", "fundamentals"),
            notes=(f"Everything is generated from seed {config.seed}; no number describes a real company.", planted),
            symbols=self.symbols,
        )

    def prices(self, year: int) -> pd.DataFrame:
        """Return the bars of a year.

        Raises
        ------
        NotEnoughDataError
            If the year lies outside the coverage.
        """
        require_year(self.coverage(), year)
        return validate(self._bars(self.sessions.year == year), PRICES, "simulated")

    def sentiment(self, year: int) -> pd.DataFrame:
        """Return the articles of a year: one for each stock and session."""
        rows = self.sessions.year == year
        shape = self._paths.tone.shape
        noise = self._random(_ARTICLES).standard_normal(shape)
        moment = self._random(_ARTICLES + 100).random(shape)
        return generated_articles(self.sessions[rows], self.symbols, self._paths.tone[rows], noise[rows], moment[rows])

    def fundamentals(self, year: int) -> pd.DataFrame:
        """Return the ratios released in a year, up to the close of the last session."""
        until = calendar.closes(self.sessions[-1:])[0]
        return generated_fundamentals(self.symbols, year, self.config.seed, until=until)

    def fixed_universe(self) -> list[str]:
        """Return the 15 stocks of the greatest dollar volume at the end."""
        rows = np.arange(len(self.sessions)) >= len(self.sessions) - TRAILING_SESSIONS
        return rank_by_liquidity(self._bars(rows))["symbol"].head(N_STOCKS).tolist()

    def rejections(self, year: int) -> dict[str, int]:
        """Return nothing: no row is rejected."""
        return {}

    def _random(self, stream: int) -> np.random.Generator:
        return np.random.default_rng([self.config.seed, stream])

    @cached_property
    def _paths(self) -> _Paths:
        return _generate(self)

    def _bars(self, rows: np.ndarray) -> pd.DataFrame:
        paths, days = self._paths, self.sessions[rows]
        width = len(self.symbols)
        close = paths.close[rows].ravel()
        return pd.DataFrame(
            {
                "date": np.repeat(days.to_numpy(), width),
                "symbol": pd.Series(np.tile(np.asarray(self.symbols, dtype=object), len(days)), dtype="str"),
                "open": paths.open[rows].ravel(),
                "high": paths.high[rows].ravel(),
                "low": paths.low[rows].ravel(),
                "close": close,
                "adj_close": close,
                "volume": paths.volume[rows].ravel(),
                "source": pd.Series("simulated", index=range(len(close)), dtype="str"),
            }
        )


def _closed_sessions(config: SimulatedConfig, now: pd.Timestamp | None) -> pd.DatetimeIndex:
    now = calendar.now() if now is None else now
    end = config.end or date(calendar.LAST_YEAR, 12, 31)
    days = calendar.sessions(config.start, end)
    if config.end is None:
        days = days[calendar.closes(days) <= now]
    if len(days) == 0:
        raise ConfigurationError(
            f"The simulated market has no closed session from {config.start} to {config.end or 'now'}.",
            todo="set ALLOCATOR_SIMULATED_START and ALLOCATOR_SIMULATED_END to days with sessions between them.",
        )
    return days


def planted_signal(draws: np.ndarray, persistence: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the tone of each week's articles and the signal that a decaying reader sees in them.

    Parameters
    ----------
    draws : ndarray, shape (W, N)
        Standard normal, by week and stock.
    persistence : float
        Weekly autocorrelation of the signal.

    Returns
    -------
    tone, signal : ndarray, shape (W, N)
        Each of unit variance in the long run.
    """
    memory = (persistence - NEWS_DECAY) / (1 - persistence * NEWS_DECAY)
    product = memory * NEWS_DECAY
    scale = np.sqrt((1 + product) / ((1 - product) * (1 - NEWS_DECAY**2)))  # of an AR(2) with roots memory and decay
    tone, seen = np.empty_like(draws), np.empty_like(draws)
    for week in range(len(draws)):
        if week == 0:
            tone[0] = draws[0]
            seen[0] = draws[0]
        else:
            tone[week] = memory * tone[week - 1] + np.sqrt(1 - memory**2) * draws[week]
            seen[week] = tone[week] + NEWS_DECAY * seen[week - 1]
    return tone, seen / scale


def _generate(market: SimulatedMarket) -> _Paths:
    """Draw the whole market.

    A week's return runs from its first open to the next week's first open, so the night before a session belongs to the
    week of the session before.
    """
    config, width, count = market.config, len(market.symbols), len(market.sessions)
    companies = market._random(_COMPANIES).random((4, width))
    volatility = 0.014 + 0.006 * companies[0]
    beta = 0.85 + 0.3 * companies[1]
    first_price = 30.0 + 120.0 * companies[2]
    base_volume = 13.5 + 1.5 * companies[3]

    monday = market.sessions - pd.to_timedelta(market.sessions.day_of_week, unit="D")
    week = np.unique(monday, return_inverse=True)[1]
    tone, signal = planted_signal(market._random(_SIGNAL).standard_normal((week[-1] + 2, width)), config.persistence)
    strength = config.weekly_ic / np.sqrt(SESSIONS_PER_WEEK * (1 - config.weekly_ic**2))
    drift = strength * volatility * signal
    night_week = np.r_[week[0], week[:-1]]

    shocks = market._random(_RETURNS).standard_normal((count, width + 1, 2))
    common = MARKET_VOLATILITY * beta * shocks[:, -1:, :].transpose(2, 0, 1)
    own = volatility * shocks[:, :-1, :].transpose(2, 0, 1)
    steady = MARKET_DRIFT - 0.5 * (volatility**2 + (MARKET_VOLATILITY * beta) ** 2)
    night = OVERNIGHT * (steady + drift[night_week]) + np.sqrt(OVERNIGHT) * (common[0] + own[0])
    day = (1 - OVERNIGHT) * (steady + drift[week]) + np.sqrt(1 - OVERNIGHT) * (common[1] + own[1])

    log_close = np.log(first_price) + np.cumsum(night + day, axis=0)
    log_open = log_close - day
    reach = 0.4 * np.abs(market._random(_RANGES).standard_normal((count, width, 2)))
    high = np.maximum(log_open, log_close) + volatility * reach[..., 0]
    low = np.minimum(log_open, log_close) - volatility * reach[..., 1]
    moods = market._random(_VOLUMES).standard_normal((count, width, 2))
    shares = np.exp(base_volume + 0.02 * np.cumsum(moods[..., 0], axis=0) + 0.3 * moods[..., 1])
    return _Paths(np.exp(log_open), np.exp(high), np.exp(low), np.exp(log_close), np.floor(shares), tone[week + 1])
