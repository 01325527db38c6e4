"""Sessions by the calendar, and one source by another."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from allocator_pipeline.errors import IncompleteDataError
from allocator_pipeline.market import calendar
from allocator_pipeline.market.live.completeness import (
    missing_sessions,
    require_sessions,
    second_source_disagreements,
)
from allocator_pipeline.market.membership import Listing

DAYS = calendar.sessions("2016-04-01", "2016-05-13")


def prices():
    """A calm history."""
    draw = np.random.default_rng(0)
    return pd.DataFrame(
        {"date": DAYS, "adj_close": 50 * np.cumprod(1 + draw.normal(0, 0.01, len(DAYS))), "symbol": "ACME", "scale": 1}
    )


def test_missing_sessions_by_listing():
    listings = [
        Listing("ACME", "OLD", date(2016, 4, 1), date(2016, 4, 8)),
        Listing("ACME", "ACME", date(2016, 5, 2)),
    ]
    held = DAYS[(DAYS <= "2016-04-08") | (DAYS >= "2016-05-02")]
    last = date(2016, 5, 13)
    assert missing_sessions(held, listings, last).empty
    require_sessions("ACME", held, listings, last, "yahoo")
    for day in (held[0], held[5], held[6], held[-1]):
        assert list(missing_sessions(held.drop(day), listings, last)) == [day]
        with pytest.raises(IncompleteDataError, match=str(day.date())) as caught:
            require_sessions("ACME", held.drop(day), listings, last, "yahoo")
        assert "remove the record of these days of ACME" in caught.value.todo
    assert missing_sessions(held, listings, date(2016, 3, 1)).empty


def test_sources_are_compared_by_returns_and_never_by_levels():
    ours = prices()
    theirs = ours.assign(adj_close=ours["adj_close"] / 7)
    assert second_source_disagreements(ours, theirs).empty
    theirs.loc[20:, "adj_close"] *= 1.006  # a dividend of 60 basis points that only one has
    found = second_source_disagreements(ours, theirs)
    assert list(found["date"]) == [DAYS[20]]
    assert found["difference_bp"].item() == pytest.approx(60, abs=2)
    assert list(found) == ["symbol", "date", "ours", "theirs", "difference_bp"]
    assert second_source_disagreements(ours, theirs, threshold_bp=70).empty


def test_levels_on_two_scales_make_no_return():
    ours = prices()
    theirs = ours.assign(adj_close=ours["adj_close"].where(ours.index < 20, ours["adj_close"] / 4))
    assert list(second_source_disagreements(ours, theirs)["date"]) == [DAYS[20]]
    assert second_source_disagreements(ours, theirs.assign(scale=1 + (theirs.index >= 20))).empty


def test_a_session_that_one_source_lacks_is_bridged():
    ours = prices()
    assert second_source_disagreements(ours, ours.drop(index=[3, 4, 20])).empty
    assert second_source_disagreements(ours, ours[:0]).empty
    other = ours.assign(symbol="OTHER", adj_close=1.0)
    assert second_source_disagreements(pd.concat([other, ours]), ours).empty
