"""Forecasts from elsewhere pass the one look-ahead gate, are masked where missing, and never filled in."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocator_pipeline import schemas
from allocator_pipeline.config import N_STOCKS, QUANTILES
from allocator_pipeline.errors import NotEnoughDataError
from allocator_pipeline.features.external import (
    beside_quantiles,
    external_forecasts,
    for_states,
    late_rows,
    typed,
    unknown_symbols,
)
from allocator_pipeline.market import calendar

YEAR = 2015
LAST = pd.Timestamp("2015-12-31")
STOCKS = [f"S{i:02d}" for i in range(N_STOCKS)]
UNIVERSE = pd.DataFrame({"slot": np.arange(N_STOCKS), "symbol": STOCKS})
WEEKS = calendar.weeks_of_year(YEAR)
TICK = pd.Timedelta(microseconds=1)


def table_of(lead: pd.Timedelta = TICK, names=("toto",), seed: int = 0) -> pd.DataFrame:
    """Return a forecast of every stock and week, known that long before its decision (`schemas.EXTERNAL_FORECASTS`)."""
    random = np.random.default_rng(seed)
    parts = [
        pd.DataFrame(
            {
                "forecaster": name,
                "symbol": STOCKS,
                "week": row.week,
                "known_at": row.decision_at - lead,
                "forecast": random.normal(0, 0.01, N_STOCKS),
                **dict.fromkeys(QUANTILES, np.nan),
                "model_version": "given",
            }
        )
        for name in names
        for row in WEEKS.itertuples()
    ]
    table = pd.concat(parts, ignore_index=True).astype({"known_at": "datetime64[us, UTC]"})
    return table.sort_values(["forecaster", "week", "symbol", "known_at"], ignore_index=True)


def seen(rows: pd.DataFrame, last: pd.Timestamp = LAST) -> pd.DataFrame:
    return schemas.validate(external_forecasts(YEAR, UNIVERSE, rows, last), schemas.OTHER_FORECASTS, "test")


def test_forecasts_beside_their_own_quantiles_are_found():
    rows = table_of()
    assert not len(beside_quantiles(rows)), "without quantiles there is nothing to lie outside of"
    rows[list(QUANTILES)] = np.linspace(-0.06, 0.06, len(QUANTILES))
    rows["forecast"] = 0.06
    assert not len(beside_quantiles(rows))
    rows.loc[[3, 7], "forecast"] = [0.061, -0.5]
    assert beside_quantiles(rows).index.tolist() == [3, 7]


def test_symbols_that_the_market_lacks_are_counted_by_year():
    rows = table_of()
    later = rows.assign(week=rows["week"] + pd.Timedelta(days=364))
    both = pd.concat([rows, later[later["symbol"] == "S00"]])
    assert unknown_symbols(both, STOCKS) == {}
    assert unknown_symbols(both, STOCKS[2:]) == {"S00": 2 * len(WEEKS), "S01": len(WEEKS)}
    assert unknown_symbols(both, STOCKS[2:], YEAR)["S01"] == len(WEEKS)
    assert list(unknown_symbols(both, STOCKS[2:], YEAR + 1)) == ["S00"]


def test_what_was_known_in_time_is_laid_out_by_week_and_slot():
    rows = table_of(names=("kronos", "toto"))
    table = seen(rows)
    assert len(table) == 2 * len(WEEKS) * N_STOCKS
    toto = table[table["forecaster"] == "toto"]
    assert toto["slot"].tolist() == list(range(N_STOCKS)) * len(WEEKS)
    wanted = rows[rows["forecaster"] == "toto"]["forecast"]  # stocks are in alphabetical order in both
    assert toto["forecast"].tolist() == wanted.tolist()
    assert late_rows(YEAR, rows) == 0


@pytest.mark.parametrize("lead", [pd.Timedelta(0), -TICK, -pd.Timedelta(days=3)])
def test_what_was_known_at_the_decision_or_later_is_not_seen_and_counted(lead):
    rows = table_of()
    rows["known_at"] = rows["known_at"] + TICK - lead
    table = seen(rows)
    assert table["forecast"].isna().all()
    assert late_rows(YEAR, rows) == len(rows)


@settings(deadline=None, max_examples=20)
@given(
    late=st.sets(st.integers(0, 15 * 52 - 1), max_size=40),
    seed=st.integers(0, 5),
)
def test_exactly_the_late_rows_are_masked(late, seed):
    rows = table_of(seed=seed)
    rows.loc[list(late), "known_at"] += 2 * TICK
    table = seen(rows)
    assert set(np.flatnonzero(table["forecast"].isna())) == late
    assert late_rows(YEAR, rows) == len(late)


def test_the_last_word_before_the_decision_counts():
    first, second, late = (table_of(lead, seed=seed) for seed, lead in enumerate((2 * TICK, TICK, -TICK)))
    rows = pd.concat([late, second, first], ignore_index=True)
    assert seen(rows)["forecast"].tolist() == second["forecast"].tolist()


def test_gaps_are_masked_and_weeks_outside_its_span_are_no_rows():
    rows = table_of()
    spoken = rows[rows["week"].between("2015-03-02", "2015-06-29")]
    spoken = spoken[~((spoken["symbol"] == "S03") & (spoken["week"] == "2015-04-06"))]
    table = seen(spoken[spoken["week"] != "2015-05-04"])
    assert (table["week"].min(), table["week"].max()) == (pd.Timestamp("2015-03-02"), pd.Timestamp("2015-06-29"))
    assert table["forecast"].isna().sum() == 1 + N_STOCKS
    assert table.loc[table["forecast"].isna(), "model_version"].unique().tolist() == [""]


def test_a_stock_outside_the_universe_is_left_out_and_weeks_to_come_too():
    rows = table_of()
    rows.loc[rows["symbol"] == "S14", "symbol"] = "ELSE"
    table = seen(rows, last=pd.Timestamp("2015-06-30"))
    assert "ELSE" not in set(table["symbol"])
    assert table.loc[table["symbol"] == "S14", "forecast"].isna().all()
    assert table["week"].max() == pd.Timestamp("2015-06-29")


def test_no_rows_are_an_empty_table():
    assert len(seen(table_of().iloc[:0])) == 0
    nothing = typed(pd.DataFrame(columns=list(schemas.OTHER_FORECASTS.columns)))
    assert len(schemas.validate(nothing, schemas.OTHER_FORECASTS, "test")) == 0


@pytest.mark.parametrize("cut", ["2015-01-02", "2015-05-29"])
def test_corrupting_what_became_known_later_changes_nothing_before(cut):
    """The leak test: every row known after a decision session gets another forecast."""
    rows = pd.concat(
        [table_of(), table_of(-pd.Timedelta(days=2), seed=4)], ignore_index=True
    )  # revisions come too late
    instant = calendar.closes(pd.DatetimeIndex([pd.Timestamp(cut)]))[0] + calendar.DECISION_DELAY
    broken = rows.copy()
    after = broken["known_at"] >= instant
    broken.loc[after, "forecast"] = np.random.default_rng(2).normal(0, 0.05, after.sum())
    one, other = seen(rows), seen(broken)
    early = (one["decision_at"] <= instant).to_numpy()
    assert 0 < early.sum() < len(early)
    assert one["forecast"].to_numpy()[early].tobytes() == other["forecast"].to_numpy()[early].tobytes()
    assert (one["forecast"].to_numpy()[~early] != other["forecast"].to_numpy()[~early]).all()


def test_a_gate_that_leaks_is_caught(monkeypatch):
    """The test above would fail if the gate let a later row through."""
    from allocator_pipeline.features import external

    monkeypatch.setattr(external, "known", lambda table, instant: table)
    with pytest.raises(AssertionError):
        test_corrupting_what_became_known_later_changes_nothing_before("2015-05-29")


def test_a_state_takes_a_whole_table():
    table = seen(table_of(names=("kronos", "toto")))
    taken = for_states(YEAR, "toto", table, WEEKS["week"], "t.parquet")
    assert taken["forecaster"].unique().tolist() == ["toto"]
    assert len(taken) == len(WEEKS) * N_STOCKS


@pytest.mark.parametrize(
    ("drop", "symbol", "week"),
    [
        (lambda rows: (rows["symbol"] == "S03") & (rows["week"] == "2015-04-06"), "S03", "2015-04-06"),
        (lambda rows: rows["week"] == "2015-12-28", None, "2015-12-28"),
        (lambda rows: rows["week"] >= "2015-01-05", None, "2015-01-05"),
    ],
)
def test_a_state_refuses_a_gap_and_names_it(drop, symbol, week):
    rows = table_of()
    table = seen(rows[~drop(rows)])
    with pytest.raises(NotEnoughDataError, match="never filled in") as caught:
        for_states(YEAR, "toto", table, WEEKS["week"], "t.parquet")
    assert (caught.value.symbol, caught.value.week, caught.value.source) == (symbol, week, "t.parquet")
