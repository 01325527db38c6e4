"""The experience store: decided once, labelled once, one row per run."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import pandas as pd
import pytest

from allocator_pipeline.errors import ConflictError, CorruptArtifactError, MissingPartitionError, StorageError
from allocator_pipeline.experience.labeling import label
from allocator_pipeline.experience.store import EXPORTED, ExperienceStore
from allocator_pipeline_tests.experience.conftest import COSTS, EXIT_OF_JUNE_6, STATES, make_decision
from allocator_pipeline_tests.experience.damage import damage

BEFORE_OPEN = pd.Timestamp("2016-06-06 13:00", tz="UTC")
AFTER_OPEN = pd.Timestamp("2016-06-06 13:30", tz="UTC")


def make_label():
    found = label(make_decision(), None, STATES, EXIT_OF_JUNE_6, COSTS)
    assert found is not None
    return found


def test_an_empty_store(store: ExperienceStore) -> None:
    assert store.records() == []
    assert store.get("paper:2016-06-06:ppo_lstm") is None
    assert list(store.export().columns) == list(EXPORTED)
    assert not store.path.exists()


def test_a_decision_comes_back(store: ExperienceStore) -> None:
    decision = make_decision()
    assert store.record_decision(decision) == "inserted"
    row = store.get(decision.run_id)
    assert row is not None
    assert row.decision.to_json() == decision.to_json()
    assert (row.label, row.superseded) == (None, ())


def test_the_same_decision_again_is_no_news(store: ExperienceStore) -> None:
    store.record_decision(make_decision())
    assert store.record_decision(make_decision()) == "unchanged"
    assert len(store.records()) == 1


def test_who_has_decided_is_known_of_replaced_attempts_too(store: ExperienceStore) -> None:
    first = make_decision()
    later = replace(make_decision(slots=(5,), attempt=2), policy_version="v2", fallback="v3 is refused")
    store.record_decision(first)
    store.record_decision(later, BEFORE_OPEN)
    assert store.policy_versions("ppo_lstm") == {first.policy_version, "v2"}
    assert store.policy_versions("sac_lstm") == set()
    assert store.export()["fallback"].tolist() == ["v3 is refused"]


def test_another_decision_is_refused(store: ExperienceStore) -> None:
    store.record_decision(make_decision())
    with pytest.raises(ConflictError, match="attempt 1 is stored"):
        store.record_decision(make_decision(slots=(5,)), BEFORE_OPEN)
    assert store.records()[0].decision == make_decision()


def test_the_next_attempt_replaces_before_execution(store: ExperienceStore) -> None:
    first, second = make_decision(), make_decision(slots=(5,), attempt=2)
    store.record_decision(first)
    for late in (None, AFTER_OPEN):
        with pytest.raises(ConflictError, match="executed already"):
            store.record_decision(second, late)
    with pytest.raises(ConflictError, match="attempt 3"):
        store.record_decision(make_decision(slots=(5,), attempt=3), BEFORE_OPEN)
    assert store.record_decision(second, BEFORE_OPEN) == "replaced"
    assert store.record_decision(second, AFTER_OPEN) == "unchanged"
    (row,) = store.records()
    assert (row.decision.attempt, len(row.superseded)) == (2, 1)
    assert row.superseded == (first,)


def test_the_first_attempt_is_number_one(store: ExperienceStore) -> None:
    with pytest.raises(ConflictError, match="no earlier attempt"):
        store.record_decision(make_decision(attempt=2), BEFORE_OPEN)


def test_a_label_is_written_once(store: ExperienceStore) -> None:
    decision, found = make_decision(), make_label()
    with pytest.raises(MissingPartitionError, match="no decision"):
        store.record_label(decision.run_id, found)
    store.record_decision(decision)
    assert store.record_label(decision.run_id, found) == "inserted"
    assert store.record_label(decision.run_id, found) == "unchanged"
    with pytest.raises(ConflictError, match="labelled already"):
        store.record_label(decision.run_id, replace(found, reward=found.reward + 1e-12))
    with pytest.raises(ConflictError, match="is labelled"):
        store.record_decision(make_decision(slots=(5,), attempt=2), BEFORE_OPEN)
    assert store.records()[0].label == found


def test_the_database_itself_keeps_labels_and_rows(store: ExperienceStore) -> None:
    store.record_decision(make_decision())
    store.record_label("paper:2016-06-06:ppo_lstm", make_label())
    store.record_decision(make_decision("2016-06-13"))
    database = sqlite3.connect(store.path)
    before = database.execute("SELECT * FROM experience").fetchall()
    replacing = "REPLACE INTO experience VALUES (?, 'ppo_lstm', '2016-06-06', 2, '{}', '', '[]', NULL, NULL)"
    for statement, *values in (
        ("UPDATE experience SET label = '{}'",),
        ("DELETE FROM experience",),
        (replacing, "paper:2016-06-06:ppo_lstm"),
        (replacing, "another run of that week"),
        ("UPDATE OR REPLACE experience SET run_id = 'paper:2016-06-06:ppo_lstm' WHERE label IS NULL",),
        ("UPDATE OR REPLACE experience SET week_start = '2016-06-06' WHERE label IS NULL",),
        ("UPDATE experience SET allocator = 'sac_lstm' WHERE label IS NULL",),
        ("UPDATE experience SET decision = '{}' WHERE label IS NULL",),
        ("UPDATE experience SET superseded = '[1]' WHERE label IS NULL",),
        ("UPDATE experience SET attempt = 3 WHERE label IS NULL",),
    ):
        with pytest.raises(sqlite3.IntegrityError):
            database.execute(statement, values)
    assert database.execute("SELECT * FROM experience").fetchall() == before
    database.close()


def test_rows_of_several_allocators_and_weeks(store: ExperienceStore) -> None:
    for week in ("2016-06-13", "2016-06-06"):
        for allocator in ("sac_lstm", "ppo_lstm"):
            store.record_decision(make_decision(week, allocator=allocator))
    store.record_label("paper:2016-06-06:ppo_lstm", make_label())
    assert [row.decision.run_id[6:] for row in store.records()] == [
        "2016-06-06:ppo_lstm",
        "2016-06-06:sac_lstm",
        "2016-06-13:ppo_lstm",
        "2016-06-13:sac_lstm",
    ]
    assert len(store.records("sac_lstm")) == 2
    assert [row.decision.week_start for row in store.records("sac_lstm", "2016-06-13")] == ["2016-06-13"]
    assert store.run_ids() == {row.decision.run_id for row in store.records()}
    assert store.unlabeled_weeks("ppo_lstm") == ["2016-06-13"]
    assert store.unlabeled_weeks("sac_lstm") == ["2016-06-06", "2016-06-13"]


def test_before_the_first_decision_there_is_nothing(tmp_path) -> None:
    store = ExperienceStore(tmp_path / "experience.sqlite")
    assert (store.records(), store.run_ids()) == ([], set())
    assert not store.path.exists()


def test_the_export_does_not_depend_on_the_order_of_writing(store: ExperienceStore, tmp_path) -> None:
    other = ExperienceStore(tmp_path / "other.sqlite")
    weeks = ["2016-06-06", "2016-06-13", "2016-06-20"]
    for week in weeks:
        store.record_decision(make_decision(week))
    for week in reversed(weeks):
        other.record_decision(make_decision(week))
    for each in (store, other):
        each.record_label("paper:2016-06-06:ppo_lstm", make_label())
    table = store.export()
    pd.testing.assert_frame_equal(table, other.export())
    assert {"run_id", "state", "action", "turnover", "reward", "realized_return", "next_state", "labeled_at"} <= set(
        table
    )
    assert table["reward"].isna().tolist() == [False, True, True]


def test_damage_is_found(store: ExperienceStore) -> None:
    store.record_decision(make_decision())
    payload = store.path.read_bytes()
    store.path.write_bytes(payload.replace(b'"attempt":1', b'"attempt":2', 1))
    with pytest.raises(CorruptArtifactError, match="sha256"):
        store.records()
    store.path.write_bytes(b"no database at all, but long enough to be read as a header of one" * 20)
    with pytest.raises(CorruptArtifactError, match="damaged"):
        store.records()


def test_a_database_of_before_gets_its_rules(store: ExperienceStore) -> None:
    store.record_decision(make_decision())
    damage(store, "attempt = attempt")  # which drops them
    store.records()
    with closing(sqlite3.connect(store.path)) as database, pytest.raises(sqlite3.IntegrityError, match="of its run"):
        database.execute("UPDATE experience SET run_id = 'another'")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("run_id = 'paper:2016-06-06:ppo_lstn'", "run_id is 'paper:2016-06-06:ppo_lstn'"),
        ("allocator = 'ppo_lstn'", "allocator is 'ppo_lstn' and should be 'ppo_lstm'"),
        ("week_start = '1916-06-06'", "week_start is '1916-06-06' and should be '2016-06-06'"),
        ("week_start = '2016-06-96'", "week_start is '2016-06-96'"),
        ("attempt = 3", "attempt is 3 and should be 2"),
        ("superseded = '['", "replaced attempts cannot be read"),
        ('superseded = \'[["{}", "0"]]\'', "fails its sha256"),
        ("superseded = '[]'", "not the 1 before attempt 2"),
        ("superseded = '[{}]'", "replaced attempts cannot be read"),
        ("superseded = 7", "replaced attempts cannot be read"),
        ("superseded = replace(superseded, 'v2015', 'v2016')", "fails its sha256"),
        ("decision = X'ff00'", "cannot be trusted"),
        ("decision = CAST(X'ff00' AS TEXT)", "fails its sha256"),
    ],
)
def test_what_a_row_says_in_any_column_is_checked_and_missed_by_nobody(store: ExperienceStore, change, why) -> None:
    store.record_decision(make_decision())
    store.record_decision(make_decision(slots=(5,), attempt=2), BEFORE_OPEN)
    store.record_decision(make_decision(allocator="sac_lstm"))
    damage(store, f"{change} WHERE allocator = 'ppo_lstm'")
    for read in (
        store.records,
        lambda: store.records("ppo_lstm", "2016-01-01"),
        lambda: store.policy_versions("ppo_lstm"),
    ):
        with pytest.raises(CorruptArtifactError, match=why) as raised:
            read()
        assert "paper:2016-06-06:ppo_lst" in str(raised.value)
        assert "restore the experience store from a backup" in raised.value.todo
    assert len(store.records("sac_lstm")) == 1


def test_attempts_replaced_before_they_had_seals_are_read(store: ExperienceStore) -> None:
    first, second = make_decision(), make_decision(slots=(5,), attempt=2)
    store.record_decision(first)
    store.record_decision(second, BEFORE_OPEN)
    damage(store, f"superseded = '[{first.to_json().decode()}]'")
    assert store.records()[0].superseded == (first,)
    store.record_decision(make_decision(slots=(6,), attempt=3), BEFORE_OPEN)
    assert store.records()[0].superseded == (first, second)


def test_a_refused_write_is_a_storage_error(tmp_path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="cannot be written"):
        ExperienceStore(tmp_path / "file" / "x.sqlite").record_decision(make_decision())


def test_many_at_once_decide_once(store: ExperienceStore) -> None:
    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(lambda _: store.record_decision(make_decision()), range(12)))
    assert sorted(outcomes) == ["inserted"] + ["unchanged"] * 11
