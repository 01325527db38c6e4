"""The experience store: one row per run, decided once and labelled once, in SQLite.

Rules that must never break are also rules of the database itself.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from allocator_pipeline.atomic import canonical_json
from allocator_pipeline.database import transaction
from allocator_pipeline.errors import ConflictError, MissingPartitionError
from allocator_pipeline.experience.records import Decision, Experience, Label
from allocator_pipeline.experience.rows import COLUMNS, read_row, sealed, sealed_attempts
from allocator_pipeline.market import calendar

_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS experience (
    run_id TEXT PRIMARY KEY,
    allocator TEXT NOT NULL,
    week_start TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    decision TEXT NOT NULL,
    decision_sha256 TEXT NOT NULL,
    superseded TEXT NOT NULL,
    label TEXT,
    label_sha256 TEXT,
    UNIQUE (allocator, week_start),
    CHECK ((label IS NULL) = (label_sha256 IS NULL))
)""",
    """CREATE TRIGGER IF NOT EXISTS labelled_once BEFORE UPDATE ON experience WHEN OLD.label IS NOT NULL
    BEGIN SELECT RAISE(ABORT, 'the week is labelled'); END""",
    """CREATE TRIGGER IF NOT EXISTS never_deleted BEFORE DELETE ON experience
    BEGIN SELECT RAISE(ABORT, 'experience is never deleted'); END""",
    # INSERT OR REPLACE deletes the row in its way, for which no trigger on deletions fires
    """CREATE TRIGGER IF NOT EXISTS inserted_once BEFORE INSERT ON experience
    WHEN EXISTS (SELECT 1 FROM experience WHERE run_id = NEW.run_id
                 OR (allocator = NEW.allocator AND week_start = NEW.week_start))
    BEGIN SELECT RAISE(ABORT, 'the week is recorded'); END""",
    # nor for the row in the way of UPDATE OR REPLACE
    """CREATE TRIGGER IF NOT EXISTS identified_once BEFORE UPDATE ON experience
    WHEN (NEW.run_id, NEW.allocator, NEW.week_start) IS NOT (OLD.run_id, OLD.allocator, OLD.week_start)
    BEGIN SELECT RAISE(ABORT, 'a row stays that of its run'); END""",
    """CREATE TRIGGER IF NOT EXISTS decided_once BEFORE UPDATE ON experience
    WHEN (NEW.attempt, NEW.decision, NEW.decision_sha256, NEW.superseded)
         IS NOT (OLD.attempt, OLD.decision, OLD.decision_sha256, OLD.superseded)
         AND NEW.attempt IS NOT OLD.attempt + 1
    BEGIN SELECT RAISE(ABORT, 'a decision is replaced by its next attempt'); END""",
)

_ALLOCATOR, _WEEK = "substr(run_id, 18)", "substr(run_id, 7, 10)"
"""Allocator and week by the run id, ``paper:YYYY-MM-DD:<allocator>``."""

EXPORTED = (
    "run_id",
    "week_start",
    "week_end",
    "allocator",
    "policy_version",
    "state",
    "action",
    "turnover",
    "portfolio",
    "decided_at",
    "attempt",
    "fallback",
    "actual_weights",
    "execution_report",
    "realized_turnover",
    "cost",
    "realized_return",
    "reward",
    "holdings_after",
    "next_state",
    "labeled_at",
)


class ExperienceStore:
    """Decisions and labels of all allocators.

    Parameters
    ----------
    path : Path
        The database file; it is created when first written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def record_decision(
        self, decision: Decision, now: pd.Timestamp | None = None
    ) -> Literal["inserted", "unchanged", "replaced"]:
        """Write a decision once; the same again changes nothing.

        Parameters
        ----------
        decision : Decision
        now : Timestamp, optional
            UTC. A different decision replaces the stored one only as the next attempt, before the week's execution.

        Returns
        -------
        {"inserted", "unchanged", "replaced"}

        Raises
        ------
        ConflictError
            If another decision is stored and may not be replaced.
        StorageError, CorruptArtifactError
            If the database cannot be written or read.
        """
        with self._transaction() as database:
            stored = _one(database, decision.run_id)
            if stored is None:
                if decision.attempt != 1:
                    raise _conflict(decision, "there is no earlier attempt to replace")
                database.execute(
                    "INSERT INTO experience VALUES (?, ?, ?, 1, ?, ?, '[]', NULL, NULL)",
                    (decision.run_id, decision.allocator, decision.week_start, *sealed(decision)),
                )
                return "inserted"
            if _content(stored.decision) == _content(decision):
                return "unchanged"
            _check_replacement(stored, decision, now)
            superseded = sealed_attempts([*stored.superseded, stored.decision])
            database.execute(
                "UPDATE experience SET attempt = ?, decision = ?, decision_sha256 = ?, superseded = ? WHERE run_id = ?",
                (decision.attempt, *sealed(decision), superseded, decision.run_id),
            )
            return "replaced"

    def check_decision(self, decision: Decision, now: pd.Timestamp | None = None) -> None:
        """Refuse what `record_decision` would refuse; nothing is written.

        Raises
        ------
        ConflictError
            If another decision is stored and may not be replaced.
        """
        stored = self.get(decision.run_id)
        if stored is not None and _content(stored.decision) != _content(decision):
            _check_replacement(stored, decision, now)

    def record_label(self, run_id: str, label: Label) -> Literal["inserted", "unchanged"]:
        """Write a label once; the same again changes nothing.

        Returns
        -------
        {"inserted", "unchanged"}

        Raises
        ------
        MissingPartitionError
            If the week was never decided.
        ConflictError
            If another label is stored.
        StorageError, CorruptArtifactError
            If the database cannot be written or read.
        """
        with self._transaction() as database:
            stored = _one(database, run_id)
            if stored is None:
                raise MissingPartitionError(
                    f"There is no decision {run_id} to label.", todo="materialise decisions of that week first."
                )
            if stored.label is not None:
                if stored.label.to_json() == label.to_json():
                    return "unchanged"
                raise ConflictError(
                    f"{run_id} is labelled already, with other values.",
                    todo="find out why its prices or states changed; a written label is never changed.",
                    week=stored.decision.week_start,
                )
            database.execute(
                "UPDATE experience SET label = ?, label_sha256 = ? WHERE run_id = ?", (*sealed(label), run_id)
            )
            return "inserted"

    def get(self, run_id: str) -> Experience | None:
        """Return one row, verified, or None."""
        if not self.path.exists():
            return None
        with self._transaction() as database:
            return _one(database, run_id)

    def records(self, allocator: str | None = None, since: str = "") -> list[Experience]:
        """Return all rows, or those of one allocator, from an ISO Monday on, verified, by week and allocator.

        Raises
        ------
        StorageError
            If the database cannot be read.
        CorruptArtifactError
            If a row cannot be trusted. A row is an allocator's, and of a week, by its run id or by its columns, so that
            one that is damaged in either is missed by nobody.
        """
        if not self.path.exists():
            return []
        with self._transaction() as database:
            rows = database.execute(
                f"SELECT {COLUMNS} FROM experience WHERE (? IS NULL OR ? IN (allocator, {_ALLOCATOR})) "  # noqa: S608  (constants)
                f"AND (week_start >= ? OR {_WEEK} >= ?) ORDER BY week_start, allocator",
                (allocator, allocator, since, since),
            ).fetchall()
        return [read_row(row) for row in rows]

    def run_ids(self) -> set[str]:
        """Return the run ids of all decisions; only that they are there is read."""
        if not self.path.exists():
            return set()
        with self._transaction() as database:
            return {run for (run,) in database.execute("SELECT run_id FROM experience")}

    def unlabeled_weeks(self, allocator: str) -> list[str]:
        """Return the ISO Mondays of decided weeks without a label, in order."""
        return [row.decision.week_start for row in self.records(allocator) if row.label is None]

    def policy_versions(self, allocator: str) -> set[str]:
        """Return who has decided an allocator's weeks, in replaced attempts too."""
        rows = self.records(allocator)
        replaced = {decision.policy_version for row in rows for decision in row.superseded}
        return replaced | {row.decision.policy_version for row in rows}

    def export(self) -> pd.DataFrame:
        """Return all rows as a table, by week and allocator; nested values are JSON text, labels None while pending."""
        table = []
        for row in self.records():
            values: dict[str, Any] = asdict(row.decision) | (asdict(row.label) if row.label else {})
            table.append([_flat(values.get(name)) for name in EXPORTED])
        return pd.DataFrame(table, columns=list(EXPORTED))

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with transaction(self.path, _SCHEMA, "The experience store", "restore it from a backup.") as database:
            database.text_factory = _text  # what is no text fails its seal, and only the row that it is in
            yield database


def _text(stored: bytes) -> str:
    return stored.decode(errors="replace")


def _one(database: sqlite3.Connection, run_id: str) -> Experience | None:
    row = database.execute(f"SELECT {COLUMNS} FROM experience WHERE run_id = ?", (run_id,)).fetchone()  # noqa: S608
    return None if row is None else read_row(row)


def _content(decision: Decision) -> dict[str, Any]:
    values = json.loads(decision.to_json())
    del values["attempt"]
    return values


def _check_replacement(stored: Experience, decision: Decision, now: pd.Timestamp | None) -> None:
    if stored.label is not None:
        raise _conflict(decision, "the week is labelled")
    if decision.attempt != stored.decision.attempt + 1:
        raise _conflict(
            decision, f"attempt {stored.decision.attempt} is stored, and this is attempt {decision.attempt}"
        )
    execution = calendar.exchange().session_open(calendar.week(decision.week_start)["execution_session"])
    if now is None or pd.Timestamp(now) >= execution:
        raise _conflict(decision, "the week is executed already, or the time was not given")


def _conflict(decision: Decision, why: str) -> ConflictError:
    return ConflictError(
        f"{decision.run_id} cannot be decided like this: {why}.",
        todo="keep the stored decision; before its execution, a different one must be the next attempt.",
        week=decision.week_start,
    )


def _flat(value: Any) -> Any:
    return canonical_json(value).decode() if isinstance(value, dict | list | tuple) else value
