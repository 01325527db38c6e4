"""Scalars for TensorBoard, by training step; without a folder nothing is written and nothing imported."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stable_baselines3.common.logger import Logger
    from torch.utils.tensorboard import SummaryWriter


def _writer(folder: Path, done: int) -> SummaryWriter:
    """Open a new event file that hides what an interrupted run has written beyond ``done`` steps."""
    from torch.utils.tensorboard import SummaryWriter

    # A scalar is written after its step, so that of the last step done is valid. Of a new run nothing older is.
    return SummaryWriter(str(folder), purge_step=done + 1 if done else 0)


class Scalars:
    """Writes an event file; several of them in one folder are one run in TensorBoard.

    A training that goes on after an interruption opens a new file, which tells TensorBoard to forget what the old ones
    hold of later steps; a training that starts anew hides all of them.

    Parameters
    ----------
    folder : Path or None
        One folder a run; with None nothing happens.
    done : int
        Steps done before.
    """

    def __init__(self, folder: Path | None, done: int = 0) -> None:
        self._events = None if folder is None else _writer(folder, done)

    def write(self, values: Mapping[str, float], step: int) -> None:
        """Add values by name, such as ``"train/loss"``, at a step."""
        if self._events is not None:
            for name, value in values.items():
                self._events.add_scalar(name, value, step)

    def __enter__(self) -> Scalars:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._events is not None:
            self._events.close()


def sb3_logger(folder: Path, done: int, rows: int) -> Logger:
    """Return a logger with which a stable-baselines3 model writes its own scalars, by environment step.

    Parameters
    ----------
    folder : Path
    done : int
        Environment steps done before.
    rows : int
        Network decisions in one environment step; stable-baselines3 counts decisions.
    """
    from stable_baselines3.common.logger import Logger, TensorBoardOutputFormat

    class ByStep(TensorBoardOutputFormat):
        def __init__(self) -> None:
            self.writer = _writer(folder, done)
            self._is_closed = False

        def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
            super().write(key_values, key_excluded, step // rows)

    return Logger(str(folder), [ByStep()])
