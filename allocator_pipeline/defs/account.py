"""One week of an allocator's paper account: its orders before it, and its decision executed, if the week is over."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pandas as pd

from allocator_pipeline.account.booking import Booking
from allocator_pipeline.account.ledger import AccountLedger
from allocator_pipeline.account.preview import preview_orders
from allocator_pipeline.account.tape import Tape
from allocator_pipeline.config import AccountConfig
from allocator_pipeline.defs.partitions import split
from allocator_pipeline.defs.resources import MarketResource, StoreResource
from allocator_pipeline.errors import AllocatorError, MarketDataError, MissingPartitionError
from allocator_pipeline.experience.records import Decision
from allocator_pipeline.market import calendar
from allocator_pipeline.market.source import ItemisedSource
from allocator_pipeline.portfolio.orders import orders_preview


def account_week(key: str, run: str, store: StoreResource, market: MarketResource) -> dict[str, Any]:
    """Book a recorded decision in the paper account if its exit price is known.

    A decision that begins from a given portfolio, or anew in cash, continues no week: those decided before it that are
    not booked yet are booked first, as far as they can be. The others are passed over when they are asked for.

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
        ``status`` ("booked"; "pending" while the exit price is not known; "passed_over" for a week that is not booked
        though later ones are), ``run_id`` and ``booking``, the values of `account.booking.Booking` or None.

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
    if row.decision.portfolio.get("run_id") is None:
        _book_unbooked(ledger, history[-1].week if history else "", week, store, market)
    tape = _week_tape(row.decision, store, market)
    booked = ledger.book(row.decision, tape, market.settings.costs, market.settings.account)
    return {"status": "booked", "run_id": run, "booking": booked.to_values()}


def _book_unbooked(ledger: AccountLedger, last: str, week: str, store: StoreResource, market: MarketResource) -> None:
    """Book what was decided after the last booking and before a week, but for what lacks a price or its week before."""
    for row in store.experience.records(ledger.account):
        if last < row.decision.week_start < week:
            tape = _week_tape(row.decision, store, market)  # outside: what is not stored can be made, so that it waits
            with suppress(MarketDataError, MissingPartitionError):
                ledger.book(row.decision, tape, market.settings.costs, market.settings.account)


def _week_tape(decision: Decision, store: StoreResource, market: MarketResource) -> Tape:
    sessions = calendar.week(decision.week_start)
    first = "decision_session" if decision.portfolio.get("quantities") else "execution_session"
    return _tape(sessions[first], sessions["exit_session"], store, market)


def _tape(first: pd.Timestamp, last: pd.Timestamp, store: StoreResource, market: MarketResource) -> Tape:
    """Return the prices stored of the years of some sessions, with dividends and splits where the source has them."""
    years, source = range(first.year, last.year + 1), market.source
    prices = pd.concat([store.assets.read("prices", str(year)) for year in years], ignore_index=True)
    actions = None
    if isinstance(source, ItemisedSource):
        actions = pd.concat([source.corporate_actions(year) for year in years], ignore_index=True)
    return Tape(prices, source.coverage().has_open, actions)


HOLDINGS = "the account's holdings at the closes of the decision"
GIVEN = "the portfolio given, at the closes of the decision"


@dataclass(frozen=True)
class Preview:
    """The orders that a decision asks for.

    Parameters
    ----------
    source : str
        What they are computed from, in words.
    orders : list of dict
        As `account.preview.preview_orders` returns them.
    """

    source: str
    orders: list[dict[str, Any]]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The orders as they are written: each says its source."""
        return [{**order, "source": self.source} for order in self.orders]


def previewed_orders(decision: Decision, store: StoreResource, market: MarketResource) -> Preview:
    """Return the orders that the account would fill if its next prices were the closes that the decision saw.

    Only what was booked by then counts: up to the week before last, as the schedules have it. Where the account was not
    booked so far, or a price is missing, orders lead from the decided weights at the account's last value instead, and
    the source says so.

    Parameters
    ----------
    decision : Decision
    store : StoreResource
    market : MarketResource

    Returns
    -------
    Preview

    Raises
    ------
    CorruptArtifactError
        If the ledger cannot be trusted.
    """
    settings, continued = market.settings, decision.portfolio.get("run_id")
    known = calendar.week(decision.week_start)["decision_session"]
    booked = [week for week in store.account(decision.allocator).history() if week.exit_session <= str(known.date())]
    previous = booked[-1] if booked else None
    try:
        row = store.experience.get(continued) if continued is not None else None
        before, first = None, known
        if continued is not None:
            if row is None:
                raise MissingPartitionError(f"{continued} is not recorded.", todo="materialise decisions of that week.")
            before, first = row.decision, calendar.week(row.decision.week_start)["execution_session"]
        tape = _tape(first, known, store, market)
        orders = preview_orders(previous, before, decision, tape, settings.costs, settings.account)
        return Preview(GIVEN if decision.portfolio["source"] == "given" else HOLDINGS, orders)
    except AllocatorError as error:
        return _by_weights(decision, previous, settings.account, error.problem)


def _by_weights(decision: Decision, previous: Booking | None, config: AccountConfig, why: str) -> Preview:
    portfolio = decision.portfolio
    nav = portfolio.get("nav") or (previous.nav if previous is not None else config.deposit)
    least = config.min_order_share, config.min_order_usd
    orders = orders_preview(
        decision.run_id, decision.attempt, decision.action, portfolio["holdings"], float(nav), *least
    )
    return Preview(f"decided weights, not the account's holdings: {why}", orders)
