"""Every week from 2000 to 2030: weeks and partition keys correspond one to one, whatever the clock."""

import time

import numpy as np
import pandas as pd
import pytest

from allocator_pipeline.errors import NotEnoughDataError
from allocator_pipeline.market import calendar

FIRST, LAST = "2000-01-01", "2030-12-31"
CLOCKS = ("UTC", "America/New_York", "Asia/Kolkata")


@pytest.fixture(params=CLOCKS)
def clock(request, monkeypatch):
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    calendar.exchange.cache_clear()
    calendar._all_weeks.cache_clear()
    yield request.param
    monkeypatch.undo()
    time.tzset()
    calendar.exchange.cache_clear()
    calendar._all_weeks.cache_clear()


def test_every_week_is_one_key_and_is_decided_before_it_is_executed(clock):
    weeks = calendar.weeks(FIRST, LAST)
    keys = weeks["week"].dt.strftime("%Y-%m-%d")
    mondays = pd.date_range("2000-01-03", "2030-12-30", freq="7D")

    assert len(weeks) >= 1_600
    assert keys.is_unique
    assert weeks["week"].tolist() == mondays.tolist(), "every Monday from 2000 to 2030 names a trading week"
    assert (weeks["week"].dt.day_of_week == 0).all()
    opens = calendar.exchange().opens.loc[pd.DatetimeIndex(weeks["execution_session"]).as_unit("ns")]
    assert (weeks["decision_at"].to_numpy() < opens.to_numpy()).all()
    assert (weeks["decision_session"] < weeks["execution_session"]).all()
    assert (weeks["execution_session"] < weeks["exit_session"]).all()
    for key, row in zip(keys, weeks.itertuples(), strict=True):
        assert calendar.week(key)["week"] == row.week
        for instant in (row.decision_at, opens.loc[row.execution_session]):  # a tick then means this very week
            assert calendar.week_at(instant.tz_convert(clock))["week"] == row.week


def test_a_monday_evening_tick_in_kolkata_falls_between_decision_and_execution():
    weeks = calendar.weeks(FIRST, LAST)
    ticks = (weeks["week"] + pd.Timedelta(hours=18)).dt.tz_localize("Asia/Kolkata")
    opens = calendar.exchange().opens.loc[pd.DatetimeIndex(weeks["execution_session"]).as_unit("ns")]

    assert (weeks["decision_at"].to_numpy() < ticks.dt.tz_convert("UTC").to_numpy()).all()
    assert (ticks.dt.tz_convert("UTC").to_numpy() < opens.to_numpy()).all()


def test_weeks_tile_the_sessions():
    weeks = calendar.weeks(FIRST, LAST)
    sessions = calendar.sessions(FIRST, LAST)
    first_of_week = sessions[np.searchsorted(sessions, weeks["week"])]

    assert (first_of_week == pd.DatetimeIndex(weeks["execution_session"])).all()
    assert (weeks["exit_session"].to_numpy()[:-1] == weeks["execution_session"].to_numpy()[1:]).all()
    position = sessions.get_indexer(pd.DatetimeIndex(weeks["execution_session"]))
    before = sessions.get_indexer(pd.DatetimeIndex(weeks["decision_session"]))
    assert (position[1:] - before[1:] == 1).all(), "no session lies between decision and execution"


def test_a_week_belongs_to_the_year_of_its_execution_and_of_its_monday():
    weeks = calendar.weeks(FIRST, LAST)

    assert (weeks["year"] == weeks["execution_session"].dt.year).all()
    assert (weeks["year"] == weeks["week"].dt.year).all()
    by_year = pd.concat([calendar.weeks_of_year(year) for year in range(2000, 2031)], ignore_index=True)
    pd.testing.assert_frame_equal(by_year, weeks)


@pytest.mark.parametrize(
    ("key", "decision", "execution", "leave"),
    [
        ("2001-09-10", "2001-09-07", "2001-09-10", "2001-09-17"),  # closed from Tuesday on
        ("2012-10-29", "2012-10-26", "2012-10-31", "2012-11-05"),  # a hurricane closed Monday and Tuesday
        ("2015-01-05", "2015-01-02", "2015-01-05", "2015-01-12"),
        ("2018-12-03", "2018-11-30", "2018-12-03", "2018-12-10"),  # closed on Wednesday
        ("2022-12-26", "2022-12-23", "2022-12-27", "2023-01-03"),  # Christmas kept on a Monday
        ("2016-03-14", "2016-03-11", "2016-03-14", "2016-03-21"),  # summer time begins on that Sunday
    ],
)
def test_known_weeks(key, decision, execution, leave):
    row = calendar.week(key)

    assert [str(row[name].date()) for name in ("decision_session", "execution_session", "exit_session")] == [
        decision,
        execution,
        leave,
    ]


def test_decisions_follow_early_closes_and_summer_time():
    friday_after_thanksgiving = calendar.week("2016-11-28")["decision_at"]
    summer, winter = calendar.week("2016-03-21")["decision_at"], calendar.week("2016-03-14")["decision_at"]

    assert friday_after_thanksgiving == pd.Timestamp("2016-11-25 18:01", tz="UTC")
    assert winter == pd.Timestamp("2016-03-11 21:01", tz="UTC")
    assert summer == pd.Timestamp("2016-03-18 20:01", tz="UTC")


def test_shifting_and_first_decisions():
    assert calendar.shift_week("2022-12-26", -2) == pd.Timestamp("2022-12-12")
    assert calendar.shift_week("2022-12-26", 1) == pd.Timestamp("2023-01-02")
    assert calendar.first_decision_of_year(2015) == pd.Timestamp("2015-01-02")
    assert calendar.first_decision_of_year(2023) == pd.Timestamp("2022-12-30")
    assert calendar.monday_of(pd.Timestamp("2022-12-28")) == pd.Timestamp("2022-12-26")


@pytest.mark.parametrize("key", ["2015-01-06", "1970-01-05", "2050-01-03"])
def test_other_days_name_no_week(key):
    with pytest.raises(NotEnoughDataError, match="Monday"):
        calendar.week(key)


@pytest.mark.parametrize("instant", ["1980-01-01", "2040-01-01"])
def test_instants_outside_the_calendar_are_refused(instant):
    with pytest.raises(NotEnoughDataError, match="covers"):
        calendar.week_at(pd.Timestamp(instant, tz="UTC"))
