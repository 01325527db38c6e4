"""Reading a chart of Yahoo's: the splits undone, the live bar left out, what is no bar not taken for one."""

from __future__ import annotations

import json
from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocator_pipeline.errors import IncompleteDataError, VendorError
from allocator_pipeline.market.live.chart import read_chart
from allocator_pipeline.market.live.completeness import require_whole
from allocator_pipeline.market.live.settled import SETTLING, last_settled, listed
from allocator_pipeline_tests.market.live.answers import Truth

TRUTH = Truth.drawn(5, 20, {4: 0.5, 15: 0.2}, {8: 4.0, 12: 0.5})
DAYS = TRUTH.sessions.index
NOW = TRUTH.moment(19)


def read(edit=lambda result: None, now=NOW):
    values = json.loads(TRUTH.answer(0, now))
    edit(values["chart"]["result"][0])
    return read_chart(json.dumps(values).encode(), now)


def noon(day) -> int:
    return int(pd.Timestamp(day).tz_localize("America/New_York").timestamp()) + 12 * 3600


def test_bars_and_actions_as_they_traded_whatever_was_split_since():
    chart = read()
    assert chart.ticker == "ACME"
    assert chart.first_trade == DAYS[0].date()
    assert str(chart.sessions.index.dtype) == "datetime64[us]"
    np.testing.assert_allclose(chart.sessions, TRUTH.sessions[list(chart.sessions)], rtol=1e-6)
    require_whole(chart, DAYS[0].date(), DAYS[19].date())


@pytest.mark.parametrize("row", range(20))
def test_the_answer_of_any_evening_tells_the_same(row):
    chart = read(now=TRUTH.moment(row))
    assert list(chart.sessions.index) == list(DAYS[: row + 1])
    truth = TRUTH.sessions[: row + 1]
    np.testing.assert_allclose(chart.sessions, truth[list(chart.sessions)], rtol=1e-6)


def test_an_action_on_a_day_without_session_counts_from_the_next():
    saturday = DAYS[DAYS.day_of_week == 4][0] + pd.Timedelta(days=1)
    monday = DAYS[saturday < DAYS][0]

    def edit(result):
        result["events"] = {"splits": {"1": {"date": noon(saturday), "numerator": 2, "denominator": 1}}}

    chart = read(edit)
    assert chart.sessions["split"][monday] == 2.0
    assert (chart.sessions["split"].drop(monday) == 1.0).all()


def test_what_is_told_twice_counts_once_and_what_differs_does_not():
    event = {"amount": 0.25, "date": noon(DAYS[3])}

    def twice(result):
        result["events"] = {"dividends": {"1": event, "2": {**event, "date": event["date"] + 60}}}

    def two(result):
        result["events"] = {"dividends": {"1": event, "2": {**event, "amount": 1.0}}}

    def gains(result):
        result["events"] = {"dividends": {"1": event}, "capitalGains": {"1": {**event, "amount": 0.5}}}

    def splits(result):
        split = {"date": noon(DAYS[3]), "numerator": 2, "denominator": 1}
        result["events"] = {"splits": {"1": split, "2": {**split, "numerator": 3}}}

    assert read(twice).sessions["dividend"][DAYS[3]] == 0.25
    assert read(two).sessions["dividend"][DAYS[3]] == 1.25
    assert read(gains).sessions["dividend"][DAYS[3]] == 0.75
    with pytest.raises(VendorError, match="two different splits"):
        read(splits)


def test_a_bar_on_a_closed_day_is_refused_but_not_of_an_index():
    def edit(result):
        result["timestamp"].insert(3, noon("2014-01-05"))
        for values in result["indicators"]["quote"][0].values():
            values.insert(3, values[3])

    def index(result):
        edit(result)
        result["meta"]["symbol"], result["meta"]["exchangeTimezoneName"] = "^VIX", "America/Chicago"

    def nothing(result):
        edit(result)
        for values in result["indicators"]["quote"][0].values():
            values[3] = None

    with pytest.raises(VendorError, match="2014-01-05"):
        read(edit)
    assert list(read(index).sessions.index) == list(DAYS)
    assert list(read(nothing).sessions.index) == list(DAYS)


def test_rows_in_any_order():
    def edit(result):
        for values in (result["timestamp"], *result["indicators"]["quote"][0].values()):
            values.reverse()

    pd.testing.assert_frame_equal(read(edit).sessions, read().sessions)


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2020-11-27 12:00", date(2020, 11, 25)),
        ("2020-11-27 14:59", date(2020, 11, 25)),
        ("2020-11-27 15:00", date(2020, 11, 27)),  # a half day: it closes at one
        ("2020-11-30 17:59", date(2020, 11, 27)),
        ("2020-11-30 18:00", date(2020, 11, 30)),
        ("2020-11-29 03:00", date(2020, 11, 27)),
        ("2001-09-16 12:00", date(2001, 9, 10)),  # the exchange was closed for the rest of that week
    ],
)
@pytest.mark.parametrize("zone", ["America/New_York", "UTC", "Asia/Kolkata"])
def test_the_last_session_that_has_settled(at, expected, zone):
    assert pd.Timedelta(hours=2) == SETTLING
    assert last_settled(pd.Timestamp(at, tz="America/New_York").tz_convert(zone)) == expected


def test_a_first_trade_that_is_not_known_does_not_excuse_what_is_missing():
    chart = read(lambda result: result["meta"].update(firstTradeDate=None))
    require_whole(chart, DAYS[0].date(), DAYS[19].date())
    with pytest.raises(IncompleteDataError, match="2013-12-3"):
        require_whole(chart, date(2013, 12, 30), DAYS[19].date())


def test_days_in_messages():
    assert listed(DAYS[:2]) == "2014-01-02, 2014-01-03"
    assert listed(DAYS).endswith("2014-01-08 and 15 more")


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["chart", "result", "meta", "timestamp", "indicators", "quote", "events", "splits"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    ),
    st.sampled_from(["body", "result", "meta", "timestamp", "indicators", "events", "splits"]),
)
def test_nonsense_of_any_form_is_a_typed_error(value, place):
    values = json.loads(TRUTH.answer(0, NOW))
    result = values["chart"]["result"][0]
    if place == "body":
        values = value
    elif place == "result":
        values["chart"]["result"] = value
    elif place == "splits":
        result["events"]["splits"] = {"1": value}
    else:
        result[place] = value
    try:
        chart = read_chart(json.dumps(values).encode(), NOW)
    except (VendorError, IncompleteDataError):
        return
    assert np.isfinite(chart.sessions.to_numpy()).all()
    assert len(chart.sessions)
