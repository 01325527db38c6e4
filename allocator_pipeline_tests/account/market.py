"""A made-up market of raw prices, dividends and splits, with the adjusted prices that follow from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from allocator_pipeline.account.tape import Tape
from allocator_pipeline.config import CASH, CostConfig
from allocator_pipeline.experience.records import Decision, decision_due, run_id, week_end
from allocator_pipeline.features.outcomes import execution_prices
from allocator_pipeline.market import calendar
from allocator_pipeline.schemas import CORPORATE_ACTIONS, PRICES, validate

SYMBOLS = tuple(f"S{number:02d}" for number in range(20))
WEEKS = [str(week.date()) for week in calendar.weeks("2019-01-01", "2019-12-31")["week"]]
ALLOCATOR = "ppo_lstm"
COSTS = CostConfig()


@dataclass(frozen=True)
class Made:
    """Prices and corporate actions."""

    prices: pd.DataFrame
    actions: pd.DataFrame

    def tape(self, has_open: bool = True, itemised: bool = False) -> Tape:
        return Tape(self.prices, has_open, self.actions if itemised else None)

    def returns(self, week: str, symbols: list[str], has_open: bool = True) -> np.ndarray:
        """Return what the graph's outcomes say that a week paid."""
        row = calendar.week(week)
        table = self.prices.assign(fill=execution_prices(self.prices, has_open))
        wide = table.pivot(index="date", columns="symbol", values="fill")
        return (wide.loc[row["exit_session"], symbols] / wide.loc[row["execution_session"], symbols] - 1).to_numpy()


def make_market(seed: int = 0, dividends: bool = True) -> Made:
    """Draw a year and a bit of raw prices with dividends and splits, adjusted as data vendors do."""
    rng = np.random.default_rng(seed)
    days = calendar.sessions("2018-12-03", "2020-01-31")
    shape = (len(days), len(SYMBOLS))
    split = np.where(rng.random(shape) < 0.003 * dividends, 2.0, 1.0)
    share = np.where(rng.random(shape) < 0.02 * dividends, rng.uniform(0.001, 0.03, shape), 0.0)
    split[0], share[0] = 1.0, 0.0
    total = np.exp(np.log(50.0) + np.cumsum(rng.normal(0.0003, 0.02, shape), axis=0))
    close = total * np.cumprod((1.0 - share) / split, axis=0)
    opened = close * np.exp(rng.normal(0.0, 0.01, shape))
    factor = np.ones(shape)  # of a day: what later splits and dividends make of its price
    factor[:-1] = np.cumprod(((1.0 - share) / split)[:0:-1], axis=0)[::-1]
    count = len(days) * len(SYMBOLS)
    prices = pd.DataFrame(
        {
            "date": np.repeat(days.to_numpy(), len(SYMBOLS)),
            "symbol": pd.Series(list(SYMBOLS) * len(days), dtype="str"),
            "open": opened.ravel(),
            "high": np.maximum(opened, close).ravel(),
            "low": np.minimum(opened, close).ravel(),
            "close": close.ravel(),
            "adj_close": (close * factor).ravel(),
            "volume": np.ones(count),
            "source": pd.Series(["made up"] * count, dtype="str"),
        }
    )
    before = np.vstack([close[:1], close[:-1]]) / split  # the close before, in shares of the day itself
    rows = [
        (days[t], SYMBOLS[i], kind, float(value[t, i]))
        for kind, chosen, value in (("dividend", share > 0, before * share), ("split", split > 1, split))
        for t, i in np.argwhere(chosen)
    ]
    actions = pd.DataFrame(rows, columns=["date", "symbol", "kind", "value"])
    actions = actions.astype({"date": "datetime64[us]", "symbol": "str", "kind": "str", "value": "float64"})
    actions["source"] = pd.Series(["made up"] * len(actions), dtype="str")
    return Made(validate(prices, PRICES, "made up"), validate(actions, CORPORATE_ACTIONS, "made up"))


def make_decision(week: str, action: dict[str, float], portfolio: dict[str, Any], attempt: int = 1) -> Decision:
    """Return the record of a decision, as far as an account reads it."""
    return Decision(
        run_id=run_id(week, ALLOCATOR),
        week_start=week,
        week_end=week_end(week),
        allocator=ALLOCATOR,
        policy_version="v2018-12-31-abcdef",
        state={},
        action=action,
        turnover=0.0,
        portfolio=portfolio,
        decided_at=decision_due(week),
        attempt=attempt,
    )


def decisions(targets: list[dict[str, float]], weeks: list[str] = WEEKS) -> list[Decision]:
    """Return the decisions of an account that opens in cash and goes on week after week."""
    made: list[Decision] = []
    for week, target in zip(weeks, targets, strict=False):
        source = {"source": "paper", "run_id": made[-1].run_id} if made else {"source": "cash"}
        made.append(make_decision(week, target, {**source, "holdings": {CASH: 1.0}}))
    return made


def equal_target(symbols: tuple[str, ...] = SYMBOLS[:15], cash: float = 0.04) -> dict[str, float]:
    return {**dict.fromkeys(symbols, (1.0 - cash) / len(symbols)), CASH: cash}
