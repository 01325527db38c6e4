"""Trading weeks of the New York Stock Exchange, from the exchange calendar; no arithmetic on seven days.

A week is named by its Monday. It is decided after the last session before its first session closes, executed in its
first session, and its return runs to the first session of the next week.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache, lru_cache

import exchange_calendars
import numpy as np
import pandas as pd

from allocator_pipeline.errors import NotEnoughDataError

FIRST_YEAR, LAST_YEAR = 1985, 2036

DECISION_DELAY = pd.Timedelta(minutes=1)
"""A decision is taken this long after the close, so that `known_at < decision_at` admits the closing bar itself."""


@lru_cache(maxsize=1)
def exchange() -> exchange_calendars.ExchangeCalendar:
    """Return the XNYS calendar over fixed years, whatever today's date is."""
    return exchange_calendars.get_calendar("XNYS", start=f"{FIRST_YEAR}-01-01", end=f"{LAST_YEAR}-12-31", side="left")


def now() -> pd.Timestamp:
    """Return the present, in UTC: the one place that asks the clock."""
    return pd.Timestamp.now("UTC")


def sessions(first: date | str | pd.Timestamp, last: date | str | pd.Timestamp) -> pd.DatetimeIndex:
    """Return the sessions from ``first`` to ``last``, both included, as naive midnights (datetime64[us])."""
    every = exchange().sessions.as_unit("us")
    return every[(every >= pd.Timestamp(first)) & (every <= pd.Timestamp(last))]


def closes(days: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """Return the closing instants (UTC, datetime64[us]) of some sessions."""
    table = exchange().closes
    stamps = pd.DatetimeIndex(table.loc[days.as_unit("ns")])
    if stamps.tz is None:
        stamps = stamps.tz_localize("UTC")
    return stamps.as_unit("us")


@lru_cache(maxsize=1)
def _all_weeks() -> pd.DataFrame:
    every = exchange().sessions.as_unit("us")
    monday = every - pd.to_timedelta(every.day_of_week, unit="D")
    first = np.flatnonzero(np.r_[True, monday[1:] != monday[:-1]])
    first = first[first > 0]  # the very first week has no session before it
    execution, decision = every[first], every[first - 1]
    table = pd.DataFrame(
        {
            "week": monday[first].as_unit("us"),
            "decision_session": decision,
            "decision_at": closes(decision) + DECISION_DELAY,
            "execution_session": execution,
            "exit_session": execution.append(pd.DatetimeIndex([pd.NaT]).as_unit("us"))[1:],
            "year": execution.year.astype("int64"),
        }
    )
    return table.iloc[:-1].reset_index(drop=True)  # the last one has no exit in the calendar


def weeks(first: date | str | pd.Timestamp, last: date | str | pd.Timestamp) -> pd.DataFrame:
    """Return the weeks whose Monday lies from ``first`` to ``last``, both included.

    Returns
    -------
    DataFrame
        Columns ``week`` (its Monday), ``decision_session``, ``decision_at`` (UTC), ``execution_session``,
        ``exit_session`` (execution of the next week) and ``year`` (of the execution), in order.
    """
    table = _all_weeks()
    chosen = table[(table["week"] >= pd.Timestamp(first)) & (table["week"] <= pd.Timestamp(last))]
    return chosen.reset_index(drop=True)


def weeks_of_year(year: int) -> pd.DataFrame:
    """Return the weeks executed in a year, as `weeks` does."""
    table = _all_weeks()
    return table[table["year"] == int(year)].reset_index(drop=True)


def week(key: date | str | pd.Timestamp) -> pd.Series:
    """Return one week's row by its Monday.

    Raises
    ------
    NotEnoughDataError
        If the day is not the Monday of a trading week the calendar knows.
    """
    return _row(_number(key))


def shift_week(key: date | str | pd.Timestamp, count: int) -> pd.Timestamp:
    """Return the Monday ``count`` trading weeks later (earlier if negative)."""
    return _all_weeks()["week"].iloc[_number(key) + count]


def _number(key: date | str | pd.Timestamp) -> int:
    try:
        number = _numbers().get(pd.Timestamp(key))
    except ValueError:  # no date at all
        number = None
    if number is None:
        raise NotEnoughDataError(
            "That day is not the Monday of a known trading week.",
            todo="name a week by its Monday, YYYY-MM-DD.",
            week=str(key),
        )
    return number


@cache
def _numbers() -> dict[pd.Timestamp, int]:
    return {monday: number for number, monday in enumerate(_all_weeks()["week"])}


@cache  # sensors ask for the same weeks at every tick
def _row(number: int) -> pd.Series:
    return _all_weeks().iloc[number]


def week_at(instant: pd.Timestamp) -> pd.Series:
    """Return the week that is decided at an instant: the latest one whose decision is due by then.

    Parameters
    ----------
    instant : Timestamp
        With a time zone; which one does not matter.

    Returns
    -------
    Series
        A row of `weeks`.

    Raises
    ------
    NotEnoughDataError
        If the calendar knows no such week.
    """
    table = _all_weeks()
    row = int(table["decision_at"].searchsorted(instant, side="right")) - 1
    if row < 0 or row == len(table) - 1:
        raise NotEnoughDataError(
            f"The calendar covers {FIRST_YEAR} to {LAST_YEAR}.", todo="ask for a day inside.", week=str(instant)
        )
    return _row(row)


def first_decision_of_year(year: int) -> pd.Timestamp:
    """Return the decision session of the first week executed in a year (it may lie in the year before)."""
    return weeks_of_year(year)["decision_session"].iloc[0]


def monday_of(day: date | pd.Timestamp) -> pd.Timestamp:
    """Return the Monday of a day's week."""
    stamp = pd.Timestamp(day).normalize()
    return stamp - timedelta(days=int(stamp.day_of_week))
