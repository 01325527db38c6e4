"""One transaction on a SQLite file that is whole after every crash.

A rollback journal with full synchronisation keeps the file one; its few writers do not need a write-ahead log.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from allocator_pipeline.errors import AllocatorError, ConflictError, CorruptArtifactError, StorageError

BUSY_SECONDS = 60.0


@contextlib.contextmanager
def transaction(path: Path, schema: Sequence[str], name: str, todo: str) -> Iterator[sqlite3.Connection]:
    """Open a database, commit at the end, and roll back if anything fails.

    Parameters
    ----------
    path : Path
        Created, with its folder, if it is not there.
    schema : sequence of str
        Statements that are run first.
    name : str
        What it is, for messages, such as ``"The experience store"``.
    todo : str
        What to do if it is damaged.

    Raises
    ------
    ConflictError
        If a rule of the schema refuses a row.
    StorageError
        If it cannot be written, or another process holds it for a minute.
    CorruptArtifactError
        If it is no sound database.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            database.execute("PRAGMA synchronous = EXTRA")
            database.execute("BEGIN IMMEDIATE")
            for statement in schema:
                database.execute(statement)
            yield database
            database.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                database.execute("ROLLBACK")
            raise
        finally:
            database.close()
    except AllocatorError:
        raise
    except sqlite3.IntegrityError as error:
        raise ConflictError(f"{name} refuses it: {error}.", todo="do not write that row twice.") from error
    except (OSError, sqlite3.OperationalError) as error:
        raise StorageError(
            f"{name} cannot be written: {error}.",
            todo="free disk space, or end the process that holds it, then run again.",
            source=str(path),
        ) from error
    except sqlite3.Error as error:
        raise CorruptArtifactError(f"{name} is damaged: {error}.", todo=todo, source=str(path)) from error
