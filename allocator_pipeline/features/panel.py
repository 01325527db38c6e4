"""The look-ahead gate: the one place that decides what was known at a decision."""

from __future__ import annotations

import numpy as np
import pandas as pd

from allocator_pipeline.market import calendar


def known(
    table: pd.DataFrame, decision_at: pd.Timestamp, column: str = "known_at", since: pd.Timedelta | None = None
) -> pd.DataFrame:
    """Return the rows that were known strictly before a decision.

    Parameters
    ----------
    table : DataFrame
        With an instant (UTC) in ``column``, in any order.
    decision_at : Timestamp
        Instant of the decision.
    column : str
        ``"known_at"``, or ``"published_at"`` for news.
    since : Timedelta, optional
        Leave out what became known longer ago than this.

    Returns
    -------
    DataFrame
        Rows with ``decision_at - since <= column < decision_at``, in the table's order.
    """
    stamps = table[column]
    keep = stamps < decision_at
    if since is not None:
        keep &= stamps >= decision_at - since
    return table[keep]


def known_bars(prices: pd.DataFrame, decision_at: pd.Timestamp) -> pd.DataFrame:
    """Return the daily bars whose session had closed strictly before a decision.

    Parameters
    ----------
    prices : DataFrame
        `schemas.PRICES`.
    decision_at : Timestamp

    Returns
    -------
    DataFrame
        Rows up to the decision session, in the table's order.
    """
    days = pd.DatetimeIndex(np.unique(prices["date"].to_numpy())).as_unit("us")
    seen = days[calendar.closes(days) < decision_at]
    return prices[prices["date"].isin(seen)]


def decidable_weeks(year: int, last_session: pd.Timestamp) -> pd.DataFrame:
    """Return the weeks of a year whose decision session is not after the last session with prices.

    Returns
    -------
    DataFrame
        As `calendar.weeks_of_year`.
    """
    weeks = calendar.weeks_of_year(year)
    return weeks[weeks["decision_session"] <= pd.Timestamp(last_session)].reset_index(drop=True)
