"""What a policy responds to: how far its weights move when a feature, or a stock, is given another's numbers.

The permutation measure of Breiman (2001), Random forests, Machine Learning 45, with the change of the decision in place
of the loss: it says what the policy looks at, not whether that is right.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from allocator_pipeline.config import N_STOCKS, SIGNALS
from allocator_pipeline.portfolio.costs import turnover
from allocator_pipeline.portfolio.state import Observation

if TYPE_CHECKING:
    from allocator_pipeline.allocators.policy import Policy

FEATURES = (*SIGNALS, "forecast")
DRAWS = 8
SEED = 20_260_102


def stack(seen: Sequence[Observation]) -> Observation:
    """Join observations of one universe into one of many portfolios; week and symbols are the last one's."""
    arrays = {name: np.stack([getattr(one, name) for one in seen]) for name in ("features", "missing", "weights")}
    return Observation(seen[-1].week, seen[-1].symbols, **arrays)


def permutation_response(
    policy: Policy, seen: Observation, draws: int = DRAWS, seed: int = SEED
) -> dict[str, dict[str, float]]:
    """Measure how far target weights move when features lose their stock.

    Parameters
    ----------
    policy : Policy
        As it decides, shrinkage included: pass `Policy.unshrunk` to see all of the tilt.
    seen : Observation
        Of N portfolios; what they hold stays as it is.
    draws : int
        Permutations for each feature and each stock.
    seed : int
        Equal seeds give equal results.

    Returns
    -------
    dict
        ``features`` (name -> change when that feature is permuted among the 15 stocks of each observation) and
        ``stocks`` (symbol -> change when that stock shows the eight features of another one, drawn at random). Both are
        means of the one-way change of the weights, ``0.5 * sum |difference|``, a fraction of wealth.
    """
    before = policy.target_weights(seen)

    def change(altered: Iterator[Observation]) -> float:
        return float(np.mean([turnover(policy.target_weights(one), before, 0.0) for one in altered]))

    rng = np.random.default_rng(seed)
    return {
        "features": {
            name: change(_feature_permuted(seen, column, rng) for _ in range(draws))
            for column, name in enumerate(FEATURES)
        },
        "stocks": {
            str(symbol): change(_stock_replaced(seen, slot, rng) for _ in range(draws))
            for slot, symbol in enumerate(seen.symbols)
        },
    }


def _feature_permuted(seen: Observation, column: int, rng: np.random.Generator) -> Observation:
    orders = rng.permuted(np.tile(np.arange(N_STOCKS), (len(seen.features), 1)), axis=1)
    features, missing = seen.features.copy(), seen.missing.copy()
    features[..., column] = np.take_along_axis(features[..., column], orders, axis=1)
    if column < len(SIGNALS):
        missing[..., column] = np.take_along_axis(missing[..., column], orders, axis=1)
    return dataclasses.replace(seen, features=features, missing=missing)


def _stock_replaced(seen: Observation, slot: int, rng: np.random.Generator) -> Observation:
    rows = np.arange(len(seen.features))
    other = (slot + rng.integers(1, N_STOCKS, len(rows))) % N_STOCKS
    features, missing = seen.features.copy(), seen.missing.copy()
    features[:, slot], missing[:, slot] = features[rows, other], missing[rows, other]
    return dataclasses.replace(seen, features=features, missing=missing)
