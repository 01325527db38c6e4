"""The portfolio of the forecast panel: the few stocks with the highest forecasts, long only, like any other allocator.

It runs through the accounting, costs and constraints that policies and baselines run through, over the same weeks.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from allocator_pipeline.allocators.base import Allocator
from allocator_pipeline.allocators.scheduled import Scheduled
from allocator_pipeline.config import N_STOCKS, SIGNALS, CostConfig
from allocator_pipeline.evaluation.forecast_weeks import TOP_K
from allocator_pipeline.portfolio.rollout import Rollout, simulate
from allocator_pipeline.portfolio.state import Observation, StateTensors


class TopForecasts:
    """Equal weights of the stocks named for each week; cash takes the rest.

    Parameters
    ----------
    held : mapping of str to str
        Monday (ISO) -> symbols, separated by spaces.
    costs : CostConfig
    """

    def __init__(self, held: Mapping[str, str], costs: CostConfig) -> None:
        self._held, self._costs = held, costs

    def target_weights(self, observation: Observation) -> np.ndarray:
        """Return the weights, shape (16,), CASH last; a place that no forecast fills stays in cash."""
        chosen = np.isin(observation.symbols, self._held[str(observation.week)].split())
        share = min((1.0 - self._costs.cash_buffer) / TOP_K, self._costs.max_position_weight)
        return np.append(np.where(chosen, share, 0.0), 1.0 - share * chosen.sum())


def portfolios(
    panel: pd.DataFrame, outcomes: pd.DataFrame, baselines: Mapping[str, pd.DataFrame], costs: CostConfig
) -> dict[str, Rollout]:
    """Run the highest forecasts and the baselines over the weeks of a panel, each from cash, holdings carried.

    Parameters
    ----------
    panel : DataFrame
        `schemas.FORECAST_PANEL`, successive weeks.
    outcomes : DataFrame
        `schemas.OUTCOMES` of those weeks at least.
    baselines : mapping of str to DataFrame
        Name -> `schemas.BASELINE_WEIGHTS` of those weeks at least.
    costs : CostConfig

    Returns
    -------
    dict of str to Rollout
        ``top``, and every baseline by name.

    Raises
    ------
    NotEnoughDataError, ConflictError
        If a baseline lacks a week, or was made for another universe.
    """
    weeks = panel["week"]
    top = TopForecasts(dict(zip(weeks.dt.date.astype(str), panel["held"], strict=True)), costs)
    states = _states(outcomes[outcomes["week"].isin(weeks)])
    rivals: dict[str, Allocator] = {"top": top, **{name: Scheduled(table) for name, table in baselines.items()}}
    return {name: simulate(rival.target_weights, states, costs) for name, rival in rivals.items()}


def _states(outcomes: pd.DataFrame) -> StateTensors:
    """Return states of the outcomes' weeks whose signals are all missing: these allocators read none."""
    rows = outcomes.sort_values(["week", "slot"])
    weeks = rows["week"].drop_duplicates()
    shape = (len(weeks), N_STOCKS)
    return StateTensors(
        weeks=weeks.to_numpy().astype("datetime64[D]"),
        symbols=rows["symbol"].to_numpy(dtype=str).reshape(shape),
        signals=np.zeros((*shape, len(SIGNALS))),
        missing=np.ones((*shape, len(SIGNALS)), dtype=bool),
        forecasts=np.zeros(shape),
        returns=rows["return"].to_numpy(dtype=np.float64).reshape(shape),
        marks=rows["mark"].to_numpy(dtype=np.float64).reshape(shape),
    )
