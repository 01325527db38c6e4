"""Identities and logical times of experience."""

from __future__ import annotations

import pandas as pd
import pytest

from allocator_pipeline.config import SIGNALS
from allocator_pipeline.errors import CorruptArtifactError, NotEnoughDataError, UnsafeNameError
from allocator_pipeline.experience.records import Decision, decision_due, from_stored, label_due, run_id, week_end
from allocator_pipeline.market import calendar
from allocator_pipeline_tests.experience.conftest import STATES, make_decision


def test_a_run_id_names_week_and_allocator() -> None:
    assert run_id("2026-01-12", "ppo_lstm") == "paper:2026-01-12:ppo_lstm"
    with pytest.raises(NotEnoughDataError, match="Monday"):
        run_id("2026-01-13", "ppo_lstm")
    with pytest.raises(UnsafeNameError):
        run_id("2026-01-12", "a/b")


def test_decisions_are_due_on_monday_evening_in_kolkata_before_the_open() -> None:
    assert decision_due("2026-01-12") == "2026-01-12T12:30:00+00:00"
    for week in calendar.weeks("2016-01-01", "2022-12-31").itertuples():
        due = pd.Timestamp(decision_due(week.week))
        assert week.decision_at < due < calendar.exchange().session_open(week.execution_session)


def test_labels_are_due_on_the_sunday_after_the_exit() -> None:
    assert label_due("2022-12-19") == "2023-01-01T17:00:00+00:00"  # exit on Tuesday 2022-12-27
    assert label_due("2022-06-06") == "2022-06-19T16:00:00+00:00"  # daylight saving time
    for week in calendar.weeks("2016-01-01", "2022-12-31").itertuples():
        due = pd.Timestamp(label_due(week.week)).tz_convert("America/New_York")
        assert (due.weekday(), due.hour) == (6, 12)
        assert 0 < (due.tz_localize(None).normalize() - week.exit_session).days <= 6


def test_a_week_ends_with_its_last_session() -> None:
    assert week_end("2026-01-12") == "2026-01-16"
    assert week_end("2022-04-11") == "2022-04-14"  # Good Friday


def test_the_state_of_a_record_has_every_stock_and_signal() -> None:
    state = make_decision().state
    symbols = {*STATES.symbols[STATES.row("2016-06-06")].tolist()}
    assert set(state) == {"signals", "forecasts", "current_weights"}
    assert set(state["signals"]) == set(state["forecasts"]) == symbols
    assert set(state["current_weights"]) == {*symbols, "CASH"}
    assert all(tuple(values) == SIGNALS for values in state["signals"].values())


def test_a_missing_signal_is_none() -> None:
    states = STATES[:30]
    row = states.row("2016-06-06")
    states.missing[row, 4, 2] = True
    try:
        state = make_decision(states=states).state
    finally:
        states.missing[row, 4, 2] = False
    values = state["signals"][str(states.symbols[row, 4])]
    assert [name for name, value in values.items() if value is None] == [SIGNALS[2]]


def test_records_survive_storage_and_damage_is_found() -> None:
    decision = make_decision()
    payload = decision.to_json().decode()
    from allocator_pipeline.atomic import sha256

    assert from_stored(payload, sha256(payload.encode()), Decision, decision.run_id) == decision
    with pytest.raises(CorruptArtifactError, match="sha256"):
        from_stored(payload.replace("0.1", "0.2", 1), sha256(payload.encode()), Decision, decision.run_id)
    with pytest.raises(CorruptArtifactError):
        from_stored("{}", sha256(b"{}"), Decision, decision.run_id)
