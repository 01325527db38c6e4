"""The state scaler: standardises signals and forecasts with statistics of the training weeks only.

It never touches weights. It belongs to the policy: training, evaluation and inference go through the same one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from allocator_pipeline.config import N_STOCKS, SIGNALS
from allocator_pipeline.errors import ConfigurationError, CorruptArtifactError, NotEnoughDataError
from allocator_pipeline.portfolio.state import Observation, StateTensors

N_FEATURES = len(SIGNALS) + 1


@dataclass(frozen=True)
class StateScaler:
    """Standardisation of the 8 features of a stock.

    Parameters
    ----------
    mean, scale : ndarray of float64, shape (8,) or (15, 8)
        Pooled over stocks, or by slot.
    clip : float
        Scaled features are kept within this many standard deviations (as SB3's VecNormalize does by default): ratios
        such as debt to equity have no bound of their own.
    """

    mean: np.ndarray
    scale: np.ndarray
    clip: float = 10.0

    def __post_init__(self) -> None:
        shapes = ((N_FEATURES,), (N_STOCKS, N_FEATURES))
        good = self.mean.shape in shapes and self.scale.shape == self.mean.shape
        if not good or not np.isfinite(self.mean).all() or not np.isfinite(self.scale).all() or self.scale.min() <= 0:
            raise CorruptArtifactError("The scaler's statistics are malformed.", todo="train the policy again.")

    @classmethod
    def fit(cls, states: StateTensors, per_slot: bool = False) -> StateScaler:
        """Fit on the training weeks.

        Parameters
        ----------
        states : StateTensors
            Training weeks only. Missing signals are left out of the statistics.
        per_slot : bool
            One set of statistics for each slot, which means something only where every slot keeps its symbol.

        Returns
        -------
        StateScaler

        Raises
        ------
        NotEnoughDataError
            If there are no weeks.
        ConfigurationError
            If ``per_slot`` is asked for while the universe changes.
        """
        if len(states) == 0:
            raise NotEnoughDataError("There are no weeks to fit the scaler on.", todo="give it training weeks.")
        if per_slot and (states.symbols != states.symbols[0]).any():
            raise ConfigurationError(
                "Per-slot statistics need one universe for all weeks.",
                todo="pool them, or use ALLOCATOR_UNIVERSE=fixed.",
            )
        axes = (0,) if per_slot else (0, 1)
        values = states.features
        seen = np.concatenate([~states.missing, np.ones((*states.missing.shape[:2], 1), dtype=bool)], axis=-1)
        count = np.maximum(seen.sum(axis=axes), 1)
        mean = np.where(seen, values, 0.0).sum(axis=axes) / count
        variance = np.where(seen, (values - mean) ** 2, 0.0).sum(axis=axes) / count
        scale = np.sqrt(variance)
        # A constant feature carries nothing: leave it at its distance from the mean instead of blowing rounding up.
        constant = scale <= 1e-12 + 1e-9 * np.abs(mean)
        return cls(mean, np.where(constant, 1.0, scale))

    def transform(self, features: np.ndarray, missing: np.ndarray) -> np.ndarray:
        """Scale features; what is missing becomes 0, the mean.

        Parameters
        ----------
        features : ndarray, shape (..., 15, 8)
            Unscaled signals and forecast.
        missing : ndarray of bool, shape (..., 15, 7)

        Returns
        -------
        ndarray of float64, shape (..., 15, 8)
        """
        scaled = np.clip((features - self.mean) / self.scale, -self.clip, self.clip)
        scaled[..., :-1][missing] = 0.0
        return scaled

    def vector(self, observation: Observation) -> np.ndarray:
        """Return the 136 numbers a network sees, float32: signals and forecasts scaled, weights as they are."""
        scaled = self.transform(observation.features, observation.missing)
        return np.concatenate([state_order(scaled), observation.weights], axis=-1).astype(np.float32)

    def to_dict(self) -> dict[str, Any]:
        """Return the scaler as JSON values."""
        return {"mean": self.mean.tolist(), "scale": self.scale.tolist(), "clip": self.clip}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> StateScaler:
        """Read back what `to_dict` gave.

        Raises
        ------
        CorruptArtifactError
            If it is anything else.
        """
        try:
            return cls(
                np.array(values["mean"], dtype=np.float64),
                np.array(values["scale"], dtype=np.float64),
                float(values["clip"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptArtifactError(f"This is not a scaler: {error}.", todo="train the policy again.") from error


def state_order(features: np.ndarray) -> np.ndarray:
    """Flatten features (..., 15, 8) to the state's order, shape (..., 120): signals by slot, then forecasts."""
    lead = features.shape[:-2]
    signals = features[..., :-1].reshape(*lead, N_STOCKS * len(SIGNALS))
    return np.concatenate([signals, features[..., -1]], axis=-1)
