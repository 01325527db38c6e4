"""The baselines every policy is held against: equal weight, and hierarchical risk parity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from allocator_pipeline.atomic import sha256
from allocator_pipeline.config import CostConfig
from allocator_pipeline.errors import MarketDataError, NotEnoughDataError
from allocator_pipeline.market import calendar
from allocator_pipeline.portfolio.constraints import check_weights, equal_weights
from allocator_pipeline.portfolio.state import Observation

HRP_DAYS, HRP_MIN_DAYS = 252, 60


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


class HierarchicalRiskParity:
    """Hierarchical risk parity (López de Prado 2016) on a year of daily returns, as skfolio computes it.

    Distance ``sqrt((1 - rho) / 2)``, order of the dendrogram, recursive bisection by inverse variance. The cap is
    enforced at every bisection; what is invested is all but the cash buffer.

    Parameters
    ----------
    prices : DataFrame
        Daily bars (`schemas.PRICES`) that reach back a year before the first decision.
    costs : CostConfig
    """

    def __init__(self, prices: pd.DataFrame, costs: CostConfig) -> None:
        self.costs = costs
        closes = prices.pivot(index="date", columns="symbol", values="adj_close").sort_index()
        self._sessions = closes.index
        self._column = {str(symbol): i for i, symbol in enumerate(closes.columns)}
        self._closes = closes.to_numpy(dtype=np.float64)

    def target_weights(self, observation: Observation) -> np.ndarray:
        """Return the weights of the observation's symbols, from closes up to its decision session.

        Returns
        -------
        ndarray of float64, shape (16,)

        Raises
        ------
        NotEnoughDataError
            If fewer than 60 of the last 252 sessions have returns of all symbols.
        MarketDataError
            If a price never moved: it has no risk to share.
        """
        returns = self._daily_returns(observation)
        invested = 1.0 - self.costs.cash_buffer
        cap = self.costs.max_position_weight
        weights = np.empty(len(observation.symbols) + 1)
        weights[:-1] = np.minimum(invested * _hrp(returns, min(cap / invested, 1.0)), cap)
        weights[-1] = max(1.0 - weights[:-1].sum(), self.costs.cash_buffer)
        return check_weights(weights, self.costs)

    def _daily_returns(self, observation: Observation) -> np.ndarray:
        """Return complete rows of daily returns, shape (60 to 252, 15), none later than the decision session."""
        week = str(observation.week)
        symbols = [str(symbol) for symbol in observation.symbols]
        unknown = [symbol for symbol in symbols if symbol not in self._column]
        if unknown:
            raise NotEnoughDataError(
                "There are no prices of this symbol.", todo="materialise its prices.", symbol=unknown[0], week=week
            )
        decision = calendar.week(pd.Timestamp(observation.week))["decision_session"]
        end = int(self._sessions.searchsorted(decision, side="right"))
        closes = self._closes[max(end - HRP_DAYS - 1, 0) : end][:, [self._column[symbol] for symbol in symbols]]
        returns = closes[1:] / closes[:-1] - 1.0
        known = np.isfinite(returns)
        complete = returns[known.all(axis=1)]
        if len(complete) < HRP_MIN_DAYS:
            raise NotEnoughDataError(
                f"Hierarchical risk parity needs {HRP_MIN_DAYS} daily returns, there are {len(complete)}.",
                todo="materialise prices of the year before, or start later.",
                symbol=symbols[int(known.sum(axis=0).argmin())],
                week=week,
            )
        still = complete.std(axis=0) == 0
        if still.any():
            raise MarketDataError(
                "The price has not moved for a year.",
                todo="look at its source.",
                symbol=symbols[int(still.argmax())],
                week=week,
            )
        return complete


_WEIGHTS: dict[tuple[str, float], np.ndarray] = {}


def _hrp(returns: np.ndarray, max_weight: float) -> np.ndarray:
    """Return HRP weights, shape (15,), sum 1; each distinct window is computed once a process (8 ms of CPU each)."""
    key = (sha256(repr(returns.shape).encode() + returns.tobytes()), max_weight)
    if key not in _WEIGHTS:
        from skfolio.optimization import HierarchicalRiskParity as SkfolioHRP  # takes two seconds to import

        _WEIGHTS[key] = np.asarray(SkfolioHRP(max_weights=max_weight).fit(returns).weights_)
    return _WEIGHTS[key]
