from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from allocator_pipeline.errors import NotEnoughDataError
from allocator_pipeline.market import calendar
from allocator_pipeline.portfolio.state import StateTensors
from allocator_pipeline.training.weeks import last_exit, recent_weeks, training_weeks


def exits(states: StateTensors) -> pd.Series:
    return pd.Series([calendar.week(pd.Timestamp(week))["exit_session"] for week in states.weeks])


def test_purges_weeks_that_end_after_the_next_years_first_decision(states: StateTensors) -> None:
    weeks = training_weeks(states, 1992, min_years=3)
    assert exits(weeks).max() <= calendar.first_decision_of_year(1993)
    # the last week of 1992 ends with 1993's first execution, after its decision
    following = states.between(first=pd.Timestamp(weeks.weeks[-1]) + pd.Timedelta(days=1))
    assert exits(following[:1])[0] > calendar.first_decision_of_year(1993)
    assert last_exit(weeks) == str(exits(weeks).max().date())


def test_purge_where_the_first_week_of_the_year_is_short() -> None:
    """2015 begins on a Friday: the week of 2014-12-29 is decided on the 26th and straddles the years."""
    table = calendar.weeks("2010-01-01", "2015-12-31")
    states = plain(table["week"])
    weeks = training_weeks(states, 2014, min_years=3)
    first_decision = calendar.first_decision_of_year(2015)
    assert exits(weeks).max() <= first_decision
    kept = set(weeks.weeks.tolist())
    for row in table[table["exit_session"] > first_decision].itertuples():
        assert row.week.date() not in kept


def test_years_are_counted(states: StateTensors) -> None:
    assert len(training_weeks(states, 1991, min_years=2)) > 90
    with pytest.raises(NotEnoughDataError, match="3 years of weeks to learn from and needs 10"):
        training_weeks(states, 1992)
    with pytest.raises(NotEnoughDataError, match="0 years"):
        training_weeks(states[:0], 1992)


def test_weeks_not_known_yet_are_dropped_at_the_end_and_refused_within(states: StateTensors) -> None:
    returns = states.returns.copy()
    returns[130:] = np.nan
    assert len(training_weeks(dataclasses.replace(states, returns=returns), 1992, 3)) == 130
    returns = states.returns.copy()
    returns[60, 3] = np.nan
    with pytest.raises(NotEnoughDataError, match=r"has no return though it is past.*week=1991-03-04"):
        training_weeks(dataclasses.replace(states, returns=returns), 1992, 3)


def test_an_absent_week_is_refused(states: StateTensors) -> None:
    keep = np.arange(len(states)) != 60
    with pytest.raises(NotEnoughDataError, match=r"is absent.*week=1991-03-04"):
        training_weeks(states[keep], 1992, 3)


def test_recent_weeks_are_those_known_by_the_decision(states: StateTensors) -> None:
    week = "1993-03-01"
    weeks = recent_weeks(states, week, 26)
    assert len(weeks) == 26
    decision = calendar.week(week)["decision_session"]
    assert exits(weeks).max() <= decision
    # the week before the decided one is still running at the decision
    assert str(weeks.weeks[-1]) == "1993-02-15"


def test_recent_weeks_that_are_missing_are_an_error(states: StateTensors) -> None:
    with pytest.raises(NotEnoughDataError, match="26 weeks"):
        recent_weeks(states, "1990-05-07", 26)
    with pytest.raises(NotEnoughDataError, match="26 weeks"):
        recent_weeks(states[:100], "1993-03-01", 26)
    returns = states.returns.copy()
    returns[states.row("1993-02-08")] = np.nan
    with pytest.raises(NotEnoughDataError, match="has no return"):
        recent_weeks(dataclasses.replace(states, returns=returns), "1993-03-01", 26)


def plain(weeks: pd.Series) -> StateTensors:
    count = len(weeks)
    zeros = np.zeros((count, 15))
    return StateTensors(
        weeks=weeks.to_numpy().astype("datetime64[D]"),
        symbols=np.tile([f"S{slot:02d}" for slot in range(15)], (count, 1)),
        signals=np.zeros((count, 15, 7)),
        missing=np.zeros((count, 15, 7), dtype=bool),
        forecasts=zeros,
        returns=zeros,
        marks=zeros,
    )
