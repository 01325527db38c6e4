"""Series with the instant at which each value was known, never the day that it is about."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocator_pipeline.errors import ConfigurationError
from allocator_pipeline.market import calendar
from allocator_pipeline.market.live.macro import DEFAULT_SERIES, MARKET_SERIES, macro_table
from allocator_pipeline.market.raw import RawStore
from allocator_pipeline_tests.market.live.kept import FETCHED, keep
from allocator_pipeline_tests.vendors.fred import Fred
from allocator_pipeline_tests.vendors.server import Asked

KEY = "0" * 32


def table(series: str, *rows: tuple[str, float, str]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "series": series,
            "date": [date.fromisoformat(day) for day, _, _ in rows],
            "value": [value for _, value, _ in rows],
            "released": [date.fromisoformat(day) for _, _, day in rows],
        }
    )


def fetch(
    store: RawStore, series: str, releases: pd.DataFrame, when: datetime = FETCHED, first: date = date(1990, 1, 1)
) -> None:
    query = {"series_id": series, "api_key": KEY, "file_type": "json", "observation_start": str(first)}
    if series not in MARKET_SERIES:
        query |= {"output_type": "4", "realtime_start": "1776-07-04", "realtime_end": "9999-12-31"}
    told = releases[releases["released"] <= when.date()]
    body = Fred(told, when.date(), {KEY}).answer(Asked("/fred/series/observations", query, {})).body
    keep(store, "fred", "observations", series, body, when, first, when.date())


def end_of(day: str) -> pd.Timestamp:
    return pd.Timestamp(f"{day} 23:59:59.999999", tz="America/New_York").tz_convert("UTC")


def test_a_month_is_known_when_it_is_released_and_as_it_was_released(tmp_path):
    store = RawStore(tmp_path)
    releases = table("CPIAUCSL", ("2020-01-01", 258.8, "2020-02-13"), ("2020-01-01", 259.1, "2021-02-10"))
    fetch(store, "CPIAUCSL", releases)
    row = macro_table(store, ["CPIAUCSL"]).iloc[0]
    assert (row["value"], row["known_at"], row["source"]) == (258.8, end_of("2020-02-13"), "fred")


@pytest.mark.parametrize(
    ("series", "day", "known"),
    [
        ("VIXCLS", "2024-06-28", "2024-06-28"),
        ("SP500", "2024-10-14", "2024-10-14"),  # Columbus Day: the exchange is open, the Federal Reserve is not
        ("DGS10", "2024-06-27", "2024-06-28"),
        ("DGS10", "2024-06-28", "2024-07-01"),  # over a weekend
        ("DGS2", "2024-10-11", "2024-10-15"),  # over Columbus Day
        ("DGS3MO", "2024-12-24", "2024-12-26"),
        ("DGS5", "2024-03-28", "2024-03-29"),  # Good Friday: the exchange is closed, the Federal Reserve is not
    ],
)
def test_what_markets_quote_is_known_by_rule(tmp_path, series, day, known):
    store = RawStore(tmp_path)
    fetch(store, series, table(series, (day, 4.2, day)))
    assert macro_table(store, [series])["known_at"].tolist() == [end_of(known)]


def test_no_value_of_a_market_series_is_known_to_the_decision_at_its_close(tmp_path):
    store = RawStore(tmp_path)
    days = calendar.sessions("2023-01-03", "2023-12-29")
    for series in DEFAULT_SERIES:
        fetch(store, series, table(series, *((str(day.date()), 1.0, str(day.date())) for day in days)))
    macro = macro_table(store)
    closes = pd.Series(calendar.closes(pd.DatetimeIndex(macro["date"])))
    assert len(macro) == len(days) * len(DEFAULT_SERIES)
    assert (macro["known_at"] > closes + calendar.DECISION_DELAY).all()


def test_days_without_a_value_are_left_out_until_they_have_one(tmp_path):
    store, week = RawStore(tmp_path), timedelta(days=7)
    fetch(store, "VIXCLS", table("VIXCLS", ("2024-01-02", 13.2, "2024-01-02"), ("2024-01-03", np.nan, "2024-01-03")))
    first = macro_table(store, ["VIXCLS"])
    assert first["date"].dt.date.tolist() == [date(2024, 1, 2)]
    rows = (("2024-01-02", 99.0, "2024-01-02"), ("2024-01-03", 14.0, "2024-01-03"), ("2026-01-08", 15.0, "2026-01-08"))
    fetch(store, "VIXCLS", table("VIXCLS", *rows), FETCHED + week)
    both = macro_table(store, ["VIXCLS"])
    assert both["value"].tolist() == [13.2, 14.0, 15.0]  # the first answer stands
    assert both["known_at"].tolist() == [end_of("2024-01-02"), pd.Timestamp(FETCHED), end_of("2026-01-08")]


def test_an_answer_about_other_days_says_nothing_about_these(tmp_path):
    store = RawStore(tmp_path)
    fetch(store, "VIXCLS", table("VIXCLS", ("2024-01-02", 13.2, "2024-01-02")), first=date(2024, 1, 1))
    fetch(store, "VIXCLS", table("VIXCLS", ("2020-01-02", 12.5, "2020-01-02")), FETCHED + timedelta(days=1))
    assert macro_table(store, ["VIXCLS"])["known_at"].tolist() == [end_of("2020-01-02"), end_of("2024-01-02")]


def test_an_index_is_read_only_where_it_is_named_and_its_chart_can_be_read(tmp_path):
    store = RawStore(tmp_path)
    keep(store, "yahoo", "index", "^VIX", json.dumps({"2024-01-02": 13.2}).encode())
    assert macro_table(store, ["VIXCLS"]).empty
    with pytest.raises(ConfigurationError, match=r"\^VIX"):
        macro_table(store, ["^VIX"])

    def closes(body: bytes, fetched_at: datetime, name: str) -> dict[date, float]:
        return {date.fromisoformat(day): value for day, value in json.loads(body).items()}

    row = macro_table(store, ["^VIX"], closes).iloc[0]
    assert (row["series"], row["value"], row["source"]) == ("^VIX", 13.2, "yahoo")
    assert row["known_at"] == end_of("2024-01-02")


@given(st.integers(0, 2**32 - 1), st.dates(date(2019, 2, 1), date(2021, 6, 1)), st.sampled_from(["CPIAUCSL", "DGS10"]))
@settings(max_examples=200, deadline=None)
def test_nothing_known_later_changes_what_was_known_before(seed, since, series):
    random, fetched = np.random.default_rng(seed), datetime(2021, 1, 4, 12, tzinfo=UTC)
    days = pd.bdate_range("2019-01-01", "2021-01-01", freq="MS" if series == "CPIAUCSL" else "9B").date
    lag = random.integers(0, 60, len(days)) if series == "CPIAUCSL" else np.zeros(len(days), dtype=int)
    releases = pd.DataFrame(
        {
            "series": series,
            "date": days,
            "value": np.where(random.random(len(days)) < 0.1, np.nan, random.random(len(days))),
            "released": [day + timedelta(days=int(wait)) for day, wait in zip(days, lag, strict=True)],
        }
    )
    other = releases.copy()
    later = (other["released"] >= since).to_numpy()
    other.loc[later, "value"] = random.random(int(later.sum()))
    other = other[~later | (random.random(len(other)) < 0.8)]
    again = releases.assign(value=random.random(len(releases)))
    instant = pd.Timestamp(since, tz="America/New_York")
    seen = []
    for answers in (
        [(releases, fetched)],
        [(other, fetched)],
        [(releases, fetched), (again, fetched + timedelta(days=7))],
    ):
        with TemporaryDirectory() as folder:
            store = RawStore(Path(folder))
            for told, when in answers:
                if (told["released"] <= when.date()).any():
                    fetch(store, series, told, when)
            seen.append(macro_table(store, [series]))
    pd.testing.assert_frame_equal(*(one[one["known_at"] < instant].reset_index(drop=True) for one in seen[:2]))
    before = pd.Timestamp(fetched)
    pd.testing.assert_frame_equal(*(one[one["known_at"] < before].reset_index(drop=True) for one in seen[::2]))
