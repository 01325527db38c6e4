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
    assert table.columns.tolist() == ["date", "symbol", "close", "total_return", "scale"]


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
    assert table.groupby("scale").size().tolist() == [80, len(DAYS) - 120]


def test_a_day_keeps_the_return_first_fetched(store):
    keep(store, truth(), 0)
    keep(store, truth() * np.linspace(1, 2, len(DAYS)), 1)
    np.testing.assert_allclose(second_bars(store, "AAPL", ALWAYS)["total_return"], truth().pct_change(), rtol=1e-12)


def test_days_outside_the_listings_are_of_another_company(store):
    keep(store, truth(), 0, "FB")
    listings = [Listing("AAPL", "FB", date(2023, 3, 1), date(2023, 6, 30)), Listing("AAPL", "AAPL", date(2023, 7, 1))]
    table = second_bars(store, "AAPL", listings)
    assert table["date"].tolist() == calendar.sessions("2023-03-01", "2023-06-30").tolist()


RENAMED = 120
NEW = DAYS[RENAMED]
CHANGE = [
    Listing("AAPL", "OLD", date(1990, 1, 1), DAYS[RENAMED - 1].date()),
    Listing("AAPL", "AAPL", NEW.date()),
]


def keep_both(store: RawStore, new: pd.Series, order: tuple[int, int] = (0, 1)) -> pd.Series:
    """Keep answers for the old ticker up to its last day, and for the new one; return what is told of its first."""
    keep(store, truth().iloc[:RENAMED], order[0], "OLD")
    keep(store, new, order[1])
    table = second_bars(store, "AAPL", CHANGE).set_index("date")
    assert table.index.tolist() == DAYS.tolist()
    np.testing.assert_allclose(table["total_return"].drop(NEW)[1:], truth().pct_change().drop(NEW)[1:], rtol=1e-12)
    return table.loc[NEW]


@pytest.mark.parametrize("paid_later", [1.0, 0.25, 0.994])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_change_of_ticker_is_joined_by_the_days_before_it(store, paid_later, order):
    """Whatever splits and dividends lie between the two answers."""
    told = keep_both(store, truth().iloc[RENAMED - 7 :] * paid_later, order)
    assert told["total_return"] == pytest.approx(truth().pct_change()[NEW], rel=1e-12)
    assert told["scale"] == 1


@pytest.mark.parametrize("days", [0, 1, 3])
def test_a_new_ticker_with_too_few_days_before_it_has_no_first_return(store, days):
    told = keep_both(store, truth().iloc[RENAMED - days :] / 4)
    assert np.isnan(told["total_return"])
    assert told["scale"] == 2


def test_days_before_a_change_of_ticker_that_another_company_had_are_not_joined(store):
    other = truth().iloc[RENAMED - 7 :].copy()
    other.iloc[:7] = 20 * np.linspace(1, 1.3, 7)
    assert np.isnan(keep_both(store, other)["total_return"])


def test_an_old_ticker_that_goes_on_as_another_company_tells_nothing_of_the_new_one(store):
    going_on = truth().copy()
    going_on.iloc[RENAMED:] *= 1.5
    keep(store, going_on, 0, "OLD")
    keep(store, truth().iloc[RENAMED:], 1)
    assert np.isnan(second_bars(store, "AAPL", CHANGE)["total_return"][RENAMED])
