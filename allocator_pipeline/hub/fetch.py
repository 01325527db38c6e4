"""Download of a version: nothing is stored before every byte of it has been verified."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from allocator_pipeline.atomic import sha256, write_folder
from allocator_pipeline.errors import AllocatorError, ConflictError, CorruptArtifactError, HubError
from allocator_pipeline.hub.client import Hub
from allocator_pipeline.hub.names import MAIN, checked_file, checked_repo, checked_version
from allocator_pipeline.paths import inside
from allocator_pipeline.registry.artifacts import (
    MANIFEST,
    MAX_FILE_BYTES,
    MAX_FILES,
    MAX_JSON_BYTES,
    ArtifactStore,
    LoadedArtifact,
)

MAX_VERSION_BYTES = 2**30
"""All files of a version together."""


def fetch(hub: Hub, repo: str, models: ArtifactStore, name: str, version: str | None = None) -> LoadedArtifact:
    """Bring a version from the Hub into the store.

    The manifest says which files there are; only safetensors and JSON are asked for, each is compared with its sha256,
    and the whole is verified by `ArtifactStore.load` in a folder aside before it is stored. The hashes protect against
    damage, not against somebody who may write to the repository: name only repositories that you trust.

    Parameters
    ----------
    hub : Hub
    repo : str
        ``owner/name``.
    models : ArtifactStore
        Where it is stored, byte for byte as it was published.
    name : str
        Allocator that the version must be of.
    version : str, optional
        The branch; without one, the version that ``main`` holds.

    Returns
    -------
    LoadedArtifact
        Read back from the store.

    Raises
    ------
    HubError
        If the Hub does not give it.
    CorruptArtifactError
        If anything does not verify, or is too large; nothing is stored.
    ConflictError
        If another model is stored under the version, or the same one with other bytes.
    UnsafeNameError
        If a name is not one of ours, or a file of a type that may not travel.
    """
    branch = checked_version(version) if version is not None else MAIN
    head = hub.heads(checked_repo(repo)).get(branch)
    if head is None:
        raise HubError(f"{repo} has no branch {branch}.", todo="name a version that was published.", source=repo)
    manifest = hub.read(repo, head, MANIFEST, MAX_JSON_BYTES)
    found, listed = _contents(manifest, repo)
    if version not in (None, found):
        raise CorruptArtifactError(
            f"The branch {version} holds {found}.", todo="publish that version again.", source=repo
        )
    files = {MANIFEST: manifest}
    for file, (size, expected) in listed.items():
        files[file] = hub.read(repo, head, file, size)
        if len(files[file]) != size or sha256(files[file]) != expected:
            raise CorruptArtifactError(
                f"{file} is not what the manifest says.", todo="publish that version again.", source=repo
            )
    return _store(models, name, found, files)


def _contents(manifest: bytes, repo: str) -> tuple[str, dict[str, tuple[int, str]]]:
    """Return the version and the size and sha256 of each file that a manifest lists."""
    try:
        read = json.loads(manifest)
        listed = {checked_file(name): (entry["bytes"], entry["sha256"]) for name, entry in read["files"].items()}
        version = checked_version(read["version"])
        sizes = [size for size, _ in listed.values()]
        if len(sizes) >= MAX_FILES or not all(type(size) is int and 0 <= size <= MAX_FILE_BYTES for size in sizes):
            raise ValueError("it lists too many files, or one that is too large")
        if sum(sizes) > MAX_VERSION_BYTES:
            raise ValueError(f"its files have {sum(sizes)} bytes together")
    except AllocatorError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CorruptArtifactError(
            f"The manifest is refused: {str(error)[:200]}.", todo="publish that version again.", source=repo
        ) from error
    return version, listed


def _store(models: ArtifactStore, name: str, version: str, files: dict[str, bytes]) -> LoadedArtifact:
    with tempfile.TemporaryDirectory(prefix="allocator-fetch-") as folder:
        aside = ArtifactStore(Path(folder))
        write_folder(inside(aside.root, name, version), files)
        fetched = aside.load(name, version)
    if not write_folder(inside(models.root, name, version), files):
        stored = models.load(name, version)
        if any(stored.manifest[part] != fetched.manifest[part] for part in ("identity_sha256", "files")):
            raise ConflictError(
                f"Version {version} of {name} is stored already, and is another model or has other bytes.",
                todo="fetch it into another data folder.",
                source=str(models.root),
            )
    return models.load(name, version)
