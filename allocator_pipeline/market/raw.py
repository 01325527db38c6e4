"""What vendors have answered, kept byte for byte by the time it was fetched; every live table is derived from it.

A record is written after its body, and only for an answer that is whole: what has no record was never fetched, and is
asked for again. Nothing is ever replaced: an answer that differs from an earlier one becomes one more record, so that
a history that a vendor rewrites is seen.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from allocator_pipeline.atomic import canonical_json, create_bytes, sha256, write_bytes
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
        path, packed, kept = self._path(record), gzip.compress(body, mtime=0), self._body(record)
        if not create_bytes(kept, packed) and _unpacked(kept, record.sha256) != body:
            write_bytes(kept, packed)  # the same body has been damaged since
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
        paths = sorted(folder.glob("*.json")) if folder.is_dir() else []
        return [_from_json(path, key, path.relative_to(self.root).as_posix()) for path in paths]

    def read(self, record: RawRecord) -> bytes:
        """Return the body of a record, verified.

        Raises
        ------
        CorruptArtifactError
            If it is absent or is not what was kept; it names the record to remove, so that it is asked for again.
        """
        path = self._body(record)
        body = _unpacked(path, record.sha256)
        if body is None:
            raise _corrupt(path, "it is not what was kept" if path.exists() else "it is absent", self.place(record))
        return body

    def place(self, record: RawRecord) -> str:
        """Return where a record lies below the folder of this store, for messages."""
        return self._path(record).relative_to(self.root).as_posix()

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

    def _path(self, record: RawRecord) -> Path:
        return self._folder(record.key) / f"{record.fetched_at.strftime(_MOMENT)}.json"

    def _body(self, record: RawRecord) -> Path:
        return self._folder(record.key) / f"{record.sha256}.gz"


def fetch_again(records: Iterable[str]) -> str:
    """Return what to do so that answers are asked for once more: records as `RawStore.place` names them."""
    named = " and ".join(records)
    return f"remove the record {named} from the raw data and materialise the download: it is fetched again"


def _unpacked(path: Path, digest: str) -> bytes | None:
    """Return a body that has a sha256; None if the file is absent or is not that."""
    try:
        body = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, ValueError, zlib.error):
        return None
    return body if sha256(body) == digest else None


def _to_json(record: RawRecord) -> bytes:
    values = asdict(record)
    values.update(
        fetched_at=record.fetched_at.isoformat(), first=record.first.isoformat(), last=record.last.isoformat()
    )
    return canonical_json({**values, "seal": sha256(canonical_json(values))})


def _from_json(path: Path, key: RawKey, place: str) -> RawRecord:
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
        raise _corrupt(path, str(error)[:80], place) from error
    return record


def _corrupt(path: Path, why: str, record: str) -> CorruptArtifactError:
    return CorruptArtifactError(
        f"{path.name} cannot be trusted: {why}.",
        todo=f"{fetch_again([record])}.",
        source=str(path),
    )
