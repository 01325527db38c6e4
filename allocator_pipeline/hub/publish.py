"""Upload of a stored version: its branch always, ``main`` if it is the champion or there is nothing yet."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from allocator_pipeline.atomic import canonical_json, sha256
from allocator_pipeline.errors import ConflictError
from allocator_pipeline.hub.client import Hub
from allocator_pipeline.hub.names import CARD, MAIN, checked_file, checked_repo, checked_version
from allocator_pipeline.registry.artifacts import MANIFEST, MAX_JSON_BYTES, ArtifactStore


@dataclass(frozen=True)
class Published:
    """Where a version is now.

    Parameters
    ----------
    commit : str
        Of its branch.
    main : str or None
        Commit of ``main`` if that holds this version now.
    """

    commit: str
    main: str | None


def version_files(models: ArtifactStore, name: str, version: str, card: str) -> dict[str, bytes]:
    """Return all that travels of a verified version: its files, its manifest as stored, and the card.

    Raises
    ------
    CorruptArtifactError, MissingPartitionError
        If it is not stored whole.
    UnsafeNameError
        If a file may not travel, or the version is not one of ours.
    """
    loaded = models.load(name, checked_version(version))
    files = {checked_file(file): payload for file, payload in loaded.files.items()}
    manifest = (models.root / name / version / MANIFEST).read_bytes()
    return {**files, MANIFEST: manifest, CARD: card.encode()}


def digest(repo: str, files: dict[str, bytes]) -> str:
    """Return a hash of what would be uploaded where."""
    return sha256(canonical_json({"repo": repo, "files": {name: sha256(files[name]) for name in sorted(files)}}))


def publish(
    hub: Hub, repo: str, name: str, version: str, files: dict[str, bytes], is_champion: Callable[[], bool]
) -> Published:
    """Upload a version; what is there already is left as it is.

    Parameters
    ----------
    hub : Hub
    repo : str
        ``owner/name``.
    name, version : str
        Allocator and version.
    files : dict of str to bytes
        As `version_files` returns them.
    is_champion : callable
        Asked right before each try to write ``main``, so that an upload that was slow does not put an older champion
        over a newer one.

    Returns
    -------
    Published

    Raises
    ------
    HubError
        If it cannot be done; each branch is as it was, or holds the whole version.
    ConflictError
        If the branch holds another model under the same version.
    """
    checked_repo(repo)
    hub.create(repo)

    def same_model(there: dict[str, str], head: str) -> bool:
        if MANIFEST in there:
            _check_same(hub.read(repo, head, MANIFEST, MAX_JSON_BYTES), files[MANIFEST], repo)
        return True

    def due(there: dict[str, str], head: str) -> bool:
        return MANIFEST not in there or is_champion()

    message = f"{name} {version}"
    commit = hub.replace(repo, version, files, message, same_model)
    main = hub.replace(repo, MAIN, files, message, due)
    return Published(str(commit), main)


def _check_same(there: bytes, ours: bytes, repo: str) -> None:
    """Refuse to replace another model of the same version; a fresh branch holds what ``main`` held, another version."""
    try:
        theirs = json.loads(there)
        version, identity = theirs["version"], theirs["identity_sha256"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return  # no manifest of ours: nothing is lost
    mine = json.loads(ours)
    if version == mine["version"] and identity != mine["identity_sha256"]:
        raise ConflictError(
            f"The branch {version} holds another model.", todo="share this one in another repository.", source=repo
        )
