"""The baselines every policy is held against, by name; those that need no optimiser are here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from allocator_pipeline.allocators.base import Allocator
from allocator_pipeline.allocators.history import DailyReturns
from allocator_pipeline.allocators.optimised import METHODS, Optimised
from allocator_pipeline.config import CostConfig
from allocator_pipeline.errors import ConfigurationError
from allocator_pipeline.portfolio.constraints import N_ASSETS, equal_weights, within_limits
from allocator_pipeline.portfolio.state import Observation

MONTH_DAYS = 21
WINNERS = 5
PLACEBO_SEED = 20_260_112


@dataclass(frozen=True)
class EqualWeight:
    """Equal weights of the 15 stocks beside the cash buffer, restored every week.

    Parameters
    ----------
    costs : CostConfig
    """

    costs: CostConfig

    def target_weights(self, observation: Observation) -> np.ndarray:
        """Return the weights, shape (16,), CASH last; they depend on nothing."""
        return equal_weights(self.costs)


@dataclass(frozen=True)
class BuyAndHold:
    """Equal weights bought out of cash, then left alone but for what cap and cash buffer force.

    Parameters
    ----------
    costs : CostConfig
    """

    costs: CostConfig

    def target_weights(self, observation: Observation) -> np.ndarray:
        """Return what is held, within the limits; equal weights where nothing is held but cash."""
        held = observation.weights
        return within_limits(held, self.costs) if held[:-1].any() else equal_weights(self.costs)


@dataclass(frozen=True)
class Momentum:
    """The five stocks that rose most over a year without its last month (Jegadeesh and Titman 1993), equally weighted.

    Parameters
    ----------
    history : DailyReturns
    costs : CostConfig
    """

    history: DailyReturns
    costs: CostConfig

    def target_weights(self, observation: Observation) -> np.ndarray:
        """Return the weights, shape (16,); of equal stocks the one in the lower slot comes first.

        Raises
        ------
        NotEnoughDataError, MarketDataError
            As `DailyReturns.before`.
        """
        growth = np.prod(1.0 + self.history.before(observation)[:-MONTH_DAYS], axis=0)
        shares = np.zeros(N_ASSETS)
        shares[np.argsort(-growth, kind="stable")[:WINNERS]] = 1.0 / WINNERS
        return within_limits(shares, self.costs)


@dataclass(frozen=True)
class RandomPortfolio:
    """The placebo: each week another point, drawn uniformly from all portfolios of the 15 stocks and cash.

    The draw depends on nothing but a fixed seed and the week; cap and buffer are enforced afterwards.

    Parameters
    ----------
    costs : CostConfig
    """

    costs: CostConfig

    def target_weights(self, observation: Observation) -> np.ndarray:
        """Return the week's weights, shape (16,)."""
        day = int(observation.week.astype("datetime64[D]").astype(np.int64))
        draws = np.random.default_rng([PLACEBO_SEED, day]).standard_exponential(N_ASSETS)
        return within_limits(draws / draws.sum(), self.costs)  # uniform on the simplex (Devroye 1986)


def baseline(name: str, prices: pd.DataFrame, costs: CostConfig) -> Allocator:
    """Return a baseline by its name.

    Parameters
    ----------
    name : str
        One of `config.BASELINES`.
    prices : DataFrame
        Daily bars (`schemas.PRICES`) that reach back a year before the first decision.
    costs : CostConfig

    Raises
    ------
    ConfigurationError
        If there is no such baseline.
    """
    if name in METHODS:
        return Optimised(name, DailyReturns(prices), costs)
    if name == "momentum":
        return Momentum(DailyReturns(prices), costs)
    simple: dict[str, Callable[[CostConfig], Allocator]] = {
        "equal_weight": EqualWeight,
        "buy_and_hold": BuyAndHold,
        "random": RandomPortfolio,
    }
    if name not in simple:
        raise ConfigurationError(f"There is no baseline {name!r}.", todo="ask for one of config.BASELINES.")
    return simple[name](costs)
