"""The part the networks share: dense causal training, prediction, and weights as tensors.

A causal network is run once along a chunk of days of all stocks and read at every step after a burn-in, so that no
window of context is computed twice.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from itertools import pairwise
from typing import ClassVar, Self

import numpy as np
import torch
from torch import nn

from allocator_pipeline.forecasters.base import (
    Forecaster,
    ForecasterConfig,
    Progress,
    Tensors,
    no_targets,
    not_fitted,
    reproducible,
)
from allocator_pipeline.forecasters.descent import Descent
from allocator_pipeline.forecasters.inputs import CONTEXT

STOCKS_AT_ONCE = 50
"""Stocks that the network is run over together: a step over more is taken in parts.

What a network keeps for the way back grows with the stocks; so much stays near the processor's caches.
"""


@dataclass(frozen=True)
class NetworkConfig(ForecasterConfig):
    """Hyperparameters of training; each network adds its own."""

    stride: int = 1
    """Days between two outputs of the network: the days in a token."""
    chunks_per_step: int = 1
    """Chunks of all stocks in one optimiser step."""
    epochs: int = 6
    """Passes over the fold from a cold start; each reads every day's target once."""
    warm_epochs: int = 2
    """The same from the weights of the year before."""
    learning_rate: float = 6e-3
    """Peak of the one-cycle schedule (Smith & Topin 2018)."""
    weight_decay: float = 1e-3
    """Decoupled weight decay (AdamW) of the weight matrices."""
    gradient_clip: float = 1.0
    """Largest norm of a gradient."""


def parts(stocks: int) -> list[slice]:
    """Split stocks into the fewest parts of at most `STOCKS_AT_ONCE`, as equal as can be."""
    count = -(-stocks // STOCKS_AT_ONCE)
    return [slice(first, last) for first, last in pairwise(stocks * edge // count for edge in range(count + 1))]


@dataclass
class NetworkForecaster(Forecaster):
    """A network that is trained and read densely.

    Attributes
    ----------
    network_ : torch.nn.Module
        Maps inputs of shape (B, C, chunk) to scores of shape (B, chunk / stride), or to fewer if told how many of the
        first to skip; set by `fit` and `load`.
    """

    network_: nn.Module | None = field(default=None, init=False)

    warm: ClassVar[bool] = True

    @abstractmethod
    def build(self) -> nn.Module:
        """Return a fresh network."""

    def fit(
        self,
        values: np.ndarray,
        targets: np.ndarray,
        seed: int = 0,
        progress: Progress | None = None,
        start: Tensors | None = None,
    ) -> Self:
        """Train, with the epochs of a cold or of a warm start."""
        config = self.config
        starts = self._starts(len(values))
        windows = self._windows(values)
        wanted = torch.from_numpy(targets.astype(np.float32)).unfold(0, config.chunk, 1)[..., self._read]
        starts = starts[wanted[starts].isfinite().flatten(1).any(dim=1)]
        if not len(starts):
            raise no_targets()
        epochs = config.epochs if start is None else config.warm_epochs
        with reproducible(seed):
            network = (self.build() if start is None else self.load(start)._fitted()).train()
            steps = -(-len(starts) // config.chunks_per_step) * epochs
            descent = Descent(network, steps, config.learning_rate, config.weight_decay, config.gradient_clip)
            self.losses_ = []
            for epoch in range(epochs):
                order = starts[torch.randperm(len(starts))]
                loss = self._epoch(network, windows, wanted, order, descent)
                self.losses_.append(loss)
                if progress is not None:
                    progress(f"{self.name}: epoch {epoch + 1}/{epochs}, loss {loss:.4f}")
            self.network_ = network.eval()
        return self

    def _epoch(
        self,
        network: nn.Module,
        windows: torch.Tensor,
        wanted: torch.Tensor,
        order: torch.Tensor,
        descent: Descent,
    ) -> float:
        total, count = 0.0, 0
        for batch in order.split(self.config.chunks_per_step):
            targets = wanted[batch]
            known_count = int(targets.isfinite().sum())
            for part in parts(windows.shape[1]):
                target = targets[:, part].flatten(0, 1)
                error = network(windows[:, part][batch].flatten(0, 1), self._unread) - target
                loss = torch.where(target.isnan(), 0.0, error).square().sum() / max(known_count, 1)
                descent.add(loss)
                total += float(loss.detach()) * known_count
            descent.step()
            count += known_count
        return total / max(count, 1)

    @property
    def _unread(self) -> int:
        """Outputs at the start of a chunk that have fewer than `CONTEXT` days behind them."""
        return CONTEXT // self.config.stride

    @property
    def _read(self) -> slice:
        """The days of a chunk those outputs speak about."""
        return slice(CONTEXT + self.config.stride - 1, None, self.config.stride)

    def _windows(self, values: np.ndarray) -> torch.Tensor:
        """All chunks of (T, N, C) as a view of shape (T - chunk + 1, N, C, chunk); nothing is copied."""
        return torch.from_numpy(values).unfold(0, self.config.chunk, 1)

    def _starts(self, days: int) -> torch.Tensor:
        """First days of chunks that read every day once: counted back from the last day, in every phase of a token."""
        config = self.config
        self.check_days(days)
        last = days - config.chunk
        phases = [np.arange(last - phase, -1, CONTEXT - config.chunk) for phase in range(config.stride)]
        return torch.from_numpy(np.sort(np.concatenate(phases)))

    def scores(self, values: np.ndarray) -> np.ndarray:
        """Score all days that a chunk reads, the way training does."""
        network = self._fitted()
        result = np.full(values.shape[:2], np.nan)
        windows = self._windows(values)
        rows = np.arange(self.config.chunk)[self._read]
        stock_parts = parts(values.shape[1])
        with reproducible(0), torch.inference_mode():
            for start in self._starts(len(values)).tolist():
                for part in stock_parts:
                    result[start + rows, part] = network(windows[start, part], self._unread).T.numpy()
        return result

    def predict(self, windows: np.ndarray) -> np.ndarray:
        """Score the last day of each window."""
        network = self._fitted()
        with reproducible(0), torch.inference_mode():
            series = torch.from_numpy(np.ascontiguousarray(windows.transpose(0, 2, 1)))
            last = windows.shape[1] // self.config.stride - 1
            return network(series, last)[:, 0].numpy().astype(np.float64)

    def _fitted(self) -> nn.Module:
        if self.network_ is None:
            raise not_fitted()
        return self.network_

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return the fitted weights by name."""
        return {name: value.detach().clone() for name, value in self._fitted().state_dict().items()}

    def load(self, tensors: Tensors) -> Self:
        """Take over stored weights."""
        with torch.device("meta"):  # shapes without memory: a forged size costs nothing
            self.check(tensors, self.build().state_dict())
        with reproducible(0):
            network = self.build().eval()
        network.load_state_dict(dict(tensors))
        self.network_ = network
        return self
