"""The look-ahead gate."""

import pandas as pd
import pytest

from allocator_pipeline.features.panel import decidable_weeks, known, known_bars
from allocator_pipeline.market import calendar

DECISION = pd.Timestamp("2015-01-02 21:01", tz="UTC")
TICK = pd.Timedelta(microseconds=1)


def test_strictly_before_the_decision():
    table = pd.DataFrame({"known_at": [DECISION - TICK, DECISION, DECISION + TICK], "value": [1, 2, 3]})

    assert known(table, DECISION)["value"].tolist() == [1]
    assert known(table, DECISION.tz_convert("Asia/Kolkata"))["value"].tolist() == [1]


def test_the_order_of_the_rows_does_not_matter():
    table = pd.DataFrame({"published_at": [DECISION + TICK, DECISION - TICK, DECISION], "value": [3, 1, 2]})

    assert known(table, DECISION, "published_at")["value"].tolist() == [1]


def test_since_includes_its_beginning():
    day = pd.Timedelta(days=1)
    table = pd.DataFrame({"known_at": [DECISION - day - TICK, DECISION - day], "value": [1, 2]})

    assert known(table, DECISION, since=day)["value"].tolist() == [2]


def test_an_instant_without_a_zone_is_refused():
    with pytest.raises(TypeError):
        known(pd.DataFrame({"known_at": [DECISION]}), DECISION.tz_localize(None))


def test_bars_are_known_at_their_close(tables):
    for row in calendar.weeks_of_year(2017).itertuples():
        assert known_bars(tables.prices, row.decision_at)["date"].max() == row.decision_session
    week = calendar.week("2017-05-01")
    close = calendar.closes(pd.DatetimeIndex([week["decision_session"]]))[0]
    assert known_bars(tables.prices, close)["date"].max() < week["decision_session"]


def test_decidable_weeks_end_with_the_prices():
    assert decidable_weeks(2022, pd.Timestamp("2022-12-28"))["week"].iloc[-1] == pd.Timestamp("2022-12-26")
    assert decidable_weeks(2022, pd.Timestamp("2022-12-22"))["week"].iloc[-1] == pd.Timestamp("2022-12-19")
    assert decidable_weeks(2023, pd.Timestamp("2022-12-28")).empty
    assert len(decidable_weeks(2023, pd.Timestamp("2022-12-30"))) == 1
