"""Model artefacts in memory: a manifest, some files, and a version name that hashes everything that shaped them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version as library_version
from typing import Any

from allocator_pipeline.atomic import canonical_json, sha256

FORMAT = 3
"""Raised when the meaning of stored files changes; part of every version's hash."""

LIBRARIES = ("numpy", "torch", "stable_baselines3", "gymnasium", "scikit-learn", "skfolio")


@dataclass(frozen=True)
class Identity:
    """What a model is made of. Two equal identities are the same model and carry the same version.

    Parameters
    ----------
    kind : {"policy", "forecaster"}
    name : str
        Allocator (``ppo_lstm``) or forecaster (``lstm``).
    cutoff : str
        ISO date of the data cut-off: the last exit (policies) or target exit (forecasters) that training read.
    config : mapping
        Every hyperparameter, the recipe's name and the seed; JSON values.
    data : str
        sha256 of the training data.
    parent : str or None
        Version this one was fine-tuned from.
    """

    kind: str
    name: str
    cutoff: str
    config: Mapping[str, Any]
    data: str
    parent: str | None = None

    @property
    def digest(self) -> str:
        """sha256 of the identity."""
        return sha256(
            canonical_json(
                {
                    "format": FORMAT,
                    "kind": self.kind,
                    "name": self.name,
                    "cutoff": self.cutoff,
                    "config": dict(self.config),
                    "data": self.data,
                    "parent": self.parent,
                }
            )
        )

    @property
    def version(self) -> str:
        """``vYYYY-MM-DD-hash``, with ``-ft`` behind a fine-tuned one."""
        return f"v{self.cutoff}-{self.digest[:6]}{'-ft' if self.parent else ''}"


@dataclass(frozen=True)
class Artifact:
    """A trained model, ready to be stored.

    Parameters
    ----------
    identity : Identity
    files : mapping of str to bytes
        safetensors and JSON files by name.
    facts : mapping
        JSON values worth keeping in the manifest that do not shape the model: training window, metrics, market, notes.
    """

    identity: Identity
    files: Mapping[str, bytes]
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Allocator or forecaster."""
        return self.identity.name

    @property
    def version(self) -> str:
        """Version name."""
        return self.identity.version

    def manifest(self) -> dict[str, Any]:
        """Return the manifest: identity, facts, library versions, and size and sha256 of each file."""
        identity = self.identity
        return {
            "format": FORMAT,
            "kind": identity.kind,
            "name": identity.name,
            "version": identity.version,
            "identity_sha256": identity.digest,
            "cutoff": identity.cutoff,
            "parent": identity.parent,
            "config": dict(identity.config),
            "data_sha256": identity.data,
            "facts": dict(self.facts),
            "libraries": {name: library_version(name) for name in LIBRARIES},
            "files": {
                name: {"sha256": sha256(payload), "bytes": len(payload)} for name, payload in sorted(self.files.items())
            },
        }
