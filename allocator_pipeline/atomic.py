"""Writes that are either whole or absent, and reads that verify what was written.

A *published* object is one payload file named by its hash plus a small JSON pointer that names it. The pointer is
replaced by a rename, so that a reader sees the old object or the new one and never half of either; the sha256 in the
pointer catches every later change of the payload, and the pointer's own seal every change of itself.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from allocator_pipeline.errors import CorruptArtifactError, MissingPartitionError, StorageError


def sha256(payload: bytes) -> str:
    """Return the hexadecimal sha256 of some bytes."""
    return hashlib.sha256(payload).hexdigest()


def canonical_json(value: Any) -> bytes:
    """Serialise to JSON with sorted keys and fixed separators, so that equal values give equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


@contextlib.contextmanager
def _storage(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"Writing {path} failed: {error.strerror or error}.",
            todo="free disk space or mend the permissions, then run again; what was stored before is intact.",
            source=str(path),
        ) from error


def _fsync_directory(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_bytes(path: Path, payload: bytes) -> None:
    """Write a file through a temporary sibling, fsync and rename.

    Parameters
    ----------
    path : Path
        Target; its folder is created.
    payload : bytes
        The whole content.

    Raises
    ------
    StorageError
        If the file system refuses; the previous file, if any, is intact.
    """
    with _storage(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name[:40]}.", suffix=".tmp", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(payload)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, path)
            _fsync_directory(path.parent)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise


def create_bytes(path: Path, payload: bytes) -> bool:
    """Create a file that must not exist yet: the compare-and-set of append-only stores.

    Returns
    -------
    bool
        True if this call created the file, False if it was there already (and stays as it was).

    Raises
    ------
    StorageError
        If the file system refuses.
    """
    with _storage(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name[:40]}.", suffix=".tmp", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(payload)
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(name, path)
            except FileExistsError:
                return False
            _fsync_directory(path.parent)
            return True
        finally:
            with contextlib.suppress(OSError):
                os.unlink(name)


def write_folder(folder: Path, files: Mapping[str, bytes]) -> bool:
    """Create an immutable folder of files, whole or not at all.

    Returns
    -------
    bool
        True if this call created the folder, False if it was there already (and stays as it was).

    Raises
    ------
    StorageError
        If the file system refuses; nothing is left behind.
    """
    if folder.exists():
        return False
    with _storage(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name[:40]}.", suffix=".tmp", dir=folder.parent))
        try:
            for name, payload in files.items():
                with open(temporary / name, "wb") as file:
                    file.write(payload)
                    file.flush()
                    os.fsync(file.fileno())
            _fsync_directory(temporary)
            temporary.chmod(0o755)
            try:
                os.rename(temporary, folder)
            except OSError:
                if folder.is_dir():
                    return False
                raise
            _fsync_directory(folder.parent)
            return True
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def publish(pointer: Path, payload: bytes, suffix: str, metadata: Mapping[str, Any] | None = None) -> str:
    """Publish a payload under a pointer file; publishing the same bytes again changes nothing.

    Parameters
    ----------
    pointer : Path
        The JSON file that names the payload, such as ``prices/2015.json``.
    payload : bytes
        The content.
    suffix : str
        Extension of the payload file, such as ``".parquet"``.
    metadata : mapping, optional
        JSON values kept in the pointer beside ``file`` and ``sha256``.

    Returns
    -------
    str
        sha256 of the payload.

    Raises
    ------
    StorageError
        If the file system refuses; what was published before is intact.
    """
    digest = sha256(payload)
    name = f"{pointer.stem}.{digest[:16]}{suffix}"
    with _alone(pointer):
        write_bytes(pointer.parent / name, payload)
        write_bytes(pointer, _sealed({"file": name, "sha256": digest, "metadata": dict(metadata or {})}))
        with contextlib.suppress(OSError):
            _remove_others(pointer, name)
    return digest


@contextlib.contextmanager
def _alone(pointer: Path) -> Iterator[None]:
    """Let nobody else publish in the folder meanwhile; of a process that dies the system takes the lock away."""
    with _storage(pointer):
        pointer.parent.mkdir(parents=True, exist_ok=True)
        folder = os.open(pointer.parent, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
        except OSError:
            os.close(folder)
            raise
    try:
        yield
    finally:
        fcntl.flock(folder, fcntl.LOCK_UN)  # a process that was forked meanwhile may hold the folder open
        os.close(folder)


def _remove_others(pointer: Path, name: str) -> None:
    """Remove payloads that the pointer does not name: the one before, and what a process that died has left."""
    payload = re.compile(rf"{re.escape(pointer.stem)}\.[0-9a-f]{{16}}\..+")
    for other in os.listdir(pointer.parent):
        if other != name and payload.fullmatch(other):
            os.unlink(pointer.parent / other)


def _sealed(description: Mapping[str, Any]) -> bytes:
    return canonical_json({**description, "seal": sha256(canonical_json(description))})


def _verified(pointer: Path, stored: bytes) -> tuple[bytes, dict[str, Any]]:
    description = json.loads(stored)
    del description["seal"]
    name = description["file"]
    if _sealed(description) != stored or not isinstance(name, str) or Path(name).name != name:
        raise ValueError("the pointer fails its seal")
    payload = (pointer.parent / name).read_bytes()
    if sha256(payload) != description["sha256"]:
        raise ValueError("the sha256 differs")
    return payload, description["metadata"]


def read_published(pointer: Path) -> tuple[bytes, dict[str, Any]]:
    """Read and verify a published payload.

    Returns
    -------
    tuple of (bytes, dict)
        The payload and the pointer's metadata.

    Raises
    ------
    MissingPartitionError
        If nothing was published there.
    CorruptArtifactError
        If pointer or payload is unreadable or fails its checksum.
    """
    if not pointer.is_file():
        raise MissingPartitionError(
            f"Nothing is stored at {pointer}.", todo="materialise that partition first.", source=str(pointer)
        )
    stored = b""
    while True:
        before = stored
        try:
            stored = pointer.read_bytes()
            return _verified(pointer, stored)
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            if stored != before:  # perhaps published anew between the two reads: look once more
                continue
            raise CorruptArtifactError(
                f"{pointer} cannot be trusted: {error}.", todo="materialise that partition again.", source=str(pointer)
            ) from error


def table_bytes(table: pd.DataFrame) -> bytes:
    """Serialise a table to parquet; equal tables give equal bytes."""
    buffer = io.BytesIO()
    table.to_parquet(buffer, engine="pyarrow", index=False, compression="zstd")
    _give_back()
    return buffer.getvalue()


def table_from_bytes(payload: bytes) -> pd.DataFrame:
    """Read back what `table_bytes` wrote."""
    table = pd.read_parquet(io.BytesIO(payload), engine="pyarrow")
    _give_back()
    return table


def _give_back() -> None:
    """Return to the system what reading or writing a table took: pyarrow keeps as much as the table itself."""
    import pyarrow  # not before a table needs it

    pyarrow.default_memory_pool().release_unused()
