"""Where an interrupted training leaves off: one safetensors file, whole or absent, that only its own training reads."""

from __future__ import annotations

import contextlib
import hashlib
import json
import struct
import time
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

import filelock
import torch
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors

from allocator_pipeline.allocators.tensors import fill
from allocator_pipeline.artifact import Identity
from allocator_pipeline.atomic import write_bytes
from allocator_pipeline.errors import AllocatorError, CorruptArtifactError
from allocator_pipeline.paths import inside
from allocator_pipeline.training.progress import Progress, silent

FORMAT = 1
"""Raised when the meaning of a checkpoint changes; older ones are then ignored."""

EVERY_SECONDS = 5.0

SHARE = 0.05
"""Greatest share of the time that goes into writing checkpoints."""

LIBRARIES = ("numpy", "torch", "stable_baselines3")
"""Another version of these may round otherwise, so that the result would be neither's."""


class Resumable(Protocol):
    """What has tensors to continue from; `learners.base.Learner` says what they mean."""

    def trained(self) -> Mapping[str, torch.Tensor]:
        """Return what was learned, own tensors."""

    def position(self) -> Mapping[str, torch.Tensor]:
        """Return all else that the next step depends on."""

    def load_position(self, position: Mapping[str, torch.Tensor]) -> None:
        """Continue from a position, or raise CorruptArtifactError and change nothing."""


class Checkpoint:
    """The state of one training, written now and then.

    Parameters
    ----------
    path : Path
        The file; its folder is created.
    identity_digest : str
        What is trained. A file of anything else is not read.
    every_seconds : float
        Least time between two writes; 0 writes at each opportunity.
    progress : callable
        Hears what became of an older file.
    """

    def __init__(
        self,
        path: Path,
        identity_digest: str,
        every_seconds: float = EVERY_SECONDS,
        progress: Progress = silent,
    ) -> None:
        self.path, self.every_seconds, self.progress = path, every_seconds, progress
        self._origin = {
            "format": str(FORMAT),
            "identity": identity_digest,
            "libraries": ", ".join(f"{name} {version(name)}" for name in LIBRARIES),
        }
        self._held = False
        self._wait, self._last = every_seconds, time.monotonic()

    @property
    def _lock(self) -> Path:
        return self.path.with_name(f"{self.path.name}.lock")

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Own the file while training; where another process trains the same, train without reading or writing it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(self._lock)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            self.progress(f"{self.path.name}: another process trains the same; this one goes without checkpoints.")
            yield
            return
        self._held, self._last = True, time.monotonic()
        try:
            self._remove_torn()
            yield
        finally:
            self._held = False
            lock.release()

    def resume(self, learner: Resumable) -> bool:
        """Continue from the file if it is whole and of the same training; return whether that was so.

        Whatever else it is, the learner stays as it was and the file is overwritten in time.
        """
        if not self._held or not self.path.is_file():
            return False
        try:
            trained, position = self._read()
            _check_fits(learner.trained(), trained)
            learner.load_position(position)
            fill(learner.trained(), trained, str(self.path))
        except (AllocatorError, OSError) as error:
            reason = error.problem if isinstance(error, AllocatorError) else str(error)
            self.progress(f"{self.path.name}: the checkpoint is not used, training starts anew. {reason}")
            return False
        return True

    def due(self) -> bool:
        """Whether it is time to write again."""
        return self._held and time.monotonic() - self._last >= self._wait

    def save(self, learner: Resumable) -> None:
        """Write where a learner stands, in place of what was written before.

        Raises
        ------
        StorageError
            If the file system refuses; the file before is intact.
        """
        if not self._held:
            return
        began = time.monotonic()
        named = {f"trained.{name}": tensor for name, tensor in learner.trained().items()}
        named |= {f"position.{name}": tensor for name, tensor in learner.position().items()}
        tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in named.items()}
        write_bytes(self.path, save_safetensors(tensors, {**self._origin, "sha256": _sha256(tensors)}))
        self._last = time.monotonic()
        self._wait = max(self.every_seconds, (self._last - began) / SHARE if self.every_seconds else 0.0)

    def discard(self) -> None:
        """Remove the file: what was trained has been stored, or is not wanted any more."""
        self.path.unlink(missing_ok=True)
        self._remove_torn()
        self._lock.unlink(missing_ok=True)

    def _remove_torn(self) -> None:
        """Remove what a process killed while writing has left."""
        for torn in self.path.parent.glob(f".{self.path.name[:40]}.*.tmp"):
            torn.unlink(missing_ok=True)

    def _read(self) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        payload = self.path.read_bytes()
        try:
            size = struct.unpack("<Q", payload[:8])[0]
            facts = dict(json.loads(payload[8 : 8 + size])["__metadata__"])
            tensors = load_safetensors(payload)
        except Exception as error:  # safetensors raises its own types for every kind of damage
            raise _unusable(f"It is damaged: {error!r}.") from error
        digest = facts.pop("sha256", None)
        if facts != self._origin:
            raise _unusable("It is of another training or of other library versions.")
        if digest != _sha256(tensors):
            raise _unusable("It is damaged: its sha256 differs.")
        parts: dict[str, dict[str, torch.Tensor]] = {"trained": {}, "position": {}}
        for name, tensor in tensors.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = tensor
        return parts["trained"], parts["position"]


def checkpoint_of(folder: Path, identity: Identity, progress: Progress = silent) -> Checkpoint:
    """Return the checkpoint of what an identity names, below a folder; `Checkpoint.discard` it once that is stored."""
    path = inside(folder, identity.name, f"{identity.version}.safetensors")
    return Checkpoint(path, identity.digest, EVERY_SECONDS, progress)


def _check_fits(own: Mapping[str, torch.Tensor], stored: Mapping[str, torch.Tensor]) -> None:
    kinds = [{name: (tensor.shape, tensor.dtype) for name, tensor in some.items()} for some in (own, stored)]
    if kinds[0] != kinds[1]:
        raise _unusable("It holds other tensors than the training has.")


def _sha256(tensors: Mapping[str, torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _unusable(problem: str) -> CorruptArtifactError:
    return CorruptArtifactError(problem, todo="nothing: it is overwritten.")
