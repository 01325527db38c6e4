"""Which sessions a live market covers, whatever the clock says and wherever it hangs."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from allocator_pipeline.config import LiveConfig
from allocator_pipeline.errors import ConfigurationError
from allocator_pipeline.market.live.window import covered_sessions, settled_session

CASES = [
    ("2026-11-21 06:00", "2026-11-20"),  # the Saturday refresh has Friday
    ("2026-11-20 16:30", "2026-11-19"),  # Friday's bar is not final half an hour after the close
    ("2026-11-23 07:30", "2026-11-20"),  # Monday morning
    ("2026-11-28 01:30", "2026-11-27"),  # a session that closed early at 13:00
    ("2027-01-02 06:00", "2026-12-31"),
    ("2026-03-09 03:00", "2026-03-06"),  # the clocks changed on the day before
]


@pytest.mark.parametrize(("at", "last"), CASES)
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata"])
def test_a_session_counts_once_its_day_is_over(at, last, zone):
    now = pd.Timestamp(at, tz="America/New_York").tz_convert(zone)
    assert settled_session(now) == date.fromisoformat(last)


def test_every_week_of_thirty_years_is_settled_by_its_saturday_refresh():
    from allocator_pipeline.market import calendar

    weeks = calendar.weeks("2000-01-03", "2029-12-31")
    for decision, monday in zip(weeks["decision_session"], weeks["week"], strict=True):
        saturday = (monday - pd.Timedelta(days=2) + pd.Timedelta(hours=6)).tz_localize("America/New_York")
        assert settled_session(saturday) == decision.date()


def test_a_market_that_starts_late_in_a_year_begins_with_the_next():
    days = covered_sessions(LiveConfig(Path("x"), start=date(2012, 5, 18)), date(2020, 6, 1))
    assert (days[0].date(), days[-1].date()) == (date(2013, 1, 2), date(2020, 6, 1))
    assert covered_sessions(LiveConfig(Path("x"), start=date(2012, 1, 3)), date(2020, 6, 1))[0].date() == date(
        2012, 1, 3
    )
    ended = LiveConfig(Path("x"), start=date(2012, 1, 3), end=date(2015, 12, 25))
    assert covered_sessions(ended, date(2020, 6, 1))[-1].date() == date(2015, 12, 24)


def test_no_session_is_an_error():
    with pytest.raises(ConfigurationError, match="no settled session"):
        covered_sessions(LiveConfig(Path("x"), start=date(2030, 1, 1)), date(2026, 1, 5))
