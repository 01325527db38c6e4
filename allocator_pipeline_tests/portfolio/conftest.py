"""A small random market whose universe changes, and an independent account in dollars."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from allocator_pipeline.config import CASH, N_STOCKS, SIGNALS, CostConfig
from allocator_pipeline.portfolio.scaler import StateScaler
from allocator_pipeline.portfolio.state import StateTensors


def make_states(weeks: int = 120, seed: int = 0, *, changing: bool = True) -> StateTensors:
    """Return successive random weeks; if changing, symbols leave, join and change slots every 20 weeks."""
    rng = np.random.default_rng(seed)
    symbols = np.tile([f"S{slot:02d}" for slot in range(N_STOCKS)], (weeks, 1))
    for first in range(20, weeks, 20) if changing else ():
        joiner = rng.integers(N_STOCKS)
        symbols[first:, joiner] = f"J{first:03d}"
        swapped = rng.choice(N_STOCKS, 2, replace=False)
        symbols[first:, swapped] = symbols[first:, swapped[::-1]]
    shape = (weeks, N_STOCKS)
    missing = rng.random((*shape, len(SIGNALS))) < 0.1
    return StateTensors(
        weeks=np.datetime64("2010-01-04") + 7 * np.arange(weeks),
        symbols=symbols,
        signals=np.where(missing, 0.0, rng.normal(size=missing.shape)),
        missing=missing,
        forecasts=rng.normal(0.0, 0.01, shape),
        returns=np.exp(rng.normal(0.0, 0.05, shape)) - 1.0,
        marks=np.exp(rng.normal(0.0, 0.05, shape)) - 1.0,
    )


class DollarAccount:
    """One million dollars held by symbol: knows nothing of slots, weights after drift or multipliers."""

    def __init__(self, costs: CostConfig) -> None:
        self.costs, self.dollars, self.first = costs, {CASH: 1e6}, 1e6

    @property
    def growth(self) -> float:
        return sum(self.dollars.values()) / self.first

    def live(self, target: np.ndarray, symbols: np.ndarray, returns: np.ndarray) -> None:
        """Trade to the target weights, pay for what was traded, and let the positions grow."""
        names = [*symbols, CASH]
        wealth = sum(self.dollars.values())
        wanted = {name: wealth * weight for name, weight in zip(names, target, strict=True)}
        every = set(wanted) | set(self.dollars)
        traded = sum(abs(wanted.get(name, 0.0) - self.dollars.get(name, 0.0)) for name in every) / 2
        fee = traded * self.costs.cost_bps / 10_000
        bought = {name: (wealth - fee) * weight for name, weight in zip(names, target, strict=True)}
        grown = dict(zip(symbols, returns, strict=True))
        self.dollars = {name: amount * (1.0 + grown.get(name, 0.0)) for name, amount in bought.items()}


@pytest.fixture
def account() -> Callable[[], DollarAccount]:
    return lambda: DollarAccount(CostConfig())


@pytest.fixture
def states() -> StateTensors:
    return make_states()


@pytest.fixture
def scaler(states: StateTensors) -> StateScaler:
    return StateScaler.fit(states)


@pytest.fixture
def costs() -> CostConfig:
    return CostConfig()
