"""A week decided from a real store: what hangs on the ledger that all share, and what is left to finish."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from allocator_pipeline.config import ANCHOR, CASH, CostConfig, GateConfig
from allocator_pipeline.defs import weekly
from allocator_pipeline.defs.assets import allocation
from allocator_pipeline.defs.due import INFERENCE, LABELING, PAPER, label_falls_due, next_step
from allocator_pipeline.defs.resources import StoreResource
from allocator_pipeline.defs.weekly import decide_week
from allocator_pipeline.errors import ConflictError, CorruptArtifactError
from allocator_pipeline.experience.records import Decision, Label
from allocator_pipeline.market import calendar
from allocator_pipeline_tests.evaluation.conftest import year_of_states
from allocator_pipeline_tests.registry.conftest import make_artifact, make_ruling, tilted_policy
from allocator_pipeline_tests.registry.test_ledger import attempt

NAME, WEEK = "ppo_lstm", "2016-06-06"
STATES = year_of_states(2016)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StoreResource:
    """Return a store whose allocator has a champion."""
    monkeypatch.setattr(weekly, "policy_of", tilted_policy)
    made, champion = StoreResource(root=str(tmp_path)), make_artifact()
    made.models.save(champion)
    made.verdicts(NAME).append(make_ruling(candidate=champion.version), after=0)
    return made


def decided(store: StoreResource, gate: GateConfig | None = None, attempt: int = 1, **given: object) -> dict:
    asked = {"file": None, "values": None, "attempt": attempt, **given}
    return decide_week(f"{NAME}|{WEEK}", STATES, store, CostConfig(), gate or GateConfig(), asked, {})


@pytest.fixture
def damaged_ledger(store: StoreResource) -> None:
    """Count a try of another allocator and change a byte of it."""
    store.ledger.record(attempt(allocator="sac_lstm"))
    (path,) = store.ledger.folder.glob("0*.json")
    path.write_bytes(path.read_bytes().replace(b"sac_lstm", b"sac_ltsm", 1))


def test_a_damaged_try_in_the_shared_ledger_stops_no_decision_that_needs_no_badge(store, damaged_ledger):
    values = decided(store)
    assert values["policy_version"] == values["champion"]
    assert not values["proven"]
    assert "What to do" in values["proof_unread"]
    shown = allocation._decision_facts(values)["served"]
    assert shown == f"the champion, which is not known to be proven. {values['proof_unread']}"


def test_a_damaged_ledger_stops_a_decision_that_hangs_on_it(store, damaged_ledger):
    with pytest.raises(CorruptArtifactError):
        decided(store, GateConfig(proof_to_serve=True))


def test_a_ledger_that_can_be_read_leaves_the_values_as_they_were(store):
    assert "proof_unread" not in decided(store)
    assert decided(store, GateConfig(proof_to_serve=True))["policy_version"] == ANCHOR


def test_a_label_that_was_recorded_and_not_finished_is_due(store, monkeypatch):
    monkeypatch.setattr(calendar, "now", lambda: pd.Timestamp("2016-06-06 12:30", tz="UTC"))
    record, passed = Decision(**decided(store)["record"]), {(INFERENCE, WEEK), (INFERENCE, "2016-06-13")}
    store.experience.record_decision(record)
    label = Label({CASH: 1.0}, [], 0.0, 0.0, 0.0, 0.0, {CASH: 1.0}, {}, "2016-06-19")
    store.experience.record_label(record.run_id, label)
    assert next_step(NAME, store, label_falls_due(WEEK), passed).job == LABELING
    store.assets.write("labeled_experience", f"{NAME}|{WEEK}", {})
    assert next_step(NAME, store, label_falls_due(WEEK), passed).job == PAPER


def test_a_decision_that_was_recorded_and_not_finished_is_due_before_its_label_and_is_found_as_recorded(
    store, monkeypatch
):
    """Of a week whose portfolio was given, and then given anew."""
    monkeypatch.setattr(calendar, "now", lambda: pd.Timestamp("2016-06-06 12:30", tz="UTC"))
    cash = {"cash": 100.0, "positions": []}
    stock = {"cash": 50.0, "positions": [{"symbol": "S03", "market_value": 50.0}]}
    store.experience.record_decision(Decision(**decided(store, values=cash)["record"]))
    second = decided(store, attempt=2, values=stock)["record"]
    assert store.experience.record_decision(Decision(**second), calendar.now()) == "replaced"

    sunday = label_falls_due(WEEK)
    step = next_step(NAME, store, sunday, {(INFERENCE, "2016-06-13")})
    assert (step.job, step.week) == (INFERENCE, WEEK)
    completed = decided(store)["record"]  # as a sensor has it made: it knows of no portfolio and no attempt
    assert json.loads(json.dumps(completed)) == json.loads(json.dumps(second))
    assert store.experience.record_decision(Decision(**completed)) == "unchanged"
    store.assets.write("decisions", f"{NAME}|{WEEK}", completed)
    assert next_step(NAME, store, sunday, {(INFERENCE, "2016-06-13")}).job == LABELING
    with pytest.raises(ConflictError):
        decided(store, values=cash)
