"""Random state tensors: speed does not depend on what the numbers say."""

from __future__ import annotations

import numpy as np

from allocator_pipeline.config import N_STOCKS, SIGNALS
from allocator_pipeline.portfolio.state import StateTensors


def random_states(weeks: int = 1040, seed: int = 0) -> StateTensors:
    """Return successive weeks in which one slot changes its symbol each year."""
    rng = np.random.default_rng(seed)
    symbols = np.tile([f"S{slot:02d}" for slot in range(N_STOCKS)], (weeks, 1))
    for first in range(52, weeks, 52):
        symbols[first:, (first // 52) % N_STOCKS] = f"J{first // 52:02d}"
    shape = (weeks, N_STOCKS)
    missing = rng.random((*shape, len(SIGNALS))) < 0.1
    return StateTensors(
        weeks=np.datetime64("2000-01-03") + 7 * np.arange(weeks),
        symbols=symbols,
        signals=np.where(missing, 0.0, rng.normal(size=missing.shape)),
        missing=missing,
        forecasts=rng.normal(0.0, 0.01, shape),
        returns=rng.normal(0.002, 0.03, shape),
        marks=rng.normal(0.002, 0.03, shape),
    )
