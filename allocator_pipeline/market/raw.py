"""What vendors have answered, kept byte for byte by the time it was fetched; every live table is derived from it.

A record is written after its body, and only for an answer that is whole: what has no record was never fetched, and is
asked for again. Nothing is ever replaced: an answer that differs from an earlier one becomes one more record, so that
a history that a vendor rewrites is seen.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from allocator_pipeline.atomic import canonical_json, create_bytes, sha256
from allocator_pipeline.errors import ConflictError, CorruptArtifactError
from allocator_pipeline.paths import inside, safe_name

_MOMENT = "%Y%m%dT%H%M%S.%fZ"


@dataclass(frozen=True, order=True)
class RawKey:
    """What an answer is about.

    Parameters
    ----------
    vendor : str
        Such as ``"yahoo"``.
    kind : str
        What was asked for, such as ``"bars"``.
    name : str
        Symbol, company or series.
    """

    vendor: str
    kind: str
    name: str

    def __post_init__(self) -> None:
        for part in (self.vendor, self.kind, self.name):
            safe_name(part, "name of raw data")


@dataclass(frozen=True)
class RawRecord:
    """One answer of a vendor.

    Parameters
    ----------
    key : RawKey
    fetched_at : datetime
        When its last byte had come, UTC.
    first, last : date
        The days that were asked for, both included; the answer is whole for these.
    request : mapping of str to str
        Path and parameters of the request, without anything secret.
    sha256 : str
        Of the body.
    """

    key: RawKey
    fetched_at: datetime
    first: date
    last: date
    request: Mapping[str, str]
    sha256: str


class RawStore:
    """Answers of vendors below a folder.

    Parameters
    ----------
    root : Path
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def put(
        self, key: RawKey, body: bytes, *, fetched_at: datetime, first: date, last: date, request: Mapping[str, str]
    ) -> RawRecord:
        """Keep an answer that is whole.

        Returns
        -------
        RawRecord

        Raises
        ------
        UnsafeNameError
            If a part of the key cannot be a file name.
        ConflictError
            If another answer has been kept for the same key and instant.
        StorageError
            If the file system refuses; nothing is recorded.
        """
        moment = fetched_at.astimezone(UTC)
        record = RawRecord(key, moment, first, last, dict(request), sha256(body))
        folder = self._folder(key)
        create_bytes(folder / f"{record.sha256}.gz", gzip.compress(body, mtime=0))
        path = folder / f"{moment.strftime(_MOMENT)}.json"
        written = _to_json(record)
        if not create_bytes(path, written) and path.read_bytes() != written:
            raise ConflictError(
                f"Two different answers were fetched at {moment.isoformat()}.",
                todo="run it again.",
                source=key.vendor,
                symbol=key.name,
            )
        return record

    def records(self, key: RawKey) -> list[RawRecord]:
        """Return what was fetched about something, oldest first.

        Raises
        ------
        CorruptArtifactError
            If a record cannot be read.
        """
        folder = self._folder(key)
        return [_from_json(path, key) for path in sorted(folder.glob("*.json"))] if folder.is_dir() else []

    def read(self, record: RawRecord) -> bytes:
        """Return the body of a record, verified.

        Raises
        ------
        CorruptArtifactError
            If it is absent or is not what was kept.
        """
        path = self._folder(record.key) / f"{record.sha256}.gz"
        try:
            body = gzip.decompress(path.read_bytes())
        except (OSError, EOFError, ValueError, zlib.error) as error:
            raise _corrupt(path, type(error).__name__) from error
        if sha256(body) != record.sha256:
            raise _corrupt(path, "the sha256 differs")
        return body

    def bodies(self, key: RawKey) -> Iterator[tuple[RawRecord, bytes]]:
        """Yield records with their bodies, oldest first."""
        for record in self.records(key):
            yield record, self.read(record)

    def names(self, vendor: str, kind: str) -> list[str]:
        """Return what there is something about, in alphabetical order."""
        folder = inside(self.root, vendor, kind)
        return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []

    def _folder(self, key: RawKey) -> Path:
        return inside(self.root, key.vendor, key.kind, key.name)


def _to_json(record: RawRecord) -> bytes:
    values = asdict(record)
    values.update(
        fetched_at=record.fetched_at.isoformat(), first=record.first.isoformat(), last=record.last.isoformat()
    )
    return canonical_json({**values, "seal": sha256(canonical_json(values))})


def _from_json(path: Path, key: RawKey) -> RawRecord:
    try:
        stored = path.read_bytes()
        values = json.loads(stored)
        record = RawRecord(
            key,
            datetime.fromisoformat(values["fetched_at"]),
            date.fromisoformat(values["first"]),
            date.fromisoformat(values["last"]),
            values["request"],
            values["sha256"],
        )
        if _to_json(record) != stored:
            raise ValueError("the record fails its seal")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise _corrupt(path, str(error)[:80]) from error
    return record


def _corrupt(path: Path, why: str) -> CorruptArtifactError:
    return CorruptArtifactError(
        f"{path.name} cannot be trusted: {why}.", todo="remove that file; it is fetched again.", source=str(path)
    )
