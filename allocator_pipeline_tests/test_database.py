"""One transaction: all of it or nothing, or a typed error."""

from __future__ import annotations

import sqlite3

import pytest

from allocator_pipeline import database
from allocator_pipeline.database import transaction
from allocator_pipeline.errors import AllocatorError, ConflictError, CorruptArtifactError, StorageError

SCHEMA = ("CREATE TABLE IF NOT EXISTS t (x INTEGER PRIMARY KEY)",)


def opened(path):
    return transaction(path, SCHEMA, "The table", "mend it.")


def rows(path) -> list[int]:
    with opened(path) as base:
        return [row[0] for row in base.execute("SELECT x FROM t ORDER BY x")]


def test_what_is_written_stays(tmp_path):
    path = tmp_path / "folder" / "t.sqlite"
    with opened(path) as base:
        base.execute("INSERT INTO t VALUES (1)")
    assert rows(path) == [1]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, AllocatorError("no", todo="none.")])
def test_what_fails_leaves_nothing(tmp_path, error):
    def fail():
        with opened(tmp_path / "t.sqlite") as base:
            base.execute("INSERT INTO t VALUES (1)")
            raise error

    with pytest.raises((KeyboardInterrupt, RuntimeError, AllocatorError)):
        fail()
    assert rows(tmp_path / "t.sqlite") == []


def test_a_broken_rule_is_a_conflict(tmp_path):
    with pytest.raises(ConflictError, match="The table"), opened(tmp_path / "t.sqlite") as base:
        base.execute("INSERT INTO t VALUES (1), (1)")
    assert rows(tmp_path / "t.sqlite") == []


def test_a_file_that_is_no_database_is_damaged(tmp_path):
    (tmp_path / "t.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(CorruptArtifactError, match="mend it"):
        rows(tmp_path / "t.sqlite")


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="The table"):
        rows(tmp_path / "file" / "t.sqlite")


def test_who_holds_it_too_long_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    rows(tmp_path / "t.sqlite")
    other = sqlite3.connect(tmp_path / "t.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError, match="locked"):
        rows(tmp_path / "t.sqlite")
    other.close()
    assert rows(tmp_path / "t.sqlite") == []
