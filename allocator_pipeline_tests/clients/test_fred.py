"""FRED: first releases, market series without gaps, and its way of refusing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pandas as pd
import pytest

from allocator_pipeline.errors import (
    IncompleteDataError,
    VendorError,
    VendorRefusedError,
)
from allocator_pipeline.market import calendar
from allocator_pipeline.market.live.macro import Observation, check_market_days, read_observations
from allocator_pipeline_tests.clients.fundamental_vendors import (
    KEY,
    SECRETS,
    TODAY,
    Vendor,
    make,
    whole,
)
from allocator_pipeline_tests.vendors.fred import Fred
from allocator_pipeline_tests.vendors.refusals import refused
from allocator_pipeline_tests.vendors.server import Fault


@pytest.fixture
def fred() -> Iterator[Vendor]:
    made = make("fred")
    with made.server:
        yield made


def test_fred_gives_market_series_as_they_stand_and_others_as_first_released(fred):
    client = fred.open()
    yields = read_observations(client.observations("DGS10", date(2024, 5, 1), TODAY).body, "DGS10")
    assert (len(yields), yields[0].day) == (42, date(2024, 5, 1))
    assert [row.day for row in yields if row.value is None] == [date(2024, 5, 27)]
    prices = read_observations(client.observations("CPIAUCSL", date(2024, 1, 1), TODAY).body, "CPIAUCSL")
    assert [(row.day, row.value, row.shown) for row in prices] == [
        (date(2024, 3, 1), 312.2, date(2024, 4, 10)),
        (date(2024, 4, 1), 313.2, date(2024, 5, 15)),
    ]
    assert fred.server.requests[-1].query["output_type"] == "4"


@pytest.mark.parametrize("key", ["short", "a" * 32])
def test_fred_refuses_a_key_with_status_400(fred, key):
    with pytest.raises(VendorRefusedError, match="FRED_API_KEY") as caught:
        fred.ask(fred.open(FRED_API_KEY=key))
    assert key not in str(caught.value)
    assert len(fred.server.requests) == 1


def test_fred_does_not_know_every_series_and_has_no_first_release_of_daily_ones(fred, tmp_path):
    with pytest.raises(VendorError, match="answered 400"):
        fred.open().observations("NOSUCH", date(2024, 5, 1), TODAY)
    days = pd.bdate_range("2010-01-01", periods=2001)
    daily = pd.DataFrame({"series": "DFF", "date": days, "value": 1.0, "released": days})
    fred.server.answer = Fred(daily, TODAY, {KEY}).answer
    with pytest.raises(VendorError, match="answered 400"):
        fred.open().observations("DFF", date(2010, 1, 1), TODAY)


def without(content: dict, days: slice) -> None:
    del content["observations"][days]
    content["count"] = len(content["observations"])


@pytest.mark.parametrize(
    ("change", "kind", "match"),
    [
        (lambda content: content["observations"].pop(), IncompleteDataError, "41 of 42"),
        (lambda content: content.update(count=1000), IncompleteDataError, "42 of 1000"),
        (
            lambda content: without(content, slice(5, 7)),
            IncompleteDataError,
            "leaves out 2 of 40 sessions, the first on 2024-05-08",
        ),
        (
            lambda content: without(content, slice(0, 3)),
            IncompleteDataError,
            "leaves out 3 of 40 sessions, the first on 2024-05-01",
        ),
        (lambda content: without(content, slice(30, None)), IncompleteDataError, "ends on 2024-06-11"),
        (lambda content: without(content, slice(0, None)), IncompleteDataError, "0 of 0"),
        (lambda content: content["observations"][3].update(date="2024-05-01"), VendorError, "two values"),
        (lambda content: content["observations"][3].update(value="NaN"), VendorError, "no observations"),
        (lambda content: content["observations"][3].update(value=None), VendorError, "no observations"),
        (lambda content: content.pop("output_type"), VendorError, "no observations"),
    ],
)
def test_fred_answers_with_gaps_or_nonsense_are_refused(fred, tmp_path, change, kind, match):
    fred.server.faults.append(Fault("change", change=whole(change)))
    error = refused(fred.server, fred.question, tmp_path, SECRETS, 1)
    assert isinstance(error, kind)
    assert match in str(error)
    assert error.symbol == "DGS10"


def test_fred_values_revised_later_are_no_first_releases(fred, tmp_path):
    fred.server.faults.append(Fault("change", change=whole(lambda content: content.update(output_type=1))))
    ask = lambda: fred.open().observations("CPIAUCSL", date(2024, 1, 1), TODAY)  # noqa: E731
    assert "not the initial releases" in str(refused(fred.server, ask, tmp_path, SECRETS, 1))


def all_but(kept: int):
    """Return a change that takes away all values but the first few."""

    def change(content: dict) -> None:
        for row in content["observations"][kept:]:
            row["value"] = "."

    return change


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (all_but(0), "no value of any day"),
        (all_but(5), "ends on 2024-05-07"),
        (
            lambda content: [row.update(value=".") for row in content["observations"][5:9]],
            "leaves out 4 of 40 values of sessions, the first on 2024-05-08",
        ),
    ],
)
def test_rows_without_values_are_no_data(fred, tmp_path, change, match):
    fred.server.faults.append(Fault("change", change=whole(change)))
    error = refused(fred.server, fred.question, tmp_path, SECRETS, 1)
    assert isinstance(error, IncompleteDataError)
    assert match in str(error)


def test_holidays_of_the_federal_reserve_may_lack_a_value(fred):
    holidays = lambda content: [content["observations"][place].update(value=".") for place in (5, 20)]  # noqa: E731
    fred.server.faults.append(Fault("change", change=whole(holidays)))
    assert fred.question().body


def window_of_sp500(first: str) -> list[Observation]:
    days = calendar.sessions(first, "2024-06-27").date
    return [Observation(day, 5000.0, day) for day in days]


def test_the_sp500_is_due_for_the_ten_years_that_fred_shows():
    asked = (date(2010, 1, 1), date(2024, 6, 28))
    check_market_days(window_of_sp500("2014-06-30"), "SP500", *asked)
    for first in ("2014-07-15", "2024-06-25"):
        with pytest.raises(IncompleteDataError, match=r"leaves out \d+ of \d+ sessions, the first on 2014-07-01"):
            check_market_days(window_of_sp500(first), "SP500", *asked)
    with pytest.raises(IncompleteDataError, match="no value"):
        check_market_days([], "SP500", *asked)


def test_what_lies_before_the_window_of_the_sp500_is_answered_with_nothing(fred):
    months = pd.DataFrame({"series": "SP500", "date": [TODAY], "value": 5000.0, "released": [TODAY]})
    fred.server.answer = Fred(months, TODAY, {KEY}).answer
    answer = fred.open().observations("SP500", date(2010, 1, 1), date(2010, 12, 31))
    assert read_observations(answer.body, "SP500") == []
