"""Experience as files: the plan's fields, the same bytes, and labels that come later."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from allocator_pipeline.experience.export import TABLE, export_experience, export_table, run_file
from allocator_pipeline.experience.labeling import label_week
from allocator_pipeline.experience.store import EXPORTED, ExperienceStore
from allocator_pipeline_tests.experience.conftest import COSTS, EXIT_OF_JUNE_6, STATES, make_decision, next_decision

PLANNED = {
    "run_id",
    "week_start",
    "week_end",
    "state",
    "action",
    "turnover",
    "reward",
    "realized_return",
    "next_state",
    "labeled_at",
}
"""The fields that the training plan names."""


@pytest.fixture
def decided(store: ExperienceStore) -> ExperienceStore:
    """Return a store of two decided weeks, of which the first is labelled."""
    first = make_decision()
    for decision in (first, next_decision(first, "2016-06-13")):
        store.record_decision(decision)
    assert label_week(store, first.run_id, STATES, EXIT_OF_JUNE_6, COSTS) == "inserted"
    return store


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".sqlite"}


def test_every_run_is_a_file_with_the_plans_fields(decided, tmp_path):
    assert export_experience(decided, tmp_path / "out") == {"runs": 2, "labelled": 1, "written": 3}
    assert set(files(tmp_path / "out")) == {
        "paper+2016-06-06+ppo_lstm.json",
        "paper+2016-06-13+ppo_lstm.json",
        TABLE,
    }
    done, pending = (
        json.loads((tmp_path / "out" / run_file(row.decision.run_id)).read_bytes()) for row in decided.records()
    )
    assert PLANNED <= set(done) == set(pending) == set(EXPORTED)
    assert done["run_id"] == "paper:2016-06-06:ppo_lstm"
    for state in (done["state"], done["next_state"]):
        assert {"signals", "forecasts", "forecast_feature", "current_weights"} == set(state)
        assert state["forecast_feature"] == state["forecasts"]
    assert done["next_state"] == pending["state"]
    assert sum(done["action"].values()) == pytest.approx(1.0)
    assert {name for name, value in pending.items() if value is None} >= {
        "reward",
        "realized_return",
        "next_state",
        "labeled_at",
    }


def test_the_table_holds_the_same_and_keeps_its_types_without_labels(decided, tmp_path):
    export_experience(decided, tmp_path)
    table = pd.read_parquet(tmp_path / TABLE)
    assert list(table.columns) == list(EXPORTED)
    first, second = decided.records()
    assert table["reward"][0] == first.label.reward
    assert np.isnan(table["reward"][1])
    assert pd.isna(table["next_state"][1])
    assert json.loads(table["action"][1]) == second.decision.action
    for part in ([], [first], [second]):
        assert export_table(part).dtypes.equals(export_table([first, second]).dtypes)


def test_again_it_writes_nothing_and_elsewhere_the_same_bytes(decided, tmp_path):
    export_experience(decided, tmp_path / "a")
    before = files(tmp_path / "a")
    assert export_experience(decided, tmp_path / "a")["written"] == 0
    export_experience(decided, tmp_path / "b")
    assert before == files(tmp_path / "a") == files(tmp_path / "b")


def test_a_label_that_comes_later_changes_its_run_and_the_table_only(decided, tmp_path):
    export_experience(decided, tmp_path)
    before = files(tmp_path)
    assert label_week(decided, "paper:2016-06-13:ppo_lstm", STATES, pd.Timestamp("2018-06-29"), COSTS) == "inserted"
    assert export_experience(decided, tmp_path) == {"runs": 2, "labelled": 2, "written": 2}
    after = files(tmp_path)
    assert {name for name in after if after[name] != before[name]} == {"paper+2016-06-13+ppo_lstm.json", TABLE}


def test_a_damaged_file_is_written_anew(decided, tmp_path):
    export_experience(decided, tmp_path)
    before = files(tmp_path)
    (tmp_path / TABLE).write_bytes(b"")
    assert export_experience(decided, tmp_path)["written"] == 1
    assert files(tmp_path) == before


def test_a_store_without_runs_is_an_empty_table(store, tmp_path):
    assert export_experience(store, tmp_path / "out") == {"runs": 0, "labelled": 0, "written": 1}
    assert list(pd.read_parquet(tmp_path / "out" / TABLE).columns) == list(EXPORTED)
