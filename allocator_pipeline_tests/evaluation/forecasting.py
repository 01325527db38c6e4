"""A made-up year of 15 stocks for the tests of the forecast panel."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd

from allocator_pipeline.config import CASH, N_STOCKS, QUANTILES
from allocator_pipeline.evaluation.forecast_weeks import LEVELS, History, weekly_panel
from allocator_pipeline.market import calendar

YEAR = 2015
STOCKS = [f"S{i:02d}" for i in range(N_STOCKS)]


def weeks_of(year: int = YEAR) -> pd.DataFrame:
    return calendar.weeks_of_year(year)


def made_up_outcomes(year: int = YEAR, seed: int = 0) -> pd.DataFrame:
    """Return weekly returns of 15 stocks (`schemas.OUTCOMES`)."""
    weeks = weeks_of(year)["week"]
    random = np.random.default_rng([seed, year])
    moves = np.exp(random.normal(0.002, 0.03, (len(weeks), N_STOCKS)) + random.normal(0, 0.02, (len(weeks), 1))) - 1
    return pd.DataFrame(
        {
            "week": weeks.repeat(N_STOCKS).to_numpy(),
            "slot": np.tile(np.arange(N_STOCKS), len(weeks)),
            "symbol": pd.Series(STOCKS * len(weeks), dtype="str"),
            "return": moves.ravel(),
            "mark": moves.ravel() * 0.9,
        }
    )


def made_up_history(year: int = YEAR) -> History:
    """Return opponents that know the true distribution roughly."""
    from statistics import NormalDist

    weeks = weeks_of(year)["week"]
    bands = np.array([NormalDist(0.002, 0.036).inv_cdf(level) for level in LEVELS])
    return History(
        pd.DatetimeIndex(weeks), np.full(len(weeks), 0.002), np.tile(bands, (len(weeks), N_STOCKS, 1)).astype(float)
    )


def forecast_table(said: np.ndarray, bands: np.ndarray | None = None, year: int = YEAR, name: str = "lstm"):
    """Return forecasts of shape (T, 15) and quantiles (T, 15, 7) as a table; NaN quantiles by default."""
    weeks = weeks_of(year)
    rows = weeks.loc[weeks.index.repeat(N_STOCKS), ["week", "decision_at"]].reset_index(drop=True)
    bands = np.full((*said.shape, len(LEVELS)), np.nan) if bands is None else bands
    return rows.assign(
        slot=np.tile(np.arange(N_STOCKS), len(weeks)),
        symbol=pd.Series(STOCKS * len(weeks), dtype="str"),
        forecast=said.ravel(),
        **{column: bands[..., i].ravel() for i, column in enumerate(QUANTILES)},
        forecaster=name,
        model_version="v",
    )


def made_up_baselines(year: int = YEAR) -> dict[str, pd.DataFrame]:
    """Return equal weights and a tilt as baselines (`schemas.BASELINE_WEIGHTS`)."""
    weeks = weeks_of(year)["week"]

    def table(stocks: np.ndarray) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "week": weeks.repeat(N_STOCKS + 1).to_numpy(),
                "slot": np.tile(np.arange(N_STOCKS + 1), len(weeks)),
                "symbol": pd.Series([*STOCKS, CASH] * len(weeks), dtype="str"),
                "weight": np.tile(np.append(stocks, 1 - stocks.sum()), len(weeks)),
            }
        )

    return {"equal_weight": table(np.full(N_STOCKS, 0.98 / 15)), "hrp": table(np.linspace(0.02, 0.11, N_STOCKS))}


def made_up_universe(year: int = YEAR) -> pd.DataFrame:
    return pd.DataFrame({"year": year, "slot": np.arange(N_STOCKS), "symbol": STOCKS})


@lru_cache(maxsize=1)
def _prices() -> pd.DataFrame:
    days = calendar.sessions(f"{YEAR - 6}-01-01", f"{YEAR}-12-31")
    random = np.random.default_rng(4)
    names = [*STOCKS, "S15"]
    close = 50 * np.exp(np.cumsum(0.012 * random.standard_t(4, (len(days), len(names))), axis=0))
    return pd.DataFrame(
        {
            "date": np.repeat(days.to_numpy(), len(names)),
            "symbol": pd.Series(names * len(days), dtype="str"),
            "open": (close * np.exp(0.003 * random.standard_normal(close.shape))).ravel(),
            "high": np.nan,
            "low": np.nan,
            "close": close.ravel(),
            "adj_close": close.ravel(),
            "volume": np.nan,
            "source": "made up",
        }
    )


def made_up_prices() -> pd.DataFrame:
    """Return six years of bars of 16 stocks with opens."""
    return _prices().copy()


def paid(outcomes: pd.DataFrame) -> np.ndarray:
    """Return log returns, shape (T, 15)."""
    return np.log1p(outcomes["return"].to_numpy().reshape(-1, N_STOCKS))


def made_up_panel(skill: float, year: int = YEAR, seed: int = 9) -> pd.DataFrame:
    """Return the panel of forecasts that hold a share of what comes and noise, with the true quantiles."""
    outcomes, history = made_up_outcomes(year), made_up_history(year)
    noise = np.random.default_rng([seed, year]).normal(0, 0.03, paid(outcomes).shape)
    said = 0.002 + skill * (paid(outcomes) - 0.002) + 0.1 * noise
    return weekly_panel(forecast_table(said, history.quantiles, year), outcomes, history)
