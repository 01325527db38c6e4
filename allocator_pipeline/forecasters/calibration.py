"""From scores to a distribution of the weekly return, fitted on the training fold alone.

The expected return is linear in the score. The quantiles are those of past returns in units of the volatility known at
their decision, pooled over stocks and days, times the volatility of today, as in filtered historical simulation
(Barone-Adesi, Giannopoulos & Vosper, 1999).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from allocator_pipeline.config import QUANTILES
from allocator_pipeline.forecasters import inputs
from allocator_pipeline.forecasters.fold import Fold


@dataclass(frozen=True)
class Calibration:
    """The map from scores to returns.

    Parameters
    ----------
    intercept : float
        Pooled mean weekly log return of the fold.
    slope : float
        Multiplies weekly volatility times score.
    quantiles : tuple of float
        Of weekly log returns in units of weekly volatility, at the levels of `config.QUANTILES`.
    """

    intercept: float
    slope: float
    quantiles: tuple[float, ...]

    @classmethod
    def fit(cls, scores: np.ndarray, fold: Fold) -> Self:
        """Fit all of it on a fold.

        The slope is that of least squares, with both sides relative to the day's cross-section, so that the market's
        own moves do not blur it.

        Parameters
        ----------
        scores : ndarray of float64, shape (T, N)
            In-sample scores; NaN where there are none.
        fold : Fold
        """
        weekly = fold.inputs.sigma
        unit = scores * weekly
        both = np.isfinite(unit) & np.isfinite(fold.returns)
        explained, _ = inputs.demean(np.where(both, unit, np.nan))
        wanted, _ = inputs.demean(np.where(both, fold.returns, np.nan))
        power = float((explained**2).sum())
        scaled = (fold.returns / np.where(weekly > 0, weekly, np.nan))[np.isfinite(fold.returns)]
        return cls(
            intercept=float(fold.returns[both].mean()),
            slope=float((explained * wanted).sum() / power) if power > 0 else 0.0,
            quantiles=tuple(np.nanquantile(scaled, list(QUANTILES.values())).tolist()),
        )

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Read back what `to_json` gave.

        Raises
        ------
        ValueError
            If a number is not finite, or a quantile is missing or falls.
        """
        found = cls(float(values["intercept"]), float(values["slope"]), tuple(map(float, values["quantiles"])))
        if not np.isfinite([found.intercept, found.slope, *found.quantiles]).all():
            raise ValueError("its calibration is not finite")
        if len(found.quantiles) != len(QUANTILES) or list(found.quantiles) != sorted(found.quantiles):
            raise ValueError("its quantiles are not those of a distribution")
        return found

    def to_json(self) -> dict[str, Any]:
        """Return the numbers as JSON values."""
        return asdict(self) | {"quantiles": list(self.quantiles)}

    def expected(self, scores: np.ndarray, sigma: np.ndarray) -> np.ndarray:
        """Return expected weekly log returns from scores and weekly volatilities, each of shape (...)."""
        return self.intercept + self.slope * sigma * scores

    def spread(self, sigma: np.ndarray) -> np.ndarray:
        """Return the quantiles of weekly log returns, shape (..., 7), from weekly volatilities of shape (...)."""
        return sigma[..., None] * np.array(self.quantiles)
