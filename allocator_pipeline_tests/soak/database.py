"""Dagster's SQLite storage without what a simulated week cannot afford and a kill cannot tell.

Dagster makes an engine for each connection, and so compiles every statement anew; it reads its list of migrations each
time an instance is opened; and SQLite waits for the disk at every commit. What a killed process has written is with the
operating system already, so that a kill loses nothing by it; a power cut is another matter, and not simulated.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from sqlite3 import Connection
from typing import Any
from unittest.mock import patch

import sqlalchemy as db
from alembic.config import Config
from alembic.script import ScriptDirectory
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.runs.sqlite import sqlite_run_storage
from dagster._core.storage.schedules.sqlite import sqlite_schedule_storage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS

STORAGES = (sqlite_event_log, sqlite_run_storage, sqlite_schedule_storage)


KEPT = 16  # the three databases that are always in use, and the logs of the last runs


@contextmanager
def impatient() -> Iterator[None]:
    """Let this process keep what it knows of its databases, and wait for no disk."""
    migrations: dict[str | None, ScriptDirectory] = {}
    engines: dict[str, db.Engine] = {}

    def from_config(config: Config) -> ScriptDirectory:
        where = config.get_main_option("script_location")
        if where not in migrations:
            migrations[where] = ScriptDirectory.from_config(config)
        return migrations[where]

    def create_engine(url: str, **_: Any) -> db.Engine:
        engines[url] = engines.pop(url, None) or _engine(url)  # the last one used is the last
        if len(engines) > KEPT:
            db.Engine.dispose(engines.pop(next(iter(engines))))
        return engines[url]

    with ExitStack() as stack:
        for storage in STORAGES:
            stack.enter_context(patch.object(storage, "create_engine", create_engine))
        stack.enter_context(patch("dagster._core.storage.sql.ScriptDirectory")).from_config = from_config
        stack.enter_context(patch.object(os, "fsync", lambda handle: None))
        try:
            yield
        finally:
            for engine in engines.values():
                db.Engine.dispose(engine)


def _engine(url: str) -> db.Engine:
    engine = db.create_engine(url, connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS})
    db.event.listen(engine, "connect", _wait_for_no_disk)
    engine.dispose = lambda close=True: None  # the event log disposes of it after each use
    return engine


def _wait_for_no_disk(connection: Connection, record: Any) -> None:
    connection.execute("PRAGMA synchronous=OFF")
