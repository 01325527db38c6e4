"""Runs a stable-baselines3 model to the end of its recipe, with progress and a check for divergence."""

from __future__ import annotations

from collections.abc import Callable

import torch
from stable_baselines3 import SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback

from allocator_pipeline.errors import WeightsError

Progress = Callable[[str], None]

REPORTS = 10
"""Progress messages in one training."""


def silent(message: str) -> None:
    """Ignore progress messages."""


class ProgressCallback(BaseCallback):
    """Reports after each tenth of the steps and stops a training that has diverged.

    Parameters
    ----------
    label : str
        Begins each message.
    total_steps : int
        Environment steps in all.
    rows : int
        Network decisions in one environment step.
    progress : callable
        Receives the messages.
    """

    def __init__(self, label: str, total_steps: int, rows: int, progress: Progress) -> None:
        super().__init__()
        self.label, self.total_steps, self.rows, self.progress = label, total_steps, rows, progress
        self.reported = 0

    def _on_step(self) -> bool:
        done = self.num_timesteps // self.rows
        if done * REPORTS >= (self.reported + 1) * self.total_steps:
            self.reported = done * REPORTS // self.total_steps
            self.progress(f"{self.label}: {done:,} of {self.total_steps:,} steps")
            refuse_divergence(self.model, self.label)
        return True


def refuse_divergence(model: BaseAlgorithm, label: str) -> None:
    """Raise a WeightsError if a parameter of the model is not finite."""
    for name, parameter in model.policy.named_parameters():
        if not torch.isfinite(parameter).all():
            raise WeightsError(
                f"{label} has diverged: {name} is not finite.",
                todo="look for extreme values in the state tensors, or lower the learning rate.",
            )


def learn(
    model: BaseAlgorithm, total_steps: int, rows: int, label: str, progress: Progress = silent, fill_steps: int = 0
) -> None:
    """Train a model for a number of environment steps; the last rollout is completed.

    Parameters
    ----------
    model : BaseAlgorithm
    total_steps : int
        Environment steps in all.
    rows : int
        Network decisions in one environment step.
    label : str
        Begins each message.
    progress : callable
        Receives the messages.
    fill_steps : int
        How many of the steps only fill SAC's replay buffer with what the model itself does.

    Raises
    ------
    WeightsError
        If training diverges.
    """
    callback = ProgressCallback(label, total_steps, rows, progress)
    try:
        _learn(model, total_steps * rows, fill_steps * rows, callback)
    except ValueError:  # torch refuses a distribution whose mean is NaN
        refuse_divergence(model, label)
        raise
    refuse_divergence(model, label)


def _learn(model: BaseAlgorithm, total: int, fill: int, callback: BaseCallback) -> None:
    if fill and isinstance(model, SAC):
        updates, model.gradient_steps = model.gradient_steps, 0
        model.learn(fill, callback=callback, log_interval=None)  # type: ignore[arg-type]
        model.gradient_steps = updates
    rest = total - model.num_timesteps
    model.learn(rest, callback=callback, log_interval=None, reset_num_timesteps=model.num_timesteps == 0)  # type: ignore[arg-type]
