"""Moves over 40 %: named, believed by a second source or a list of the user's, or refused."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from allocator_pipeline.errors import MarketDataError
from allocator_pipeline.market import calendar
from allocator_pipeline.market.live.confirmed import read_confirmed
from allocator_pipeline.market.live.history import History
from allocator_pipeline.market.live.jumps import jump_warnings

DAYS = calendar.sessions("2016-04-01", "2016-05-13")
JUMP_AT = 14  # 2016-04-21 to 22


def prices(*moves):
    """A calm history with moves from one session to the next at a place."""
    draw = np.random.default_rng(0)
    factors = 1 + draw.normal(0, 0.01, len(DAYS))
    factors[JUMP_AT : JUMP_AT + len(moves)] = moves
    return pd.DataFrame({"date": DAYS, "adj_close": 50 * np.cumprod(factors), "symbol": "ACME", "scale": 1})


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


@pytest.mark.parametrize("ours", [0.5134, 1.523, 0.58, 1.45])
def test_a_jump_that_the_other_source_contradicts_is_refused_with_both_returns(ours):
    """Neither near a common split nor taken back: only the other source can tell."""
    second = prices(1.027)
    with pytest.raises(MarketDataError) as caught:
        jump_warnings("ACME", prices(ours), "yahoo", second)
    assert (caught.value.symbol, caught.value.week) == ("ACME", str(DAYS[JUMP_AT].date()))
    assert f"{ours - 1:+.2%}" in caught.value.problem
    assert "+2.70%" in caught.value.problem
    assert len(jump_warnings("ACME", prices(ours), "yahoo", second.drop(index=JUMP_AT))) == 1


@pytest.mark.parametrize("moves", [(0.5,), (2.0,), (2.02,), (1.6, 1 / 1.6)])
def test_a_move_that_is_on_the_list_is_believed_and_the_error_says_so(moves, tmp_path):
    with pytest.raises(MarketDataError, match="ALLOCATOR_LIVE_CONFIRMED") as caught:
        jump_warnings("ACME", prices(*moves), "yahoo")
    days = [day.date() for day in DAYS[JUMP_AT : JUMP_AT + len(moves)]]
    path = tmp_path / "confirmed.csv"
    path.write_text("symbol,date\n" + "".join(f"ACME,{day}\n" for day in days) + "OTHER,2016-04-01\n")
    assert f"'ACME,{days[0]}'" in caught.value.todo
    confirmed = read_confirmed(path)["ACME"]
    found = jump_warnings("ACME", prices(*moves), "yahoo", None, confirmed)
    assert found[0] == f"ACME {days[0]}: moved {moves[0] - 1:+.0%}, confirmed."
    assert len(jump_warnings("ACME", prices(*moves), "yahoo", prices(1.0, 1.0), confirmed)) == len(found)
    with pytest.raises(MarketDataError):
        jump_warnings("ACME", prices(*moves), "yahoo", None, read_confirmed(path)["OTHER"])


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("symbol,day of it\nACME,2016-04-22\n", "no column 'date'"),
        ("symbol,date\nACME,soon\n", "'date', row 1"),
        ("symbol,date\nACME,2016-04-22\nACME,\n", "'date', row 2"),
        ("symbol,date\n../ACME,2016-04-22\n", "'symbol', row 1"),
    ],
)
def test_a_malformed_list_is_refused_with_file_column_and_row(text, named, tmp_path):
    path = tmp_path / "confirmed.csv"
    path.write_text(text)
    with pytest.raises(MarketDataError, match=named) as caught:
        read_confirmed(path)
    assert caught.value.source == "confirmed.csv"


def test_a_list_that_is_not_there_is_refused_and_none_confirms_nothing(tmp_path):
    with pytest.raises(MarketDataError, match="ALLOCATOR_LIVE_CONFIRMED"):
        read_confirmed(tmp_path / "confirmed.csv")
    assert read_confirmed(None) == {}


def two_years(*moves: float, at: str) -> History:
    """A calm history of two years with moves from a session on."""
    days = calendar.sessions("2016-01-01", "2017-12-31")
    factors = np.ones(len(days))
    place = int(days.get_loc(pd.Timestamp(at)))
    factors[place : place + len(moves)] = moves
    bars = pd.DataFrame({"date": days, "adj_close": 50 * np.cumprod(factors)})
    return History("ACME", bars, bars[:0], bars[:0], None)


def test_a_refused_move_blocks_the_year_it_is_in_and_no_other():
    history = two_years(0.5, at="2016-06-01")
    with pytest.raises(MarketDataError, match="2:1"):
        history.jumps(2016)
    assert history.jumps(2017) == []


def test_a_bad_print_at_the_end_of_a_year_is_refused_once_it_is_taken_back():
    history = two_years(1.9, 1 / 1.9, at="2016-12-30")
    assert history.jumps(2016) == ["ACME 2016-12-30: moved +90%."], "nobody knows yet"
    with pytest.raises(MarketDataError, match="takes back the session before") as caught:
        history.jumps(2017)
    assert caught.value.week == str(date(2017, 1, 3))
