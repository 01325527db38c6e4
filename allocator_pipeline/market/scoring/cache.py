"""Scores that were computed before, by what was scored and who scored it; any number of processes may share them."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import struct
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from allocator_pipeline.database import transaction
from allocator_pipeline.errors import CorruptArtifactError

REMEDY = "remove it; texts are scored again."

_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS scores (
    article TEXT NOT NULL,
    scorer TEXT NOT NULL,
    score REAL NOT NULL CHECK (score BETWEEN -1 AND 1),
    seal BLOB NOT NULL,
    PRIMARY KEY (article, scorer)
) WITHOUT ROWID""",
)

_FIND = """SELECT scores.article, scores.score, scores.seal FROM json_each(?) AS wanted
    JOIN scores ON scores.article = wanted.value AND scores.scorer = ?"""


class ScoreCache:
    """A SQLite file of scores.

    Parameters
    ----------
    path : Path
        Created when first written.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    def get(self, articles: Iterable[str], scorer: str) -> dict[str, float]:
        """Return the scores that are there.

        Parameters
        ----------
        articles : iterable of str
            sha256 of each text.
        scorer : str
            `Scorer.version`.

        Raises
        ------
        CorruptArtifactError
            If the file is damaged.
        """
        if not self.path.exists():
            return {}
        found = {}
        with self._transaction() as database:
            for article, score, seal in database.execute(_FIND, (json.dumps(sorted(set(articles))), scorer)):
                if not isinstance(score, float) or seal != _seal(article, scorer, score):
                    raise CorruptArtifactError("A stored score fails its seal.", todo=REMEDY, source=str(self.path))
                found[article] = score
        return found

    def put(self, scores: Mapping[str, float], scorer: str) -> None:
        """Store scores; one that is there stays.

        Raises
        ------
        StorageError, CorruptArtifactError
            If the file cannot be written; nothing of these is stored then.
        ConflictError
            If a score lies outside [-1, 1].
        """
        values = {article: float(score) + 0.0 for article, score in scores.items()}  # SQLite knows no -0.0
        rows = [(article, scorer, score, _seal(article, scorer, score)) for article, score in values.items()]
        with self._transaction() as database:
            database.executemany(
                "INSERT INTO scores VALUES (?, ?, ?, ?) ON CONFLICT (article, scorer) DO NOTHING", rows
            )

    def _transaction(self) -> AbstractContextManager[sqlite3.Connection]:
        return transaction(self.path, _SCHEMA, "The cache of scores", REMEDY)


def _seal(article: str, scorer: str, score: float) -> bytes:
    return hashlib.sha256(f"{article}\n{scorer}\n".encode() + struct.pack("<d", score)).digest()[:16]
