"""The part the networks share: dense causal training, prediction, and weights as tensors.

A causal network is run once along a chunk of days of all stocks and read at every step after a burn-in, so that no
window of context is computed twice.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import nn

from allocator_pipeline.errors import CorruptArtifactError, NotEnoughDataError
from allocator_pipeline.forecasters.inputs import CONTEXT


@dataclass(frozen=True)
class ForecasterConfig:
    """Hyperparameters of training; each network adds its own."""

    chunk: int = 120
    """Days a network is run along at once, in training and in prediction."""
    stride: int = 1
    """Days between two outputs of the network: the days in a token."""
    chunks_per_step: int = 1
    """Chunks of all stocks in one optimiser step."""
    epochs: int = 6
    """Passes over the fold; each reads every day's target once."""
    learning_rate: float = 6e-3
    """Peak of the one-cycle schedule (Smith & Topin 2018)."""
    weight_decay: float = 1e-3
    """Decoupled weight decay (AdamW) of the weight matrices."""
    gradient_clip: float = 1.0
    """Largest norm of a gradient."""


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


@dataclass
class Forecaster(ABC):
    """A network that scores where a stock's next weekly return will rank.

    Parameters
    ----------
    config : ForecasterConfig

    Attributes
    ----------
    network_ : torch.nn.Module
        Maps inputs of shape (B, chunk) to scores of shape (B, chunk / stride); set by `fit` and `load`.
    losses_ : list of float
        Mean loss of each epoch.
    """

    config: Any
    network_: nn.Module | None = field(default=None, init=False)
    losses_: list[float] = field(default_factory=list, init=False)

    name: ClassVar[str]
    config_type: ClassVar[type[ForecasterConfig]]
    channels: ClassVar[tuple[str, ...]] = ("relative_return",)

    @abstractmethod
    def build(self) -> nn.Module:
        """Return a fresh network."""

    def fit(
        self,
        relative: np.ndarray,
        targets: np.ndarray,
        seed: int = 0,
        progress: Callable[[str], None] | None = None,
    ) -> Self:
        """Train from a cold start.

        Parameters
        ----------
        relative : ndarray of float32, shape (T, N)
            Inputs, finite.
        targets : ndarray of float, shape (T, N)
            Targets; NaN where there is nothing to learn from.
        seed : int
            Seed of initial weights, order and dropout.
        progress : callable, optional
            Called with one line an epoch.

        Returns
        -------
        Forecaster
            Itself.

        Raises
        ------
        NotEnoughDataError
            If the days do not fill one chunk, or no day that a chunk reads has a target.
        """
        config = self.config
        starts = self._starts(len(relative))
        windows = torch.from_numpy(relative).unfold(0, config.chunk, 1)  # (days - chunk + 1, N, chunk), a view
        wanted = torch.from_numpy(targets.astype(np.float32)).unfold(0, config.chunk, 1)[..., self._read]
        starts = starts[wanted[starts].isfinite().flatten(1).any(dim=1)]
        if not len(starts):
            raise NotEnoughDataError("There is no target to learn from.", todo="give the forecaster more history.")
        with reproducible(seed):
            self.network_ = network = self.build().train()
            steps = -(-len(starts) // config.chunks_per_step) * config.epochs
            optimiser = torch.optim.AdamW(self._groups(network), lr=config.learning_rate, fused=True)
            schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.learning_rate, total_steps=steps)
            self.losses_ = []
            for epoch in range(config.epochs):
                order = starts[torch.randperm(len(starts))]
                loss = self._epoch(network, windows, wanted, order, optimiser, schedule)
                self.losses_.append(loss)
                if progress is not None:
                    progress(f"{self.name}: epoch {epoch + 1}/{config.epochs}, loss {loss:.4f}")
            network.eval()
        return self

    def _epoch(
        self,
        network: nn.Module,
        windows: torch.Tensor,
        wanted: torch.Tensor,
        order: torch.Tensor,
        optimiser: torch.optim.Optimizer,
        schedule: torch.optim.lr_scheduler.LRScheduler,
    ) -> float:
        total, count = 0.0, 0
        for batch in order.split(self.config.chunks_per_step):
            target = wanted[batch].flatten(0, 1)
            known = ~target.isnan()
            error = network(windows[batch].flatten(0, 1))[:, self._emitted] - target
            known_count = int(known.sum())
            loss = torch.where(known, error, 0.0).square().sum() / max(known_count, 1)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), self.config.gradient_clip)
            optimiser.step()
            schedule.step()
            total, count = total + float(loss.detach()) * known_count, count + known_count
        return total / max(count, 1)

    def _groups(self, network: nn.Module) -> list[dict[str, Any]]:
        """Weight decay pulls matrices to zero; biases, norms and learned positions are left alone."""
        free = [p for name, p in network.named_parameters() if p.ndim < 2 or name.endswith("position")]
        decayed = [p for name, p in network.named_parameters() if not (p.ndim < 2 or name.endswith("position"))]
        return [
            {"params": decayed, "weight_decay": self.config.weight_decay},
            {"params": free, "weight_decay": 0.0},
        ]

    @property
    def _emitted(self) -> slice:
        """Outputs that are read: those with `CONTEXT` days behind them."""
        return slice(CONTEXT // self.config.stride, None)

    @property
    def _read(self) -> slice:
        """The days of a chunk those outputs speak about."""
        return slice(CONTEXT + self.config.stride - 1, None, self.config.stride)

    def _starts(self, days: int) -> torch.Tensor:
        """First days of chunks that read every day once: counted back from the last day, in every phase of a token."""
        config = self.config
        last = days - config.chunk
        if last < 0:
            raise NotEnoughDataError(
                f"{days} days of prices do not fill one chunk of {config.chunk} days.",
                todo="give the forecaster more history.",
            )
        phases = [np.arange(last - phase, -1, CONTEXT - config.chunk) for phase in range(config.stride)]
        return torch.from_numpy(np.sort(np.concatenate(phases)))

    def scores(self, relative: np.ndarray) -> np.ndarray:
        """Score all days that a chunk reads, the way training does.

        Parameters
        ----------
        relative : ndarray of float32, shape (T, N)

        Returns
        -------
        ndarray of float64, shape (T, N)
            Row t depends on rows up to t only; NaN in the first days, which have no context.
        """
        network = self._fitted()
        days, stocks = relative.shape
        result = np.full((days, stocks), np.nan)
        windows = torch.from_numpy(relative).unfold(0, self.config.chunk, 1)
        rows = np.arange(self.config.chunk)[self._read]
        with reproducible(0), torch.inference_mode():
            for start in self._starts(days).tolist():
                result[start + rows] = network(windows[start])[:, self._emitted].T.numpy()
        return result

    def predict(self, windows: np.ndarray) -> np.ndarray:
        """Score the last day of each window.

        Parameters
        ----------
        windows : ndarray of float32, shape (B, chunk)
            Inputs of the days up to the decision.

        Returns
        -------
        ndarray of float64, shape (B,)
            Expected rank of the next weekly return, in standard deviations of the ranks.
        """
        network = self._fitted()
        with reproducible(0), torch.inference_mode():
            return network(torch.from_numpy(np.ascontiguousarray(windows)))[:, -1].numpy().astype(np.float64)

    def _fitted(self) -> nn.Module:
        if self.network_ is None:
            raise NotEnoughDataError("This forecaster is not fitted.", todo="call fit or load first.")
        return self.network_

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return the fitted weights by name."""
        return {name: value.detach().contiguous() for name, value in self._fitted().state_dict().items()}

    def load(self, tensors: Mapping[str, torch.Tensor]) -> Self:
        """Take over stored weights.

        Raises
        ------
        CorruptArtifactError
            If a name, shape or dtype is not this network's, or a weight is not finite.
        """
        with torch.device("meta"):  # shapes without memory: a forged size costs nothing
            expected = self.build().state_dict()
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
        with reproducible(0):
            network = self.build().eval()
        network.load_state_dict(dict(tensors))
        self.network_ = network
        return self


def _describe(tensor: torch.Tensor | None) -> str:
    return "absent" if tensor is None else f"{tuple(tensor.shape)} {tensor.dtype}"
