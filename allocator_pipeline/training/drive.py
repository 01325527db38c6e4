"""Drives a training to the end of its recipe: progress, a check for divergence, checkpoints and scalars."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch

from allocator_pipeline.allocators.policy import Policy
from allocator_pipeline.artifact import Identity
from allocator_pipeline.errors import TrainingDivergedError
from allocator_pipeline.learners.base import Learner
from allocator_pipeline.paths import inside
from allocator_pipeline.training.checkpoints import Checkpoint, Resumable, checkpoint_of
from allocator_pipeline.training.progress import Meter, Progress, silent
from allocator_pipeline.training.scalars import Scalars


@dataclass(frozen=True)
class Observed:
    """How a training is watched; nothing of it shapes the result.

    Parameters
    ----------
    label : str
        Begins each message, such as ``"ppo_lstm 2019 default"``.
    progress : callable
        Receives the messages.
    checkpoint : Checkpoint, optional
        Where the training leaves off and goes on.
    tensorboard : Path, optional
        Folder of this run's event files.
    """

    label: str
    progress: Progress = silent
    checkpoint: Checkpoint | None = None
    tensorboard: Path | None = None

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Own the checkpoint, if there is one, while training."""
        with self.checkpoint.held() if self.checkpoint else contextlib.nullcontext():
            yield

    def resume(self, learner: Resumable) -> bool:
        """Continue from the checkpoint if there is one of this training."""
        return self.checkpoint is not None and self.checkpoint.resume(learner)

    def save(self, learner: Resumable, steps: int) -> None:
        """Write a checkpoint if it is time; a diverged training is refused before it is stored."""
        if self.checkpoint is not None and self.checkpoint.due():
            refuse_divergence(learner.trained(), self.label, steps)
            self.checkpoint.save(learner)

    def tell_resumed(self, steps: int, total: int) -> None:
        """Say where an interrupted training goes on."""
        self.progress(f"{self.label}: goes on from step {steps:,} of {total:,}, where it was interrupted")


def observe(
    identity: Identity,
    label: str,
    progress: Progress = silent,
    checkpoints: Path | None = None,
    tensorboard: Path | None = None,
) -> Observed:
    """Return how the training of an identity is watched.

    Parameters
    ----------
    identity : Identity
        What is trained.
    label : str
    progress : callable
    checkpoints : Path, optional
        Folder of all checkpoints; this one lies at ``<allocator>/<version>.safetensors``.
    tensorboard : Path, optional
        Folder of all runs; this one's lies at ``<allocator>/<version>``.
    """
    return Observed(
        label,
        progress,
        None if checkpoints is None else checkpoint_of(checkpoints, identity, progress),
        None if tensorboard is None else inside(tensorboard, identity.name, identity.version),
    )


class Trained(NamedTuple):
    """What comes of a training: the policy, and its files with what fine-tuning continues from."""

    policy: Policy
    files: dict[str, bytes]


def drive(learner: Learner, observed: Observed) -> None:
    """Train a stacked learner to its ``total_steps``.

    Killed at any moment and started again with the same checkpoint, it ends with the same bits (on a CPU).

    Parameters
    ----------
    learner : Learner
        Untrained, or with the tensors of a policy that is trained further; changed in place.
    observed : Observed

    Raises
    ------
    TrainingDivergedError
        If a scalar or a tensor is not finite, at the latest at the end.
    StorageError
        If a checkpoint cannot be written.
    """
    total, label = learner.total_steps, observed.label
    with observed.held():
        if observed.resume(learner):
            observed.tell_resumed(learner.steps, total)
        meter = Meter(label, total, learner.steps, observed.progress)
        with Scalars(observed.tensorboard, learner.steps) as scalars:
            while learner.steps < total:
                values = learner.advance()
                _refuse_scalars(values, label, learner.steps)
                scalars.write(values, learner.steps)
                if meter.reached(learner.steps):
                    refuse_divergence(learner.trained(), label, learner.steps)
                observed.save(learner, learner.steps)
    refuse_divergence(learner.trained(), label, learner.steps)


def refuse_divergence(tensors: Mapping[str, torch.Tensor], label: str, step: int) -> None:
    """Raise a TrainingDivergedError if a number of these tensors is not finite."""
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise diverged(label, step, name)


def _refuse_scalars(values: Mapping[str, float], label: str, step: int) -> None:
    for name, value in values.items():
        if not math.isfinite(value):
            raise diverged(label, step, name)


def diverged(label: str, step: int, name: str) -> TrainingDivergedError:
    """Return the error of a training whose tensor or scalar ``name`` is not finite."""
    return TrainingDivergedError(
        f"{label} has diverged by step {step:,}: {name} is not finite.",
        todo="look for extreme values in the state tensors, or lower the learning rate of the recipe.",
    )
