"""What a walk was worth beside the market, and what is left of it when trading costs more or less.

The market is equal weight of the same 15 stocks under the same limits, walked over the same weeks. Costs are taken
from wealth in proportion, so that they change no weight and no turnover (`rollout.settle_batch`): one walk serves every
level of costs, and the weights stay those decided at the costs of training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.optimize import brentq

from allocator_pipeline.config import WEEKS_PER_YEAR, CostConfig
from allocator_pipeline.evaluation.metrics import cagr, metrics, sharpe_ratio, worst_weeks
from allocator_pipeline.portfolio.costs import trading_cost
from allocator_pipeline.portfolio.rewards import wealth_multiplier
from allocator_pipeline.portfolio.rollout import Rollout

COST_LEVELS = (0, 5, 10, 20, 50)
"""Basis points of one-way turnover."""

TIE = 1e-9
"""What rounding may make of equal returns."""

_GREATEST_BPS = 9_900.0


def alike(nets: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Return for each series the name of the first that is equal to it in every week, often its own.

    Parameters
    ----------
    nets : mapping of str to ndarray
        Name -> weekly net returns, shape (T,); series of other lengths are never equal.
    """
    first: dict[str, str] = {}
    for name, net in nets.items():
        same = (one for one in first.values() if len(nets[one]) == len(net) and np.abs(nets[one] - net).max() <= TIE)
        first[name] = next(same, name)
    return first


def performance(run: Rollout, market: Rollout, costs: CostConfig) -> dict[str, Any]:
    """Compute every number that a report prints for one series.

    Parameters
    ----------
    run : Rollout
    market : Rollout
        Equal weight over the same weeks at the same costs.
    costs : CostConfig

    Returns
    -------
    dict
        ``metrics``: those of `metrics.metrics`, and ``tail_hit_rate`` (share of the market's worst 5 % of weeks in
        which the series did better than the market; net of costs, ties are no hits), ``costs`` (fraction of wealth per
        year), ``break_even_bps`` (see `break_even_bps`), ``concentration`` (mean over weeks of the Herfindahl index
        ``sum w^2`` of the target weights, cash among them: 1/16 to 1), ``market_exposure`` (beta of the gross return
        to the market's). ``cost_levels``: basis points as text -> ``sharpe`` and ``cagr`` at these costs.

    Raises
    ------
    NotEnoughDataError
        If there are fewer than two weeks.
    """
    worst = worst_weeks(market.net)
    return {
        "metrics": {
            **metrics(run.net, run.turnover),
            "tail_hit_rate": float((run.net[worst] > market.net[worst] + TIE).mean()),
            "costs": float(WEEKS_PER_YEAR * run.cost.mean()),
            "break_even_bps": break_even_bps(run, market, costs),
            "concentration": float((run.targets**2).sum(axis=1).mean()),
            "market_exposure": beta(run.gross, market.gross),
        },
        "cost_levels": {
            str(bps): {"sharpe": float(sharpe_ratio(net)), "cagr": cagr(net)}
            for bps in COST_LEVELS
            for net in [net_at(run, costs, bps)]
        },
    }


def net_at(run: Rollout, costs: CostConfig, bps: float) -> np.ndarray:
    """Return the weekly net returns, shape (T,), that the same walk has at other costs in basis points of turnover."""
    return at_cost(run.gross, run.turnover, costs, bps)


def at_cost(gross: np.ndarray, turnover: np.ndarray, costs: CostConfig, bps: float) -> np.ndarray:
    """Return the same of a walk's weekly gross returns and turnover, both of shape (T,)."""
    multiplier: np.ndarray = wealth_multiplier(gross, trading_cost(turnover, replace(costs, cost_bps=bps)))
    return multiplier - 1.0


def break_even_bps(run: Rollout, market: Rollout, costs: CostConfig) -> float | None:
    """Return the cost per unit of one-way turnover, in basis points, at which a walk grows like the market.

    Both pay it. None where there is no such point: before costs the walk does not grow faster, or it does at any cost.
    """

    def lead(bps: float) -> float:
        return float(np.log1p(net_at(run, costs, bps)).sum() - np.log1p(net_at(market, costs, bps)).sum())

    if lead(0.0) <= TIE or lead(_GREATEST_BPS) >= 0.0:
        return None
    return float(brentq(lead, 0.0, _GREATEST_BPS))


def beta(returns: np.ndarray, market: np.ndarray) -> float:
    """Return the slope of returns on the market's (Sharpe 1964); 0 where the market does not vary."""
    deviations = market - market.mean()
    variance = float((deviations**2).sum())
    return float((returns - returns.mean()) @ deviations / variance) if variance > TIE**2 else 0.0
