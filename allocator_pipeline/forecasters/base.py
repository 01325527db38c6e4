"""What every forecaster is: a configuration, fit, predict, and a state of tensors."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
import torch

from allocator_pipeline.errors import CorruptArtifactError, NotEnoughDataError

Tensors = Mapping[str, torch.Tensor]
Progress = Callable[[str], None]


@dataclass(frozen=True)
class ForecasterConfig:
    """What every forecaster's configuration says; each adds its own hyperparameters."""

    channels: tuple[str, ...] = ("return", "return_20", "return_60", "return_252")
    """What it reads, chosen from what it would read (`Forecaster.wanted`) by what the source has."""
    chunk: int = 120
    """Days it is run along at once in training."""

    @property
    def reach(self) -> int:
        """Days up to a decision that its forecast reads."""
        return self.chunk


@dataclass
class Forecaster(ABC):
    """Scores where a stock's next weekly return will rank.

    Parameters
    ----------
    config : ForecasterConfig

    Attributes
    ----------
    losses_ : list of float
        Mean squared error of each pass over the fold.
    """

    config: Any
    losses_: list[float] = field(default_factory=list, init=False)

    name: ClassVar[str]
    config_type: ClassVar[type[ForecasterConfig]]
    wanted: ClassVar[tuple[str, ...]]
    """The channels it reads where a source has them, in order."""
    warm: ClassVar[bool]
    """Whether it can start from the state of another."""

    @abstractmethod
    def fit(
        self,
        values: np.ndarray,
        targets: np.ndarray,
        seed: int = 0,
        progress: Progress | None = None,
        start: Tensors | None = None,
    ) -> Self:
        """Learn.

        Parameters
        ----------
        values : ndarray of float32, shape (T, N, C)
            Inputs, finite; C is the number of the configuration's channels.
        targets : ndarray of float, shape (T, N)
            NaN where there is nothing to learn from.
        seed : int
            Seed of initial weights, order and dropout, where there is any.
        progress : callable, optional
            Called with one line a pass over the fold.
        start : mapping of str to Tensor, optional
            The state to start from, where `warm`; a cold start without.

        Returns
        -------
        Forecaster
            Itself.

        Raises
        ------
        NotEnoughDataError
            If the days do not fill one chunk, or no day that a chunk reads has a target.
        CorruptArtifactError
            If the state to start from is not this forecaster's.
        """

    @abstractmethod
    def scores(self, values: np.ndarray) -> np.ndarray:
        """Score all days that have enough days before them.

        Parameters
        ----------
        values : ndarray of float32, shape (T, N, C)

        Returns
        -------
        ndarray of float64, shape (T, N)
            Row t depends on rows up to t only; NaN in the first days.
        """

    @abstractmethod
    def predict(self, windows: np.ndarray) -> np.ndarray:
        """Score the last day of each window.

        Parameters
        ----------
        windows : ndarray of float32, shape (B, reach, C)
            Inputs of the days up to the decision.

        Returns
        -------
        ndarray of float64, shape (B,)
            Expected rank of the next weekly return, in standard deviations of the ranks.
        """

    @abstractmethod
    def tensors(self) -> dict[str, torch.Tensor]:
        """Return the fitted state by name."""

    @abstractmethod
    def load(self, tensors: Tensors) -> Self:
        """Take over a stored state.

        Raises
        ------
        CorruptArtifactError
            If a name, shape or dtype is not this forecaster's, or a number is not finite.
        """

    def check(self, tensors: Tensors, expected: Tensors) -> None:
        """Refuse tensors that differ from the expected ones in name, shape or dtype, or are not finite."""
        for name in sorted(expected.keys() | tensors.keys()):
            have, want = tensors.get(name), expected.get(name)
            if have is None or want is None or have.shape != want.shape or have.dtype != want.dtype:
                raise CorruptArtifactError(
                    f"Tensor {name!r} of the {self.name} model is {_describe(have)}, not {_describe(want)}.",
                    todo="fit the forecaster again.",
                )
            if not bool(have.isfinite().all()):
                raise CorruptArtifactError(
                    f"Tensor {name!r} of the {self.name} model is not finite.", todo="fit the forecaster again."
                )

    def check_days(self, days: int) -> None:
        """Refuse fewer days than one chunk."""
        if days < self.config.chunk:
            raise NotEnoughDataError(
                f"{days} days of prices do not fill one chunk of {self.config.chunk} days.",
                todo="give the forecaster more history.",
            )


def no_targets() -> NotEnoughDataError:
    """Return the error of a fold without a target."""
    return NotEnoughDataError("There is no target to learn from.", todo="give the forecaster more history.")


def not_fitted() -> NotEnoughDataError:
    """Return the error of a forecaster that was neither fitted nor loaded."""
    return NotEnoughDataError("This forecaster is not fitted.", todo="call fit or load first.")


@contextlib.contextmanager
def reproducible(seed: int) -> Iterator[None]:
    """Run torch on one thread from a seed, and give threads and random state back as they were.

    One thread fixes the order of every sum, so equal seeds give equal bits; on few busy cores it is also the fastest.
    """
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


def _describe(tensor: torch.Tensor | None) -> str:
    return "absent" if tensor is None else f"{tuple(tensor.shape)} {tensor.dtype}"
