"""A year of daily returns before a decision: all that the baselines with a memory may read."""

from __future__ import annotations

import numpy as np
import pandas as pd

from allocator_pipeline.errors import MarketDataError, NotEnoughDataError
from allocator_pipeline.market import calendar
from allocator_pipeline.portfolio.state import Observation

DAYS, MIN_DAYS = 252, 60


class DailyReturns:
    """Daily returns of an observation's symbols up to its decision session.

    Parameters
    ----------
    prices : DataFrame
        Daily bars (`schemas.PRICES`) that reach back a year before the first decision.
    """

    def __init__(self, prices: pd.DataFrame) -> None:
        closes = prices.pivot(index="date", columns="symbol", values="adj_close").sort_index()
        self._sessions = closes.index
        self._column = {str(symbol): i for i, symbol in enumerate(closes.columns)}
        self._closes = closes.to_numpy(dtype=np.float64)

    def before(self, observation: Observation) -> np.ndarray:
        """Return complete rows of daily returns, none later than the decision session.

        Returns
        -------
        ndarray of float64, shape (60 to 252, 15)
            Simple returns by slot, the oldest first; sessions without a return of every symbol are left out.

        Raises
        ------
        NotEnoughDataError
            If fewer than 60 of the last 252 sessions have returns of all symbols.
        MarketDataError
            If a price never moved: it has no risk to share.
        """
        week = str(observation.week)
        symbols = [str(symbol) for symbol in observation.symbols]
        unknown = [symbol for symbol in symbols if symbol not in self._column]
        if unknown:
            raise NotEnoughDataError(
                "There are no prices of this symbol.", todo="materialise its prices.", symbol=unknown[0], week=week
            )
        decision = calendar.week(pd.Timestamp(observation.week))["decision_session"]
        end = int(self._sessions.searchsorted(decision, side="right"))
        closes = self._closes[max(end - DAYS - 1, 0) : end][:, [self._column[symbol] for symbol in symbols]]
        returns = closes[1:] / closes[:-1] - 1.0
        known = np.isfinite(returns)
        complete = returns[known.all(axis=1)]
        if len(complete) < MIN_DAYS:
            raise NotEnoughDataError(
                f"The baseline needs {MIN_DAYS} daily returns, there are {len(complete)}.",
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
