"""What forecasts were worth week by week: sums over the stocks, from which every number of the panel is a ratio.

Two opponents are known at each decision: the *history* of a stock (empirical quantiles of its weekly returns of the
last five years) and the *past mean* (of all of the year's stocks over the same days, pooled). Both read overlapping
five-session returns, every day as if it were a decision, whose exit is not after the decision session.

The pinball loss of quantile ``z`` at level ``q`` on the return ``y`` is ``max(q (y - z), (q - 1) (y - z))`` (Koenker
and Bassett 1978); its mean is least where ``z`` is the true quantile.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from allocator_pipeline.config import FORECAST_TRAINING_YEARS, N_STOCKS, QUANTILES
from allocator_pipeline.errors import MissingPartitionError
from allocator_pipeline.forecasters.panel import price_panel
from allocator_pipeline.forecasters.quality import rank_ic
from allocator_pipeline.forecasters.targets import EXIT, weekly_returns
from allocator_pipeline.market import calendar

LEVELS = np.array(list(QUANTILES.values()))
TOP_K = 5
"""Stocks that the portfolio of the panel holds: as many as the greatest weight of one stock allows to fill."""

MIN_HISTORY = 250
"""Past weekly returns that a stock's empirical quantiles need; a stock with fewer has none and is not compared."""


@dataclass(frozen=True)
class History:
    """What the past said at each decision of a year.

    Parameters
    ----------
    weeks : DatetimeIndex, length T
    mean : ndarray of float64, shape (T,)
        Pooled mean weekly log return; NaN where there is no past.
    quantiles : ndarray of float64, shape (T, 15, 7)
        Empirical quantiles of each slot's stock; NaN where it has too short a past.
    """

    weeks: pd.DatetimeIndex
    mean: np.ndarray
    quantiles: np.ndarray


def history_of_year(year: int, prices: pd.DataFrame, universe: pd.DataFrame, has_open: bool) -> History:
    """Return what the five years before each decision of a year said about its stocks.

    Parameters
    ----------
    year : int
    prices : DataFrame
        `schemas.PRICES` of ``year - 6`` to ``year``; each week reads bars up to its decision session only.
    universe : DataFrame
        `schemas.UNIVERSE` of the year.
    has_open : bool
        Whether weeks execute at the open.

    Returns
    -------
    History
        Of the weeks whose decision session has a price.
    """
    stocks = universe.sort_values("slot")["symbol"].astype(str).tolist()
    panel = price_panel(prices, has_open, stocks)
    paid = weekly_returns(panel.execution)[:, [panel.symbols.index(stock) for stock in stocks]]
    weeks = calendar.weeks_of_year(year)
    weeks = weeks[weeks["decision_session"].to_numpy().astype("datetime64[D]") <= panel.dates[-1]]
    mean = np.full(len(weeks), np.nan)
    quantiles = np.full((len(weeks), N_STOCKS, len(LEVELS)), np.nan)
    for k, decision in enumerate(weeks["decision_session"]):
        since = decision - pd.DateOffset(years=FORECAST_TRAINING_YEARS)
        first = int(np.searchsorted(panel.dates, np.datetime64(since, "D"), side="left"))
        after = int(np.searchsorted(panel.dates, np.datetime64(decision, "D"), side="right"))
        past = paid[first : max(after - EXIT, first)]  # the last exit read is the decision session itself
        if np.isfinite(past).any():
            mean[k] = np.nanmean(past)
        enough = np.isfinite(past).sum(axis=0) >= MIN_HISTORY
        if enough.any():
            quantiles[k, enough] = np.nanquantile(past[:, enough], LEVELS, axis=0).T
    return History(pd.DatetimeIndex(weeks["week"]), mean, quantiles)


def weekly_panel(forecasts: pd.DataFrame, outcomes: pd.DataFrame, history: History) -> pd.DataFrame:
    """Hold forecasts of a year against what the weeks paid.

    Parameters
    ----------
    forecasts : DataFrame
        `schemas.FORECASTS` of one forecaster; a forecast or a quantile may be NaN where there is none.
    outcomes : DataFrame
        `schemas.OUTCOMES` of the same year.
    history : History
        Of the same year.

    Returns
    -------
    DataFrame
        `schemas.FORECAST_PANEL`: one row for each week that was forecast and whose returns are all known. What is
        missing is left out of every sum, and counted in ``missing``.

    Raises
    ------
    MissingPartitionError
        If forecasts and outcomes are not of the same weeks, slots and symbols.
    """
    paid = outcomes.pivot(index="week", columns="slot", values="return")
    known = paid.index[np.isfinite(paid.to_numpy()).all(axis=1)]
    rows = forecasts[forecasts["week"].isin(known)].sort_values(["week", "slot"])
    weeks = pd.DatetimeIndex(rows["week"].unique())
    realised = outcomes[outcomes["week"].isin(weeks)].sort_values(["week", "slot"])
    if not weeks.isin(history.weeks).all() or (
        rows[["week", "slot", "symbol"]].to_numpy().tolist() != realised[["week", "slot", "symbol"]].to_numpy().tolist()
    ):
        raise MissingPartitionError(
            "The forecasts are not of the weeks, slots and symbols that the outcomes are of.",
            todo="materialise universe, outcomes and forecasts of that year again.",
            week=str(weeks[0].date()) if len(weeks) else None,
        )
    shape = (len(weeks), N_STOCKS)
    came = np.log1p(realised["return"].to_numpy(dtype=np.float64)).reshape(shape)
    said = rows["forecast"].to_numpy(dtype=np.float64).reshape(shape)
    bands = rows[list(QUANTILES)].to_numpy(dtype=np.float64).reshape(*shape, len(LEVELS))
    at = history.weeks.get_indexer(weeks)
    symbols = rows["symbol"].to_numpy(dtype=str).reshape(shape)
    return pd.DataFrame(
        {
            "week": weeks.as_unit("us"),
            **_errors(said, came, history.mean[at]),
            **_bands(bands, came, history.quantiles[at]),
            "held": pd.Series([_largest(*pair) for pair in zip(said, symbols, strict=True)], dtype="str"),
        }
    )


def _errors(said: np.ndarray, came: np.ndarray, mean: np.ndarray) -> dict[str, np.ndarray]:
    """Return sums over the stocks with a forecast, each of shape (T,)."""
    there = np.isfinite(said) & np.isfinite(mean)[:, None]

    def total(values: np.ndarray) -> np.ndarray:
        return np.where(there, values, 0.0).sum(axis=1)

    return {
        "stocks": there.sum(axis=1),
        "missing": (~there).sum(axis=1),
        "squared_error": total((said - came) ** 2),
        "squared_error_of_zero": total(came**2),
        "squared_error_of_mean": total((mean[:, None] - came) ** 2),
        "hits": total(np.sign(said) == np.sign(came)).astype(np.int64),
        "ups": total(came > 0).astype(np.int64),
        "rank_ic": rank_ic(said, came),
    }


def _bands(bands: np.ndarray, came: np.ndarray, past: np.ndarray) -> dict[str, np.ndarray]:
    """Return sums over the stocks that have all quantiles, their own and their history's."""
    there = (np.isfinite(bands) & np.isfinite(past)).all(axis=2)

    def total(values: np.ndarray) -> np.ndarray:
        return np.where(there[..., None], values, 0.0).sum(axis=1)

    own, theirs, below = total(pinball(bands, came)), total(pinball(past, came)), total(came[..., None] <= bands)
    sums: dict[str, np.ndarray] = {"with_quantiles": there.sum(axis=1)}
    for i, name in enumerate(QUANTILES):
        sums[f"pinball_{name}"] = own[:, i]
        sums[f"pinball_of_history_{name}"] = theirs[:, i]
        sums[f"below_{name}"] = below[:, i].astype(np.int64)
    return sums


def pinball(bands: np.ndarray, came: np.ndarray) -> np.ndarray:
    """Return the pinball loss of quantiles at `LEVELS`.

    Parameters
    ----------
    bands : ndarray of float64, shape (..., 7)
        Quantiles of the log return.
    came : ndarray of float64, shape (...)
        Log returns.

    Returns
    -------
    ndarray of float64, shape (..., 7)
        In the unit of the returns; 0 or more.
    """
    above = came[..., None] - bands
    return np.maximum(LEVELS * above, (LEVELS - 1.0) * above)


def _largest(said: np.ndarray, symbols: np.ndarray) -> str:
    """Return the `TOP_K` symbols with the highest forecasts; of equal ones those in earlier slots.

    None where more than that many are all equal: nothing was said about which are the highest.
    """
    order = [i for i in np.argsort(-said, kind="stable") if np.isfinite(said[i])]
    if len(order) > TOP_K and said[order[0]] == said[order[-1]]:
        return ""
    return " ".join(symbols[order[:TOP_K]])
