"""What a policy earns when its forecasts are someone else's: each week's are shuffled among the stocks.

The shuffle keeps the forecasts' level and spread of every week and destroys only which stock they speak of. A policy
that earns as much with them does not earn by its forecasts.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from allocator_pipeline.portfolio.state import StateTensors

DRAWS = 20
SEED = 20_260_101


def shuffled_forecasts(states: StateTensors, draw: int, seed: int = SEED) -> StateTensors:
    """Return the same weeks with each week's forecasts permuted at random among its 15 stocks."""
    forecasts = np.random.default_rng([seed, draw]).permuted(states.forecasts, axis=1)
    return dataclasses.replace(states, forecasts=forecasts)
