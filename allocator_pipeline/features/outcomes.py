"""What each week paid: returns from execution to execution, and marks at the next decision."""

from __future__ import annotations

import numpy as np
import pandas as pd

from allocator_pipeline.config import N_STOCKS
from allocator_pipeline.errors import MarketDataError
from allocator_pipeline.features.panel import decidable_weeks
from allocator_pipeline.market import calendar


def execution_prices(prices: pd.DataFrame, has_open: bool) -> pd.Series:
    """Return the price at which an order of each session is filled, in adjusted USD.

    The open, adjusted as the close is (``open * adj_close / close``); without opens, the adjusted close of the session.

    Parameters
    ----------
    prices : DataFrame
        `schemas.PRICES`.
    has_open : bool
        Whether the source has opening prices.

    Returns
    -------
    Series of float64
        In the rows of ``prices``.
    """
    return prices["open"] * prices["adj_close"] / prices["close"] if has_open else prices["adj_close"]


def weekly_outcomes(
    year: int, universe: pd.DataFrame, prices: pd.DataFrame, has_open: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return what each of the year's stocks paid in each of its decidable weeks.

    The weeks are those of `panel.decidable_weeks` up to the last session of ``prices``.

    Parameters
    ----------
    year : int
    universe : DataFrame
        `schemas.UNIVERSE` of the year.
    prices : DataFrame
        `schemas.PRICES` of the year before, the year and the next, as far as they exist.
    has_open : bool
        Whether the source has opening prices.

    Returns
    -------
    returns : ndarray of float64, shape (T, 15)
        Simple return from the week's execution to the next week's; NaN where that session has not closed yet.
    marks : ndarray of float64, shape (T, 15)
        Simple return from the week's execution to the close of the next decision's session; NaN where it has not closed
        yet.

    Raises
    ------
    MarketDataError
        If a price is missing though its session has passed; it names the symbol and the week.
    """
    last = prices["date"].max()
    weeks = decidable_weeks(year, last)
    symbols = universe.sort_values("slot")["symbol"].tolist()
    fills = prices.assign(fill=execution_prices(prices, has_open)).pivot(index="date", columns="symbol", values="fill")
    closes = prices.pivot(index="date", columns="symbol", values="adj_close")
    mark_sessions = next_decisions(weeks)

    bought = _at(fills, weeks["execution_session"], weeks["week"], symbols, last)
    sold = _at(fills, weeks["exit_session"], weeks["week"], symbols, last)
    marked = _at(closes, mark_sessions, weeks["week"], symbols, last)
    return sold / bought - 1.0, marked / bought - 1.0


def next_decisions(weeks: pd.DataFrame) -> pd.Series:
    """Return the decision session of the week after each of some weeks."""
    every = calendar.weeks(calendar.exchange().first_session, calendar.exchange().last_session)
    following = every["decision_session"].shift(-1).set_axis(every["week"])
    return following.loc[weeks["week"]].reset_index(drop=True)


def _at(
    table: pd.DataFrame, sessions: pd.Series, weeks: pd.Series, symbols: list[str], last: pd.Timestamp
) -> np.ndarray:
    """Read a price for each week and symbol, shape (T, 15): NaN after the last session, an error where one is due."""
    values = table.reindex(index=pd.DatetimeIndex(sessions), columns=symbols).to_numpy(dtype=np.float64)
    due = (sessions <= last).to_numpy()
    lacking = np.argwhere(np.isnan(values) & due[:, None])
    if len(lacking):
        row, slot = lacking[0]
        raise MarketDataError(
            f"The price of {sessions.iloc[row].date()} is missing though that session has passed.",
            todo="complete the prices of that symbol, or leave it out: a missing price is never a zero return.",
            symbol=symbols[slot],
            week=str(weeks.iloc[row].date()),
        )
    return values.reshape(len(sessions), N_STOCKS)


def outcomes_table(year: int, universe: pd.DataFrame, prices: pd.DataFrame, has_open: bool) -> pd.DataFrame:
    """Return `weekly_outcomes` as a table by week and slot.

    Parameters
    ----------
    year, universe, prices, has_open
        As in `weekly_outcomes`.

    Returns
    -------
    DataFrame
        `schemas.OUTCOMES`.
    """
    returns, marks = weekly_outcomes(year, universe, prices, has_open)
    weeks = decidable_weeks(year, prices["date"].max())["week"]
    symbols = universe.sort_values("slot")["symbol"].tolist()
    return pd.DataFrame(
        {
            "week": weeks.repeat(N_STOCKS).to_numpy(),
            "slot": np.tile(np.arange(N_STOCKS, dtype=np.int64), len(weeks)),
            "symbol": pd.Series(symbols * len(weeks), dtype="str"),
            "return": returns.ravel(),
            "mark": marks.ravel(),
        }
    )
