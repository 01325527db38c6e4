"""Sessions by the calendar, jumps by actions, one source by another."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from allocator_pipeline.errors import IncompleteDataError, MarketDataError
from allocator_pipeline.market import calendar
from allocator_pipeline.market.live.completeness import (
    jump_warnings,
    missing_sessions,
    require_sessions,
    second_source_disagreements,
)
from allocator_pipeline.market.membership import Listing

DAYS = calendar.sessions("2016-04-01", "2016-05-13")
JUMP_AT = 14  # 2016-04-21 to 22


def prices(*moves, last=1.0):
    """A calm history with moves from one session to the next at a place."""
    draw = np.random.default_rng(0)
    factors = 1 + draw.normal(0, 0.01, len(DAYS))
    factors[JUMP_AT : JUMP_AT + len(moves)] = moves
    return pd.DataFrame({"date": DAYS, "adj_close": 50 * np.cumprod(factors), "symbol": "ACME"})


@pytest.mark.parametrize("move", [1.523, 0.58, 0.45, 1.79, 2.35, 0.37, 1.45])
def test_genuine_moves_are_warned_about(move):
    """AMD rose by 52 % on 2016-04-22 and Citigroup by 58 % on 2008-11-24; no ratio of a common split is near."""
    found = jump_warnings("ACME", prices(move), "yahoo")
    assert found == [f"ACME {DAYS[JUMP_AT].date()}: moved {move - 1:+.0%}."]


def test_a_calm_history_has_no_warnings():
    assert jump_warnings("ACME", prices(1.39, 0.61), "yahoo") == []


@pytest.mark.parametrize("split", [2, 3, 4, 7, 10, 20])
@pytest.mark.parametrize("off", [0.985, 1.0, 1.015])
@pytest.mark.parametrize("reverse", [False, True])
def test_a_split_that_is_not_listed_is_refused(split, off, reverse):
    move = off * (split if reverse else 1 / split)
    with pytest.raises(MarketDataError, match=f"1:{split}" if reverse else f"{split}:1") as caught:
        jump_warnings("ACME", prices(move), "yahoo")
    assert (caught.value.symbol, caught.value.week) == ("ACME", str(DAYS[JUMP_AT].date()))


@pytest.mark.parametrize("move", [1.6, 0.55, 100.0, 0.01, 0.44])
@pytest.mark.parametrize("back", [0.97, 1.0, 1.03])
def test_a_bad_print_is_refused(move, back):
    with pytest.raises(MarketDataError, match="What to do") as caught:
        jump_warnings("ACME", prices(move, back / move), "yahoo")
    assert caught.value.week == str(DAYS[JUMP_AT].date())


def test_a_jump_is_believed_when_the_other_source_has_it():
    found = jump_warnings("ACME", prices(0.5, 1.97), "yahoo", second=prices(0.5001, 1.97))
    assert found[0].endswith("moved -50%, by both sources.")
    with pytest.raises(MarketDataError):
        jump_warnings("ACME", prices(0.5), "yahoo", second=prices(0.98))


def test_a_jump_on_the_last_day_is_warned_about():
    table = prices(1.6)[: JUMP_AT + 1]
    assert len(jump_warnings("ACME", table, "yahoo")) == 1


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
        with pytest.raises(IncompleteDataError, match=str(day.date())):
            require_sessions("ACME", held.drop(day), listings, last, "yahoo")
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


def test_a_session_that_one_source_lacks_is_bridged():
    ours = prices()
    assert second_source_disagreements(ours, ours.drop(index=[3, 4, 20])).empty
    assert second_source_disagreements(ours, ours[:0]).empty
    other = ours.assign(symbol="OTHER", adj_close=1.0)
    assert second_source_disagreements(pd.concat([other, ours]), ours).empty
