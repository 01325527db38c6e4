"""Ridge forecaster: the linear opponent that a network has to beat.

Hoerl & Kennard (1970), "Ridge Regression: Biased Estimation for Nonorthogonal Problems", Technometrics 12(1), in closed
form. It reads the same inputs as the networks: of each daily channel, sums over blocks of lags that grow with their
age; the slow channels as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar, Self

import numpy as np
import torch

from allocator_pipeline.forecasters.base import (
    Forecaster,
    ForecasterConfig,
    Progress,
    Tensors,
    no_targets,
    not_fitted,
    reproducible,
)
from allocator_pipeline.forecasters.channels import daily_first
from allocator_pipeline.forecasters.inputs import CONTEXT


@dataclass(frozen=True)
class RidgeConfig(ForecasterConfig):
    """Hyperparameters, chosen on the planted control."""

    chunk: int = CONTEXT
    """Days it reads at once: the oldest lag."""
    blocks: tuple[int, ...] = (1, 2, 3, 5, 10, 15, 20, 30, 40, 60)
    """Where blocks of lags end, in days: the last day, the one before, and so on."""
    penalty: float = 0.1
    """Weight of the squared coefficients, for each target."""
    days_per_step: int = 64
    """Days whose features are held at once; only memory depends on it."""


@dataclass
class RidgeForecaster(Forecaster):
    """Scores by a linear function of lags.

    Attributes
    ----------
    coefficients_ : Tensor of float64, shape (F,)
        Blocks of each daily channel, then the slow channels; set by `fit` and `load`.
    """

    coefficients_: torch.Tensor | None = field(default=None, init=False)

    name: ClassVar[str] = "ridge"
    config_type: ClassVar[type[ForecasterConfig]] = RidgeConfig
    wanted: ClassVar[tuple[str, ...]] = ("return", "volume", "return_20", "return_60", "return_252", "volume_20")
    warm: ClassVar[bool] = False

    def fit(
        self,
        values: np.ndarray,
        targets: np.ndarray,
        seed: int = 0,
        progress: Progress | None = None,
        start: Tensors | None = None,
    ) -> Self:
        """Solve the normal equations; neither seed nor start matters."""
        self.check_days(len(values))
        wanted = torch.from_numpy(targets.astype(np.float64))
        products: torch.Tensor | float = 0.0
        moments: torch.Tensor | float = 0.0
        count, power = 0, 0.0
        with reproducible(seed):
            for rows, features in self._features(values):
                target = wanted[rows]
                known = ~target.isnan()
                x, y = features[known], target[known]
                products, moments = products + x.T @ x, moments + x.T @ y
                count, power = count + len(y), power + float(y @ y)
            if not count:
                raise no_targets()
            assert isinstance(products, torch.Tensor) and isinstance(moments, torch.Tensor)  # noqa: S101, PT018 (mypy)
            penalised = products + self.config.penalty * count * torch.eye(len(products), dtype=torch.float64)
            self.coefficients_ = found = torch.linalg.solve(penalised, moments)
            self.losses_ = [float(power - 2 * found @ moments + found @ products @ found) / count]
        if progress is not None:
            progress(f"{self.name}: solved, loss {self.losses_[0]:.4f}")
        return self

    def _features(self, values: np.ndarray) -> Iterator[tuple[slice, torch.Tensor]]:
        """Yield rows and their features, (days, N, F), some days at a time."""
        windows = torch.from_numpy(values).unfold(0, CONTEXT, 1)  # (T - CONTEXT + 1, N, C, CONTEXT), a view
        step = self.config.days_per_step
        for first in range(0, len(windows), step):
            part = windows[first : first + step]
            last = first + CONTEXT - 1
            yield slice(last, last + len(part)), self._lagged(part)

    def _lagged(self, windows: torch.Tensor) -> torch.Tensor:
        """Map windows (..., C, CONTEXT) to features (..., F)."""
        daily, slow = daily_first(self.config.channels)
        blocks = windows[..., daily, :].double() @ self._blocks()
        return torch.cat([blocks.flatten(-2), windows[..., slow, -1].double()], dim=-1)

    def _blocks(self) -> torch.Tensor:
        """Return the matrix (CONTEXT, blocks) that adds lags up, each block by the root of its length."""
        matrix = torch.zeros(CONTEXT, len(self.config.blocks), dtype=torch.float64)
        begins = (0, *self.config.blocks[:-1])
        for at, (begin, end) in enumerate(zip(begins, self.config.blocks, strict=True)):
            matrix[CONTEXT - end : CONTEXT - begin, at] = (end - begin) ** -0.5
        return matrix

    def scores(self, values: np.ndarray) -> np.ndarray:
        """Score all days with `CONTEXT` days behind them."""
        self.check_days(len(values))
        result = np.full(values.shape[:2], np.nan)
        with reproducible(0):
            for rows, features in self._features(values):
                result[rows] = (features @ self._fitted()).numpy()
        return result

    def predict(self, windows: np.ndarray) -> np.ndarray:
        """Score the last day of each window."""
        with reproducible(0):
            series = torch.from_numpy(np.ascontiguousarray(windows[:, -CONTEXT:].transpose(0, 2, 1)))
            return (self._lagged(series) @ self._fitted()).numpy()

    def _fitted(self) -> torch.Tensor:
        if self.coefficients_ is None:
            raise not_fitted()
        return self.coefficients_

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return the coefficients."""
        return {"coefficients": self._fitted()}

    def load(self, tensors: Tensors) -> Self:
        """Take over stored coefficients."""
        daily, slow = daily_first(self.config.channels)
        size = len(daily) * len(self.config.blocks) + len(slow)
        with torch.device("meta"):
            self.check(tensors, {"coefficients": torch.empty(size, dtype=torch.float64)})
        self.coefficients_ = tensors["coefficients"]
        return self
