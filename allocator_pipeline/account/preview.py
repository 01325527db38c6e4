"""The orders that an account would fill if its next prices were the closes that a decision saw."""

from __future__ import annotations

from typing import Any

from allocator_pipeline.account.booking import Booking, Opened, executed, open_account
from allocator_pipeline.account.carrying import Carried, carry
from allocator_pipeline.account.events import Balance
from allocator_pipeline.account.tape import Tape
from allocator_pipeline.config import CASH, AccountConfig, CostConfig
from allocator_pipeline.experience.records import Decision
from allocator_pipeline.market import calendar


def preview_orders(
    previous: Booking | None,
    before: Decision | None,
    decision: Decision,
    tape: Tape,
    costs: CostConfig,
    config: AccountConfig,
) -> list[dict[str, Any]]:
    """Return a decision's orders, from what the account holds at that decision and by the account's own rules; pure.

    When a week is decided, the week before has been executed but does not end before the decision's own execution: it
    is carried here from the last booking to the closes that the decision saw.

    Parameters
    ----------
    previous : Booking or None
        The last booking before ``before``, or before the decision if that continues nothing.
    before : Decision or None
        The week before, if the decision continues it.
    decision : Decision
    tape : Tape
        Holds the sessions from the execution of ``before`` to the decision's closes.
    costs : CostConfig
    config : AccountConfig

    Returns
    -------
    list of dict
        ``symbol, side, notional`` (USD), ``status`` ("preview") and ``client_order_id``, sells first.

    Raises
    ------
    MissingPartitionError
        If ``before`` continues a week that is not the last one booked.
    MarketDataError
        If a price is missing.
    """
    closed = calendar.week(decision.week_start)["decision_session"]
    if before is None:
        opened = open_account(previous, decision, tape, closed, config, at_close=True)
    else:
        bought = calendar.week(before.week_start)["execution_session"]
        began = open_account(previous, before, tape, bought, config)
        done = executed(began, before, costs, config, str(bought.date()))
        held = Carried(began.balance.after(done.events), Balance())
        carried = carry(held, tape, (bought, closed), tape.closes, config)
        wanted = {symbol for symbol, weight in decision.action.items() if symbol != CASH and weight > 0}
        opened = Opened(carried.balance, (), {**tape.closes(closed, sorted(wanted)), **carried.prices})
    done = executed(opened, decision, costs, config, str(closed.date()))
    return [
        {
            "symbol": fill["symbol"],
            "side": fill["side"],
            "notional": fill["filled_qty"] * fill["filled_avg_price"],
            "status": "preview",
            "client_order_id": fill["client_order_id"],
        }
        for fill in done.report
    ]
