"""Registry and experience under any sequence of operations, compared with a model of a few dictionaries."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from allocator_pipeline.errors import ConflictError, MissingPartitionError
from allocator_pipeline.experience.records import Decision, Label
from allocator_pipeline.experience.store import ExperienceStore
from allocator_pipeline.registry import pruning
from allocator_pipeline.registry.court import open_court
from allocator_pipeline.registry.verdicts import latest_by
from allocator_pipeline_tests.registry.conftest import make_artifact, make_ruling

WEEKS = ("2016-01-11", "2016-05-30", "2016-06-06", "2017-01-09", "2018-01-08")
weeks = st.sampled_from(WEEKS)
allocators = st.sampled_from(("ppo_lstm", "sac_lstm"))
outcomes = st.sampled_from(("promoted", "kept", "insufficient", "rolled_back"))
few = st.integers(0, 3)
BEFORE, AFTER = (pd.Timestamp(time, tz="UTC") for time in ("2000-01-03", "2030-01-07"))


def make_decision(week: str, allocator: str, content: int, attempt: int) -> Decision:
    state = {"signals": {}, "forecasts": {}, "current_weights": {"CASH": 1.0}}
    action = {"A": 0.1 * content, "CASH": 1 - 0.1 * content}
    run = f"paper:{week}:{allocator}"
    return Decision(run, week, week, allocator, "v1", state, action, 0.1, {"source": "cash"}, week, attempt)


def make_label(content: int) -> Label:
    return Label({"CASH": 1.0}, [], 0.1, 0.0, 0.01 * content, float(content), {"CASH": 1.0}, {}, "2018-01-01")


class Store(RuleBasedStateMachine):
    versions = Bundle("versions")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="machine-"))
        self.open_again()
        self.saved: dict[str, dict[str, bytes]] = {}
        self.verdicts: list = []
        self.decided: dict[str, Decision] = {}
        self.labelled: dict[str, Label] = {}
        self.prunings = 0

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @rule(target=versions, seed=few)
    def save(self, seed: int) -> str:
        artifact = make_artifact(seed=seed)
        self.artifacts.save(artifact)
        self.saved[artifact.version] = dict(artifact.files)
        return artifact.version

    @rule(version=versions, week=weeks, outcome=outcomes, source=st.integers(0, 9))
    def judge(self, version: str, week: str, outcome: str, source: int) -> None:
        if version not in self.saved:
            return  # pruned; a judge would not find it

        def ruling(history):
            before = latest_by(history, week)
            if before is None:
                return make_ruling(str(source), week, candidate=version)
            return make_ruling(str(source), week, candidate=version, prior=before.champion, outcome=outcome)

        verdict = self.log.rule(str(source), ruling)
        earlier = [found for found in self.verdicts if found.source_sha256 == str(source)]
        if earlier:
            assert verdict == earlier[0]
        else:
            assert verdict.number == len(self.verdicts) + 1
            self.verdicts.append(verdict)

    @rule(keep=st.integers(1, 3))
    def prune(self, keep: int) -> None:
        named = {name for found in self.verdicts for name in (found.candidate, found.champion, found.prior)}
        stays = {*sorted(self.saved)[-keep:], *named}
        gone = sorted(set(self.saved) - stays)
        entry = pruning.prune(self.court, set, keep)
        assert [version["version"] for version in (entry.versions if entry else [])] == gone
        self.saved = {version: files for version, files in self.saved.items() if version in stays}
        self.prunings += entry is not None
        assert len(pruning.prune_log(self.court).history()) == self.prunings

    @rule(version=versions, behind=st.integers(1, 3))
    def append_after_an_old_number(self, version: str, behind: int) -> None:
        if len(self.verdicts) >= behind:
            assert self.log.append(make_ruling("stale", candidate=version), after=len(self.verdicts) - behind) is None

    @rule(
        week=weeks,
        allocator=allocators,
        content=few,
        attempt=st.integers(1, 3),
        now=st.sampled_from((BEFORE, AFTER, None)),
    )
    def decide(self, week: str, allocator: str, content: int, attempt: int, now: pd.Timestamp | None) -> None:
        decision = make_decision(week, allocator, content, attempt)
        stored = self.decided.get(decision.run_id)
        try:
            outcome = self.experience.record_decision(decision, now)
        except ConflictError:
            if stored is None:
                assert attempt != 1
            else:
                allowed = attempt == stored.attempt + 1 and now is BEFORE and decision.run_id not in self.labelled
                assert stored.action != decision.action
                assert not allowed
            return
        if outcome == "unchanged":
            assert stored is not None
            assert stored.action == decision.action
        else:
            assert (outcome == "inserted") == (stored is None)
            self.decided[decision.run_id] = decision

    @rule(week=weeks, allocator=allocators, content=few)
    def label(self, week: str, allocator: str, content: int) -> None:
        run, label = f"paper:{week}:{allocator}", make_label(content)
        try:
            outcome = self.experience.record_label(run, label)
        except MissingPartitionError:
            assert run not in self.decided
        except ConflictError:
            assert self.labelled[run] != label
        else:
            assert self.labelled.get(run, label) == label
            assert (outcome == "unchanged") == (run in self.labelled)
            self.labelled[run] = label

    @rule()
    def open_again(self) -> None:
        self.court = open_court(self.folder, "ppo_lstm")
        self.artifacts, self.log = self.court.artifacts, self.court.log
        self.experience = ExperienceStore(self.folder / "experience.sqlite")

    @invariant()
    def the_history_is_linear(self) -> None:
        history = self.log.history()
        assert history == self.verdicts
        assert [verdict.number for verdict in history] == list(range(1, len(history) + 1))

    @invariant()
    def the_champion_is_stored_and_in_force(self) -> None:
        for week in WEEKS:
            verdict = latest_by(self.verdicts, week)
            if verdict is None:
                assert all(found.effective_week > week for found in self.verdicts)
            else:
                assert verdict.champion in self.saved
        assert self.artifacts.versions("ppo_lstm") == sorted(self.saved)

    @invariant()
    def one_row_per_run_and_labels_stay(self) -> None:
        rows = self.experience.records()
        assert {row.decision.run_id: row.decision for row in rows} == self.decided
        assert len(rows) == len(self.decided)
        assert {row.decision.run_id: row.label for row in rows if row.label is not None} == self.labelled


def check(examples: int, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        os, "fsync", lambda handle: None
    )  # power cuts are not simulated here; waiting for disks is slow
    monkeypatch.setattr(pruning, "MIN_JUDGED_WEEKS", 1)  # a handful of versions is enough here
    monkeypatch.setattr(pruning, "SETTLING_DAYS", 0)
    run_state_machine_as_test(
        Store,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_any_sequence(monkeypatch: pytest.MonkeyPatch) -> None:
    check(100, 30, monkeypatch)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_many_long_sequences(monkeypatch: pytest.MonkeyPatch) -> None:
    check(2000, 50, monkeypatch)


def test_the_model_tells_labels_apart() -> None:
    assert make_label(1) != make_label(2)
    assert replace(make_label(1), reward=2.0) != make_label(1)
