"""Immutable model versions on disk, verified on every read.

A version is a folder ``<name>/<version>/`` of safetensors and JSON files beside ``manifest.json``, which lists size and
sha256 of each and seals itself. Nothing that could run code on loading is ever opened.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors

from allocator_pipeline.artifact import FORMAT, Artifact, Identity
from allocator_pipeline.atomic import canonical_json, sha256, write_folder
from allocator_pipeline.errors import (
    AllocatorError,
    ConflictError,
    CorruptArtifactError,
    MissingPartitionError,
    UnsafeNameError,
)
from allocator_pipeline.paths import inside, safe_name

MANIFEST = "manifest.json"
SUFFIXES = (".safetensors", ".json")
MAX_FILES = 64
MAX_FILE_BYTES = 64 * 2**20
MAX_JSON_BYTES = 2**20
MAX_HEADER_BYTES = 2**20


@dataclass(frozen=True)
class LoadedArtifact:
    """A stored model whose every byte was verified.

    Parameters
    ----------
    manifest : mapping
        As `artifact.Artifact.manifest` wrote it.
    files : mapping of str to bytes
        safetensors and JSON files by name.
    """

    manifest: Mapping[str, Any]
    files: Mapping[str, bytes]

    @property
    def name(self) -> str:
        """Allocator or forecaster."""
        return str(self.manifest["name"])

    @property
    def version(self) -> str:
        """Version name."""
        return str(self.manifest["version"])

    @property
    def cutoff(self) -> str:
        """ISO date of the last exit that training read."""
        return str(self.manifest["cutoff"])

    @property
    def parent(self) -> str | None:
        """Version this one was fine-tuned from."""
        return self.manifest["parent"]


class ArtifactStore:
    """All versions of all models below one folder.

    Parameters
    ----------
    root : Path
        Holds ``<name>/<version>/``.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def save(self, artifact: Artifact) -> Path:
        """Store a version; storing the same identity again changes nothing.

        Returns
        -------
        Path
            Its folder.

        Raises
        ------
        CorruptArtifactError
            If a file is of a refused type or too large, or the version is stored already but no longer verifies.
        ConflictError
            If another model is stored under the same version, or the same one with other bytes.
        StorageError
            If the file system refuses; nothing is left behind.
        """
        folder = self._folder(artifact.name, artifact.version)
        manifest = artifact.manifest()
        files = {**artifact.files, MANIFEST: _seal(manifest)}
        if MANIFEST in artifact.files or len(files) > MAX_FILES:
            raise _refused(folder, f"it has {len(artifact.files)} files, or one of its own is called {MANIFEST}")
        for name, payload in files.items():
            _check_file(folder, name, payload)
        if not write_folder(folder, files):
            stored = self.load(artifact.name, artifact.version)
            self._same(stored, artifact.identity)
            if stored.manifest["files"] != manifest["files"]:
                raise ConflictError(
                    f"Version {artifact.version} of {artifact.name} is stored already, with other bytes.",
                    todo="find out why the same training gave another result; a stored version is never overwritten.",
                    source=str(folder),
                )
        return folder

    def load(self, name: str, version: str) -> LoadedArtifact:
        """Read a version and verify all of it.

        Raises
        ------
        MissingPartitionError
            If there is no such version.
        CorruptArtifactError
            If anything about it differs from what was stored.
        UnsafeNameError
            If name or version cannot be a folder's name.
        """
        folder = self._folder(name, version)
        if folder.is_symlink() or folder.parent.is_symlink():
            raise _refused(folder, "its folder is a symbolic link")
        if folder.is_dir():
            try:
                return _verified(folder, name, version)
            except (FileNotFoundError, CorruptArtifactError):
                if folder.is_dir():  # else it was pruned while it was read
                    raise
        raise MissingPartitionError(
            f"Version {version} of {name} is not stored.", todo="train it again, or roll back.", source=str(folder)
        )

    def has(self, identity: Identity) -> bool:
        """Tell whether this very model is stored, and verifies.

        Raises
        ------
        CorruptArtifactError
            If it is stored but no longer verifies.
        ConflictError
            If another model is stored under the same version.
        """
        if not self._folder(identity.name, identity.version).is_dir():
            return False
        self._same(self.load(identity.name, identity.version), identity)
        return True

    def versions(self, name: str) -> list[str]:
        """Return the stored versions of a model, oldest cut-off first."""
        folder = inside(self.root, name)
        if not folder.is_dir():
            return []
        return sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))

    def _folder(self, name: str, version: str) -> Path:
        return inside(self.root, name, version)

    def _same(self, stored: LoadedArtifact, identity: Identity) -> None:
        if stored.manifest["identity_sha256"] != identity.digest:
            raise ConflictError(
                f"Version {identity.version} of {identity.name} is stored already and is another model.",
                todo="change the seed or a hyperparameter of the new one.",
                source=str(self._folder(identity.name, identity.version)),
            )


def _verified(folder: Path, name: str, version: str) -> LoadedArtifact:
    manifest = _unseal(folder, _read(folder, MANIFEST, MAX_JSON_BYTES))
    if (manifest["name"], manifest["version"]) != (name, version):
        raise _refused(folder, f"it is {manifest['name']} {manifest['version']}")
    listed = manifest["files"]
    present = {entry.name for entry in os.scandir(folder)} - {MANIFEST}
    if present != set(listed) or len(listed) >= MAX_FILES:
        odd = sorted(present ^ set(listed))[:3]
        raise _refused(folder, f"files missing or not listed in the manifest: {odd}")
    files = {}
    for file_name, expected in listed.items():
        payload = _read(folder, file_name, MAX_FILE_BYTES)
        if len(payload) != expected["bytes"] or sha256(payload) != expected["sha256"]:
            raise _refused(folder, f"the sha256 of {file_name} differs")
        _check_file(folder, file_name, payload)
        files[file_name] = payload
    return LoadedArtifact(manifest, files)


def _of_other_format(found: object) -> str:
    return (
        f"its format is {found!r}, not {FORMAT}; if another version of this project made it, keep the data folder for "
        "that version and choose another ALLOCATOR_DATA_DIR for this one"
    )


def _refused(folder: Path, why: str) -> CorruptArtifactError:
    return CorruptArtifactError(
        f"Model {folder.parent.name} {folder.name} is refused: {why}.",
        todo="remove its folder and materialise it again, or roll back to a version that verifies.",
        source=str(folder),
    )


def _text(manifest: Mapping[str, Any]) -> bytes:
    return (json.dumps(manifest, sort_keys=True, indent=1, allow_nan=False) + "\n").encode()


def _seal(manifest: Mapping[str, Any]) -> bytes:
    return _text({**manifest, "manifest_sha256": sha256(canonical_json(manifest))})


def _unseal(folder: Path, payload: bytes) -> dict[str, Any]:
    """Return the manifest if its seal, its form and its version name all agree."""
    try:
        manifest = json.loads(payload)
        if _text(manifest) != payload:  # one form only: no byte can change unseen
            raise ValueError("the manifest is not in its canonical form")
        if manifest.pop("manifest_sha256") != sha256(canonical_json(manifest)):
            raise ValueError("the manifest fails its own sha256")
        if manifest["format"] != FORMAT:
            raise ValueError(_of_other_format(manifest["format"]))
        identity = Identity(*(manifest[key] for key in ("kind", "name", "cutoff", "config", "data_sha256", "parent")))
        if (manifest["identity_sha256"], manifest["version"]) != (identity.digest, identity.version):
            raise ValueError("the version does not match the identity")
        for name, expected in manifest["files"].items():
            _check_name(name)
            if not isinstance(expected["bytes"], int) or not isinstance(expected["sha256"], str):
                raise ValueError(f"the entry of {name} is malformed")
        return manifest
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, AllocatorError) as error:
        raise _refused(folder, str(error) or type(error).__name__) from error


def _check_name(name: str) -> None:
    if Path(safe_name(name, "file")).suffix not in SUFFIXES:
        raise ValueError(f"{name} is neither {' nor '.join(SUFFIXES)}")


def _check_file(folder: Path, name: str, payload: bytes) -> None:
    """Refuse a file that is not what its name says, whatever its checksum."""
    try:
        _check_name(name)
        if name.endswith(".json"):
            if len(payload) > MAX_JSON_BYTES:
                raise ValueError(f"{name} has {len(payload)} bytes")
            json.loads(payload)
            return
        header = int.from_bytes(payload[:8], "little")
        if len(payload) > MAX_FILE_BYTES or header > min(MAX_HEADER_BYTES, len(payload) - 8):
            raise ValueError(f"{name} is too large or no safetensors file")
        safetensors.deserialize(payload)
    except (ValueError, RecursionError, UnsafeNameError, safetensors.SafetensorError) as error:
        raise _refused(folder, f"{name}: {str(error)[:200]}") from error


def _read(folder: Path, name: str, limit: int) -> bytes:
    """Read a regular file of bounded size; symbolic links, devices and pipes are refused unopened or unread."""
    try:
        handle = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_size > limit:
                raise OSError("it is no regular file, or too large")
            return file.read(limit + 1)
    except OSError as error:
        raise _refused(folder, f"{name} cannot be read: {error}") from error
