"""Damage to rows of experience that the database's own rules would refuse."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from allocator_pipeline.experience.store import ExperienceStore


def damage(store: ExperienceStore, change: str) -> None:
    """Change rows past the triggers: ``change`` is what follows ``UPDATE experience SET``."""
    with closing(sqlite3.connect(store.path)) as database, database:
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f"DROP TRIGGER {name}")
        assert database.execute(f"UPDATE experience SET {change}").rowcount > 0  # noqa: S608
