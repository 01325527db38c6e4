"""Baselines as tables: target weights computed once for each week, replayed through the environment of the policies."""

from __future__ import annotations

import numpy as np
import pandas as pd

from allocator_pipeline.allocators.base import Allocator
from allocator_pipeline.allocators.baselines import EqualWeight, HierarchicalRiskParity
from allocator_pipeline.config import CASH, N_STOCKS, SIGNALS, CostConfig
from allocator_pipeline.errors import ConflictError, NotEnoughDataError
from allocator_pipeline.market import calendar
from allocator_pipeline.portfolio.state import Observation


class Scheduled:
    """An allocator that replays a table of target weights.

    Parameters
    ----------
    table : DataFrame
        `schemas.BASELINE_WEIGHTS`, any number of years.
    """

    def __init__(self, table: pd.DataFrame) -> None:
        self._rows = {
            str(pd.Timestamp(str(week)).date()): (rows["symbol"].tolist(), rows["weight"].to_numpy())
            for week, rows in table.sort_values(["week", "slot"]).groupby("week")
        }

    def target_weights(self, observation: Observation) -> np.ndarray:
        """Return the weights of the observation's week, shape (16,).

        Raises
        ------
        NotEnoughDataError
            If the table has no such week.
        ConflictError
            If the table was made for another universe.
        """
        week = str(observation.week)
        if week not in self._rows:
            raise NotEnoughDataError(
                "The baseline has no weights for this week.",
                todo="materialise baseline_weights of its year.",
                week=week,
            )
        symbols, weights = self._rows[week]
        if symbols != [*observation.symbols.tolist(), CASH]:
            raise ConflictError(
                "The baseline was made for another universe.", todo="materialise baseline_weights again.", week=week
            )
        return weights.copy()


def scheduled_weights(
    baseline: str, year: int, prices: pd.DataFrame, universe: pd.DataFrame, costs: CostConfig
) -> pd.DataFrame:
    """Compute a baseline's target weights for every decidable week of a year.

    Parameters
    ----------
    baseline : {"equal_weight", "hrp"}
    year : int
    prices : DataFrame
        `schemas.PRICES`; each week reads only bars up to its decision session.
    universe : DataFrame
        `schemas.UNIVERSE` of the year.
    costs : CostConfig

    Returns
    -------
    DataFrame
        `schemas.BASELINE_WEIGHTS`.
    """
    allocator: Allocator = EqualWeight(costs) if baseline == "equal_weight" else HierarchicalRiskParity(prices, costs)
    symbols = np.array(universe.sort_values("slot")["symbol"].tolist())
    weeks = calendar.weeks_of_year(year)
    weeks = weeks[weeks["decision_session"] <= prices["date"].max()]
    cash = np.r_[np.zeros(N_STOCKS), 1.0]
    blank = np.zeros((N_STOCKS, len(SIGNALS)))
    targets = [
        allocator.target_weights(
            Observation(np.datetime64(week, "D"), symbols, np.zeros((N_STOCKS, len(SIGNALS) + 1)), blank > 0, cash)
        )
        for week in weeks["week"]
    ]
    return pd.DataFrame(
        {
            "week": weeks["week"].repeat(N_STOCKS + 1).to_numpy(),
            "slot": np.tile(np.arange(N_STOCKS + 1, dtype=np.int64), len(weeks)),
            "symbol": pd.Series([*symbols.tolist(), CASH] * len(weeks), dtype="str"),
            "weight": np.concatenate(targets) if targets else np.empty(0),
        }
    )
