"""What came of a decision: the same accounting as training and evaluation, once the exit price is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import numpy as np
import pandas as pd

from allocator_pipeline.config import CASH, CostConfig
from allocator_pipeline.errors import AllocatorError, LabelError, MissingPartitionError
from allocator_pipeline.experience.records import (
    Decision,
    Experience,
    Label,
    label_due,
    state_values,
)
from allocator_pipeline.experience.store import ExperienceStore
from allocator_pipeline.market import calendar
from allocator_pipeline.portfolio.orders import client_order_id
from allocator_pipeline.portfolio.rollout import Holdings, as_holdings, drift, observed_weights, settle
from allocator_pipeline.portfolio.state import StateTensors


@dataclass(frozen=True)
class Fills:
    """What an account did with a decision.

    Parameters
    ----------
    actual_weights : mapping of str to float
        Weight by symbol and CASH after the orders.
    report : sequence of mapping
        ``symbol, side, intended_qty, filled_qty, filled_avg_price, status, client_order_id`` by order.
    """

    actual_weights: Mapping[str, float]
    report: Sequence[Mapping[str, Any]]


def label_week(
    store: ExperienceStore,
    run_id: str,
    states: StateTensors,
    last_session: date | pd.Timestamp,
    costs: CostConfig,
    fills: Fills | None = None,
) -> Literal["pending", "inserted", "unchanged"]:
    """Label one decided week in the store, if its exit price can be known.

    Parameters
    ----------
    store : ExperienceStore
    run_id : str
        The week before of a paper account must be labelled first.
    states : StateTensors
        Hold the week and the next one.
    last_session : date
        Last session whose prices should be known by now.
    costs : CostConfig
    fills : Fills, optional
        As in `label`.

    Returns
    -------
    {"pending", "inserted", "unchanged"}

    Raises
    ------
    MissingPartitionError
        If the week was never decided.
    LabelError
        If the label is due but its returns, the next state or the label before are missing.
    ConflictError
        If another label is stored.
    """
    row = store.get(run_id)
    if row is None:
        raise MissingPartitionError(
            f"There is no decision {run_id} to label.", todo="materialise decisions of that week first."
        )
    before = row.decision.portfolio.get("run_id")
    found = label(row.decision, store.get(before) if before else None, states, last_session, costs, fills)
    return "pending" if found is None else store.record_label(run_id, found)


def label(
    decision: Decision,
    previous: Experience | None,
    states: StateTensors,
    last_session: date | pd.Timestamp,
    costs: CostConfig,
    fills: Fills | None = None,
) -> Label | None:
    """Compute the label of a decision; pure.

    Parameters
    ----------
    decision : Decision
    previous : Experience or None
        The week before, where the decision continues a paper account.
    states : StateTensors
        Hold the week and the next one.
    last_session : date
        Last session whose prices should be known by now.
    costs : CostConfig
    fills : Fills, optional
        What an account in dollars did; without it everything wanted counts as filled. Return and reward are those of
        the decided weights in either case, as in training.

    Returns
    -------
    Label or None
        None while it is pending: the exit session is still to come.

    Raises
    ------
    LabelError
        If it is due but returns, next state or the label before are missing, or the universe is not the decision's.
    """
    week = decision.week_start
    if calendar.week(week)["exit_session"] > pd.Timestamp(last_session):
        return None
    row, following = _row(states, week), _row(states, str(calendar.shift_week(week, 1).date()))
    symbols = states.symbols[row]
    if set(decision.action) != {*symbols.tolist(), CASH}:
        raise _due(week, "the state tensors hold another universe than the decision", _other_symbol(decision, symbols))
    unknown = ~(np.isfinite(states.returns[row]) & np.isfinite(states.marks[row]))
    if unknown.any():
        raise _due(week, "a return is missing", str(symbols[unknown][0]))
    target = np.array([decision.action[symbol] for symbol in [*symbols.tolist(), CASH]])
    held = held_at_execution(decision, previous)
    paid = settle(target, symbols, held, states.returns[row], costs)
    seen = as_holdings(drift(target, states.marks[row]), symbols)
    weights = observed_weights(seen, states.symbols[following])
    return Label(
        actual_weights=dict(decision.action if fills is None else fills.actual_weights),
        execution_report=_paper_fills(decision, held) if fills is None else [dict(row) for row in fills.report],
        realized_turnover=paid.turnover,
        cost=paid.cost,
        realized_return=paid.net,
        reward=paid.reward,
        holdings_after=paid.held_after,
        next_state=state_values(states.observation(following, weights)),
        labeled_at=label_due(week),
    )


def held_at_execution(decision: Decision, previous: Experience | None) -> Holdings:
    """Return true weights at execution: those the week before ended with, or those given at the decision.

    Raises
    ------
    LabelError
        If the decision continues a paper account whose week before is not labelled.
    """
    before = decision.portfolio.get("run_id")
    if before is None:
        return dict(decision.portfolio["holdings"])
    if previous is None or previous.decision.run_id != before or previous.label is None:
        raise _due(decision.week_start, f"its paper account continues {before}, which is not labelled yet")
    return dict(previous.label.holdings_after)


def _paper_fills(decision: Decision, held: Mapping[str, float]) -> list[dict[str, Any]]:
    """Return the changes that were wanted and that no account has booked, sells first."""
    fills = []
    for symbol in sorted({*decision.action, *held} - {CASH}):
        change = decision.action.get(symbol, 0.0) - held.get(symbol, 0.0)
        if change == 0.0:
            continue
        side = "BUY" if change > 0 else "SELL"
        fills.append(
            {
                "symbol": symbol,
                "side": side,
                "weight_change": change,
                "intended_qty": None,  # nothing was ordered: there are weights, and no shares
                "filled_qty": None,
                "filled_avg_price": None,
                "status": "not_booked",
                "client_order_id": client_order_id(decision.run_id, decision.attempt, symbol, side),
            }
        )
    return sorted(fills, key=lambda fill: (fill["side"] == "BUY", fill["symbol"]))


def _row(states: StateTensors, week: str) -> int:
    try:
        return states.row(week)
    except AllocatorError as error:
        raise _due(week, "the state tensors do not hold the week") from error


def _other_symbol(decision: Decision, symbols: np.ndarray) -> str:
    return sorted(({*symbols.tolist(), CASH}) ^ set(decision.action))[0]


def _due(week: str, why: str, symbol: str | None = None) -> LabelError:
    return LabelError(
        f"The label is due, but {why}.",
        todo="materialise prices, universe and state_tensors of that year again, label the weeks in order, then retry.",
        symbol=symbol,
        week=week,
    )
