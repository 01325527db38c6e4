"""What the baselines and the market's index fund did in the weeks of the paper accounts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from allocator_pipeline.allocators.base import Allocator
from allocator_pipeline.config import CostConfig
from allocator_pipeline.errors import NotEnoughDataError
from allocator_pipeline.features.outcomes import execution_prices
from allocator_pipeline.market import calendar
from allocator_pipeline.portfolio.costs import trading_cost
from allocator_pipeline.portfolio.rewards import wealth_multiplier
from allocator_pipeline.portfolio.rollout import simulate
from allocator_pipeline.portfolio.state import StateTensors

INDEX_FUND = "SPY"


def baseline_weeks(rule: Allocator, states: StateTensors, costs: CostConfig) -> list[float]:
    """Return a baseline's net return of each week, from cash and by the one accounting.

    Parameters
    ----------
    rule : Allocator
    states : StateTensors
        The weeks, all with known returns.
    costs : CostConfig

    Returns
    -------
    list of float

    Raises
    ------
    NotEnoughDataError
        If a week's return is not known, or the rule has no weights for it.
    ConflictError
        If the rule was made for another universe.
    """
    return [float(net) for net in simulate(rule.target_weights, states, costs).net]


def index_fund_weeks(prices: pd.DataFrame, weeks: Sequence[str], has_open: bool, costs: CostConfig) -> list[float]:
    """Return the net return of each week of `INDEX_FUND`, bought once at the usual cost and held.

    Parameters
    ----------
    prices : DataFrame
        `schemas.PRICES` of all sessions from the first week's execution to the last week's exit.
    weeks : sequence of str
        ISO Mondays, one after the other.
    has_open : bool
        Whether the source has opening prices.
    costs : CostConfig

    Returns
    -------
    list of float

    Raises
    ------
    NotEnoughDataError
        If a price is missing.
    """
    own = prices[prices["symbol"] == INDEX_FUND]
    fills = pd.Series(execution_prices(own, has_open).to_numpy(), index=pd.DatetimeIndex(own["date"]))
    at = fills.reindex(execution_sessions(weeks))
    if at.isna().any():
        raise NotEnoughDataError(
            f"There is no price of {INDEX_FUND} at the execution of {at.index[at.isna()][0].date()}.",
            todo="complete its prices.",
            symbol=INDEX_FUND,
        )
    gross = at.to_numpy()[1:] / at.to_numpy()[:-1] - 1.0
    return [float(wealth_multiplier(g, trading_cost(float(i == 0), costs)) - 1.0) for i, g in enumerate(gross)]


def execution_sessions(weeks: Sequence[str]) -> pd.DatetimeIndex:
    """Return the execution session of each week and, at the end, the last one's exit session."""
    rows = [calendar.week(week) for week in weeks]
    return pd.DatetimeIndex([*(row["execution_session"] for row in rows), rows[-1]["exit_session"]])


def growth(nets: Sequence[float], weeks: Sequence[str], since: str) -> float:
    """Return what the weeks from ``since`` on made of 1, less 1."""
    made = 1.0
    for net, week in zip(nets, weeks, strict=True):
        made *= 1.0 + net if week >= since else 1.0
    return made - 1.0


def last_known(week: str) -> str:
    """Return the newest week whose outcome is known at a week's decision: its exit session has closed by then."""
    decided = calendar.week(week)["decision_session"]
    before = week
    while calendar.week(before)["exit_session"] > decided:
        before = str(calendar.shift_week(before, -1).date())
    return before


def as_mapping(table: pd.DataFrame, week: str) -> Mapping[str, float] | None:
    """Return a baseline's target weights of one week by symbol and CASH, or None if the table does not hold it.

    Parameters
    ----------
    table : DataFrame
        `schemas.BASELINE_WEIGHTS`.
    week : str
        ISO Monday.
    """
    rows = table[table["week"] == pd.Timestamp(week)]
    return {str(name): float(weight) for name, weight in zip(rows["symbol"], rows["weight"], strict=True)} or None
