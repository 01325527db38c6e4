from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from allocator_pipeline.config import CASH
from allocator_pipeline.experience.labeling import label_week
from allocator_pipeline.experience.records import state_values
from allocator_pipeline.experience.store import ExperienceStore
from allocator_pipeline.experience.transitions import labelled_transitions
from allocator_pipeline_tests.experience.conftest import COSTS, STATES, make_decision, next_decision

LATER = pd.Timestamp("2016-12-30")


@pytest.fixture
def filled(store: ExperienceStore) -> ExperienceStore:
    """Three decided weeks of a paper account; two are labelled."""
    decision = make_decision("2016-06-06")
    for week in ("2016-06-13", "2016-06-20", None):
        store.record_decision(decision)
        if week is not None:
            label_week(store, decision.run_id, STATES, LATER, COSTS)
            decision = next_decision(decision, week)
    return store


def test_labelled_weeks_come_back_as_they_were_lived(filled: ExperienceStore) -> None:
    first, second = labelled_transitions(filled, "ppo_lstm")
    rows = {row.decision.week_start: row for row in filled.records("ppo_lstm")}
    assert (first.week, second.week) == ("2016-06-06", "2016-06-13")
    assert first.held == first.known == {CASH: 1.0}
    label = rows["2016-06-06"].label
    assert label is not None
    assert second.held == label.holdings_after  # true weights, not those seen at the close before
    assert second.known == rows["2016-06-13"].decision.portfolio["holdings"] != second.held
    assert first.reward == label.reward
    assert state_values(first.before) == rows["2016-06-06"].decision.state
    assert state_values(first.after) == rows["2016-06-06"].label.next_state  # type: ignore[union-attr]
    assert str(first.after.week) == second.week
    assert first.before.symbols.tolist() == sorted(STATES.symbols[STATES.row("2016-06-06")].tolist())
    assert labelled_transitions(filled, "sac_lstm") == []


def test_equal_weeks_have_equal_digests_and_others_do_not(filled: ExperienceStore) -> None:
    first, second = labelled_transitions(filled, "ppo_lstm")
    again = labelled_transitions(filled, "ppo_lstm")
    assert [one.digest for one in again] == [first.digest, second.digest]
    assert first.digest != second.digest


def test_a_missing_signal_comes_back_as_missing(store: ExperienceStore) -> None:
    row = STATES.row("2016-06-06")
    missing = STATES.missing.copy()
    missing[row, 4, 2] = True
    states = dataclasses.replace(STATES, missing=missing)
    decision = make_decision(states=states)
    store.record_decision(decision)
    label_week(store, decision.run_id, states, LATER, COSTS)
    (found,) = labelled_transitions(store, "ppo_lstm")
    at = found.before.symbols.tolist().index(str(STATES.symbols[row, 4]))
    assert found.before.missing.sum() == found.before.missing[at, 2] == 1
    assert found.before.features[at, 2] == 0.0
    assert np.isfinite(found.before.features).all()
