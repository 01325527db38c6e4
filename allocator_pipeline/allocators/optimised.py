"""Baselines that skfolio computes from a year of daily returns; what is chosen here is their settings.

- ``hrp``: hierarchical risk parity (López de Prado 2016): distance ``sqrt((1 - rho) / 2)``, order of the dendrogram,
  recursive bisection by inverse variance; the cap is enforced at every bisection.
- ``inverse_volatility``: weights in proportion to ``1 / sigma``.
- ``minimum_variance``: least ``w' S w`` (Markowitz 1952).
- ``maximum_diversification``: greatest ``w' sigma / sqrt(w' S w)`` (Choueifaty and Coignard 2008).
- ``equal_risk_contribution``: every stock contributes the same to the variance (Maillard, Roncalli and Teiletche 2010).

S is the covariance of Ledoit and Wolf (2004), shrunk to a multiple of the identity, in the last three. Cap and cash
buffer are constraints of the optimisation itself where the method has any.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from allocator_pipeline.allocators.history import DailyReturns
from allocator_pipeline.atomic import sha256
from allocator_pipeline.config import N_STOCKS, CostConfig
from allocator_pipeline.errors import OptimisationError
from allocator_pipeline.portfolio.constraints import check_weights, within_limits
from allocator_pipeline.portfolio.state import Observation


class Optimised:
    """An allocator whose weights skfolio computes from the daily returns before each decision.

    Parameters
    ----------
    method : str
        One of `METHODS`.
    history : DailyReturns
    costs : CostConfig
        Its ``cash_buffer`` and ``max_position_weight``; all but the buffer is invested, as far as the cap allows.
    """

    def __init__(self, method: str, history: DailyReturns, costs: CostConfig) -> None:
        self.method, self.costs = method, costs
        self._history = history

    def target_weights(self, observation: Observation) -> np.ndarray:
        """Return the weights of the observation's symbols, from closes up to its decision session.

        Returns
        -------
        ndarray of float64, shape (16,)

        Raises
        ------
        NotEnoughDataError, MarketDataError
            As `DailyReturns.before`.
        OptimisationError
            If the solver finds no solution, or none it vouches for.
        """
        returns = self._history.before(observation)
        invested = min(1.0 - self.costs.cash_buffer, N_STOCKS * self.costs.max_position_weight)
        cap = min(self.costs.max_position_weight / invested, 1.0)
        try:
            shares = _shares(self.method, returns, cap)
        except OptimisationError as error:
            raise OptimisationError(error.problem, todo=error.todo, week=str(observation.week)) from error
        # a solver keeps its constraints to a tolerance only, and inverse volatility knows none
        return check_weights(within_limits(np.append(np.maximum(shares, 0.0), 0.0), self.costs), self.costs)


_SHARES: dict[tuple[str, str, float], np.ndarray] = {}


def _shares(method: str, returns: np.ndarray, cap: float) -> np.ndarray:
    """Return shares of what is invested, shape (15,), sum 1; each distinct window is computed once a process.

    An optimiser takes some 11 ms of CPU, most of which cvxpy needs to set the problem up; HRP takes 8.
    """
    key = (method, sha256(repr(returns.shape).encode() + returns.tobytes()), cap)
    if key not in _SHARES:
        from skfolio.exceptions import OptimizationError

        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("error", message="Solution may be inaccurate")
                _SHARES[key] = np.asarray(METHODS[method](cap).fit(returns).weights_)
        except (OptimizationError, UserWarning) as error:
            raise OptimisationError(
                f"The optimiser of {method} failed: {error}",
                todo="look at the prices of the year before for outliers and repeated series.",
            ) from error
    return _SHARES[key]


def _hrp(cap: float) -> Any:
    from skfolio.optimization import HierarchicalRiskParity  # skfolio takes two seconds to import

    return HierarchicalRiskParity(max_weights=cap)


def _inverse_volatility(cap: float) -> Any:
    from skfolio.optimization import InverseVolatility

    return InverseVolatility()


def _minimum_variance(cap: float) -> Any:
    from skfolio.optimization import MeanRisk

    return MeanRisk(max_weights=cap, prior_estimator=_shrunk_covariance())


def _maximum_diversification(cap: float) -> Any:
    from skfolio.optimization import MaximumDiversification

    return MaximumDiversification(max_weights=cap, prior_estimator=_shrunk_covariance())


def _equal_risk_contribution(cap: float) -> Any:
    from skfolio.optimization import RiskBudgeting

    return RiskBudgeting(max_weights=cap, prior_estimator=_shrunk_covariance())


def _shrunk_covariance() -> Any:
    from skfolio.moments import LedoitWolf
    from skfolio.prior import EmpiricalPrior

    return EmpiricalPrior(covariance_estimator=LedoitWolf())


METHODS: Mapping[str, Callable[[float], Any]] = {
    "hrp": _hrp,
    "inverse_volatility": _inverse_volatility,
    "minimum_variance": _minimum_variance,
    "maximum_diversification": _maximum_diversification,
    "equal_risk_contribution": _equal_risk_contribution,
}
"""Baseline -> from the greatest share of one stock to the estimator; variance is what they measure risk by."""
