"""Closes of a second source: returns survive the rewriting of adjusted levels."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pytest

from allocator_pipeline.market import calendar
from allocator_pipeline.market.live.second_bars import second_bars
from allocator_pipeline.market.membership import Listing
from allocator_pipeline.market.raw import RawKey, RawStore

ALWAYS = [Listing("AAPL", "AAPL", date(1980, 12, 12))]
DAYS = calendar.sessions("2023-01-03", "2023-12-29")


def truth() -> pd.Series:
    return pd.Series(100 * np.exp(np.cumsum(np.random.default_rng(3).normal(0, 0.02, len(DAYS)))), index=DAYS)


def keep(store: RawStore, closes: pd.Series, hour: int, ticker: str = "AAPL") -> None:
    bars = [
        {"t": day.tz_localize("America/New_York").isoformat(), "v": 1, **dict.fromkeys("ohlc", float(close))}
        for day, close in closes.items()
    ]
    store.put(
        RawKey("alpaca", "bars", "AAPL"),
        json.dumps({"pages": [{"bars": {ticker: bars}, "next_page_token": None}]}).encode(),
        fetched_at=datetime(2024, 1, 1, hour, tzinfo=UTC),
        first=closes.index[0].date(),
        last=closes.index[-1].date(),
        request={"symbols": ticker},
    )


@pytest.fixture
def store(tmp_path) -> RawStore:
    return RawStore(tmp_path)


def test_nothing_fetched_is_no_bar(store):
    table = second_bars(store, "AAPL", ALWAYS)
    assert table.empty
    assert table.columns.tolist() == ["date", "symbol", "close", "total_return"]


def test_one_answer_comes_as_it_is(store):
    keep(store, truth(), 0)
    table = second_bars(store, "AAPL", ALWAYS)
    np.testing.assert_allclose(table["close"], truth(), rtol=1e-12)
    np.testing.assert_allclose(table["total_return"], truth().pct_change(), rtol=1e-12)
    assert str(table["date"].dtype) == "datetime64[us]"


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (0, 2, 1), (1, 0, 2)])
def test_answers_are_joined_where_they_overlap(store, order):
    """Each later answer has other levels, as after a dividend or a split; in whatever order they were fetched."""
    pieces = [truth().iloc[:80], truth().iloc[75:160] / 4, truth().iloc[155:] * 0.97]
    for hour, number in enumerate(order):
        keep(store, pieces[number], hour)
    table = second_bars(store, "AAPL", ALWAYS)
    np.testing.assert_allclose(table["total_return"], truth().pct_change(), rtol=1e-12)
    np.testing.assert_allclose(table["close"].pct_change(), truth().pct_change(), rtol=1e-9)


def test_answers_that_do_not_meet_have_no_return_between(store):
    keep(store, truth().iloc[:80], 0)
    keep(store, truth().iloc[120:] / 4, 1)
    table = second_bars(store, "AAPL", ALWAYS)
    assert np.flatnonzero(table["total_return"].isna()).tolist() == [0, 80]


def test_a_day_keeps_the_return_first_fetched(store):
    keep(store, truth(), 0)
    keep(store, truth() * np.linspace(1, 2, len(DAYS)), 1)
    np.testing.assert_allclose(second_bars(store, "AAPL", ALWAYS)["total_return"], truth().pct_change(), rtol=1e-12)


def test_days_outside_the_listings_are_of_another_company(store):
    keep(store, truth(), 0, "FB")
    listings = [Listing("AAPL", "FB", date(2023, 3, 1), date(2023, 6, 30)), Listing("AAPL", "AAPL", date(2023, 7, 1))]
    table = second_bars(store, "AAPL", listings)
    assert table["date"].tolist() == calendar.sessions("2023-03-01", "2023-06-30").tolist()
