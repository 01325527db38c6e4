"""Baselines as tables: target weights computed once for each week, replayed through the environment of the policies."""

from __future__ import annotations

import numpy as np
import pandas as pd

from allocator_pipeline.allocators.baselines import baseline
from allocator_pipeline.config import CASH, N_STOCKS, SIGNALS, CostConfig
from allocator_pipeline.errors import ConflictError, NotEnoughDataError
from allocator_pipeline.features.outcomes import weekly_outcomes
from allocator_pipeline.features.panel import decidable_weeks
from allocator_pipeline.portfolio.constraints import N_ASSETS
from allocator_pipeline.portfolio.rollout import ALL_CASH, drift, observed_weights
from allocator_pipeline.portfolio.state import Observation


class Scheduled:
    """An allocator that replays a table of target weights.

    Parameters
    ----------
    table : DataFrame
        `schemas.BASELINE_WEIGHTS`, any number of years.
    """

    def __init__(self, table: pd.DataFrame) -> None:
        rows = table.sort_values(["week", "slot"])
        weeks = rows["week"].to_numpy().astype("datetime64[D]")[::N_ASSETS].astype(str)
        symbols, weights = (rows[name].to_numpy().reshape(-1, N_ASSETS) for name in ("symbol", "weight"))
        self._rows = dict(zip(weeks.tolist(), zip(symbols.tolist(), weights, strict=True), strict=True))

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
    name: str, year: int, prices: pd.DataFrame, universe: pd.DataFrame, costs: CostConfig, *, has_open: bool = False
) -> pd.DataFrame:
    """Compute a baseline's target weights for every decidable week of a year.

    The baseline walks the year from cash: at each decision it sees what its last target has become by then.

    Parameters
    ----------
    name : str
        One of `config.BASELINES`.
    year : int
    prices : DataFrame
        `schemas.PRICES`; each week reads only bars up to its decision session.
    universe : DataFrame
        `schemas.UNIVERSE` of the year.
    costs : CostConfig
    has_open : bool
        Whether the source has opening prices.

    Returns
    -------
    DataFrame
        `schemas.BASELINE_WEIGHTS`.
    """
    allocator = baseline(name, prices, costs)
    symbols = np.array(universe.sort_values("slot")["symbol"].tolist())
    weeks = decidable_weeks(year, prices["date"].max())["week"]
    _, marks = weekly_outcomes(year, universe, prices, has_open)
    blank = np.zeros((N_STOCKS, len(SIGNALS) + 1))
    held, targets = observed_weights(ALL_CASH, symbols), []
    for week, moves in zip(weeks, marks, strict=True):
        observation = Observation(np.datetime64(week, "D"), symbols, blank, blank[:, :-1] > 0, held)
        targets.append(allocator.target_weights(observation))
        held = drift(targets[-1], moves)
    return pd.DataFrame(
        {
            "week": weeks.repeat(N_STOCKS + 1).to_numpy(),
            "slot": np.tile(np.arange(N_STOCKS + 1, dtype=np.int64), len(weeks)),
            "symbol": pd.Series([*symbols.tolist(), CASH] * len(weeks), dtype="str"),
            "weight": np.concatenate(targets) if targets else np.empty(0),
        }
    )
