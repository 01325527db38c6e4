"""One week of an allocator's paper account: its decision executed, if the week is over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from allocator_pipeline.account.tape import Tape
from allocator_pipeline.config import AccountConfig
from allocator_pipeline.defs.partitions import split
from allocator_pipeline.defs.resources import MarketResource, StoreResource
from allocator_pipeline.errors import MissingPartitionError
from allocator_pipeline.market import calendar
from allocator_pipeline.market.source import ItemisedSource
from allocator_pipeline.portfolio.orders import orders_preview


def account_week(key: str, run: str, store: StoreResource, market: MarketResource) -> dict[str, Any]:
    """Book a recorded decision in the paper account if its exit price is known.

    Parameters
    ----------
    key : str
        ``allocator|week``.
    run : str
        Run id of the decision.
    store : StoreResource
    market : MarketResource

    Returns
    -------
    dict
        ``status`` ("booked"; "pending" while the exit price is not known; "passed_over" for a week decided after later
        ones were booked), ``run_id`` and ``booking``, the values of `account.booking.Booking` or None.

    Raises
    ------
    MissingPartitionError
        If the decision is not recorded, prices are not stored, or the weeks before are not booked.
    MarketDataError
        If a price is missing.
    ConflictError
        If another decision of that week is booked.
    """
    allocator, week = split(key)
    row = store.experience.get(run)
    if row is None:
        raise MissingPartitionError(
            f"There is no decision {run} to execute.", todo="materialise decisions of that week first.", week=week
        )
    sessions, coverage = calendar.week(week), market.source.coverage()
    if sessions["exit_session"] > pd.Timestamp(coverage.last_session):
        return {"status": "pending", "run_id": run, "booking": None}
    ledger = store.account(allocator)
    history = ledger.history()
    if history and week < history[-1].week and run not in {booked.run_id for booked in history}:
        return {"status": "passed_over", "run_id": run, "booking": None}
    tape = _tape(sessions["execution_session"], sessions["exit_session"], store, market)
    booked = ledger.book(row.decision, tape, market.settings.costs, market.settings.account)
    return {"status": "booked", "run_id": run, "booking": booked.to_values()}


def _tape(first: pd.Timestamp, last: pd.Timestamp, store: StoreResource, market: MarketResource) -> Tape:
    """Return the prices stored of the years of some sessions, with dividends and splits where the source has them."""
    years, source = range(first.year, last.year + 1), market.source
    prices = pd.concat([store.assets.read("prices", str(year)) for year in years], ignore_index=True)
    actions = None
    if isinstance(source, ItemisedSource):
        actions = pd.concat([source.corporate_actions(year) for year in years], ignore_index=True)
    return Tape(prices, source.coverage().has_open, actions)


def previewed_orders(
    allocator: str, record: Mapping[str, Any], store: StoreResource, config: AccountConfig
) -> list[dict[str, Any]]:
    """Return the orders that a decision asks for: of the portfolio given, else of the account's value.

    That is the last one booked which was known at the decision: of the week before last, as the schedules have it.

    Parameters
    ----------
    allocator : str
    record : mapping
        Values of an `experience.records.Decision`.
    store : StoreResource
    config : AccountConfig

    Returns
    -------
    list of dict
        As `portfolio.orders.orders_preview`.
    """
    portfolio = record["portfolio"]
    if "orders" in portfolio:
        return list(portfolio["orders"])
    known = str(calendar.week(record["week_start"])["decision_session"].date())
    booked = [week.nav for week in store.account(allocator).history() if week.exit_session <= known]
    nav = booked[-1] if booked else config.deposit
    return orders_preview(
        record["run_id"],
        record["attempt"],
        record["action"],
        portfolio["holdings"],
        nav,
        config.min_order_share,
        config.min_order_usd,
    )
