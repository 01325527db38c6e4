"""One week of a paper account: its orders filled, its dividends and splits, its value at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from allocator_pipeline.account.carrying import Carried, carry, cash_in_lieu, happened
from allocator_pipeline.account.events import Balance, Event
from allocator_pipeline.account.execution import Execution, execute
from allocator_pipeline.account.tape import Tape
from allocator_pipeline.atomic import sha256
from allocator_pipeline.config import CASH, AccountConfig, CostConfig
from allocator_pipeline.errors import ConflictError, MissingPartitionError
from allocator_pipeline.experience.records import Decision
from allocator_pipeline.market import calendar
from allocator_pipeline.portfolio.rollout import settle_batch
from allocator_pipeline.registry.chain import GENESIS, Link

REVISED = 1e-9
"""A value that begins a week differs by less than this, as a share of itself, from that which ended the one before."""


@dataclass(frozen=True)
class Booking(Link):
    """A week in the ledger of an account, from its execution to the next week's.

    Parameters
    ----------
    number, previous_sha256
        Its place in the ledger, see `registry.chain.Link`.
    account : str
        Allocator whose account it is.
    run_id, week, attempt, decision_sha256
        The decision that was executed.
    execution_session, mark_session, exit_session : str
        ISO days: of the fills, of the next decision's close, of the next week's fills.
    price : str
        What orders are filled at, "open" or "close" of the session.
    dividends : str
        "in the adjustment of the prices" (reinvested by construction), "reinvested" or "cash".
    events : sequence of mapping
        `Event` values, in order.
    cash, shares
        What is held at the end, USD and shares by symbol.
    nav_before, nav_marked, nav : float
        Net asset value before the orders, at the next decision's close, and at the next week's fills, USD.
    turnover, cost : float
        One-way turnover from the weights held to those reached, and the fee for it as a share of ``nav_before``.
    net : float
        ``nav / nav_before - 1``.
    actual_weights : mapping of str to float
        Weights after the orders.
    execution_report : sequence of mapping
        `Execution.report`.
    reconciliation_error : float
        ``net`` less what the environment's accounting makes of the same weights and the adjusted returns. What was
        paid out in cash, which adjusted returns keep invested, is counted as if it had been kept.
    """

    account: str
    run_id: str
    week: str
    attempt: int
    decision_sha256: str
    execution_session: str
    mark_session: str
    exit_session: str
    price: str
    dividends: str
    events: Sequence[Mapping[str, Any]]
    cash: float
    shares: Mapping[str, float]
    nav_before: float
    nav_marked: float
    nav: float
    turnover: float
    cost: float
    net: float
    actual_weights: Mapping[str, float]
    execution_report: Sequence[Mapping[str, Any]]
    reconciliation_error: float

    @property
    def log(self) -> str:
        """The account."""
        return self.account

    @property
    def identity(self) -> str:
        """A decision is executed once."""
        return self.run_id

    @property
    def balance(self) -> Balance:
        """What is held at the end."""
        return Balance(self.cash, dict(self.shares))

    def to_values(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


def book_week(
    previous: Booking | None, decision: Decision, tape: Tape, costs: CostConfig, config: AccountConfig
) -> Booking:
    """Execute a decision and carry the account to the next week's execution; pure.

    Parameters
    ----------
    previous : Booking or None
        The last booking of the account.
    decision : Decision
    tape : Tape
        Holds the sessions of the week and the exit session; for a portfolio given in shares also the decision's close.
    costs : CostConfig
    config : AccountConfig

    Returns
    -------
    Booking

    Raises
    ------
    MissingPartitionError
        If the decision continues a week that is not the last one booked.
    ConflictError
        If that week or a later one is booked already.
    MarketDataError
        If a price is missing.
    """
    if previous is not None and decision.week_start <= previous.week:
        raise ConflictError(
            f"The account of {decision.allocator} is booked up to {previous.week}; {decision.run_id} comes too late.",
            todo="leave that week out: an account is kept in the order of its weeks.",
            week=decision.week_start,
        )
    row = calendar.week(decision.week_start)
    bought, sold = row["execution_session"], row["exit_session"]
    marked = calendar.week(calendar.shift_week(decision.week_start, 1))["decision_session"]
    opened = open_account(previous, decision, tape, bought, config)
    done = executed(opened, decision, costs, config, str(bought.date()))
    events = [*opened.events, *done.events]
    carried = Carried(opened.balance.after(done.events), Balance())
    navs = []
    for first, last, look in ((bought, marked, tape.closes), (marked, sold, tape.fills)):
        carried = carry(carried, tape, (first, last), look, config)
        prices = {symbol: carried.prices[symbol] for symbol in carried.balance.shares}
        navs.append(carried.balance.value(prices))
        events += [*carried.events, Event(str(last.date()), "mark", facts={"nav": navs[-1], "prices": prices})]
    net = navs[-1] / done.nav - 1.0
    missed = carried.missed.value(carried.prices) / done.nav
    number, seal = (previous.number, previous.sha256) if previous is not None else (0, GENESIS)
    return Booking(
        number=number + 1,
        previous_sha256=seal,
        account=decision.allocator,
        run_id=decision.run_id,
        week=decision.week_start,
        attempt=decision.attempt,
        decision_sha256=sha256(decision.to_json()),
        execution_session=str(bought.date()),
        mark_session=str(marked.date()),
        exit_session=str(sold.date()),
        price="open" if tape.has_open else "close",
        dividends=("reinvested" if config.reinvest else "cash") if tape.itemised else "in the adjustment of the prices",
        events=[event.to_values() for event in events],
        cash=carried.balance.cash,
        shares=dict(carried.balance.shares),
        nav_before=done.nav,
        nav_marked=navs[0],
        nav=navs[1],
        turnover=done.turnover,
        cost=done.cost,
        net=net,
        actual_weights=dict(done.reached),
        execution_report=[dict(row) for row in done.report],
        reconciliation_error=net + missed - _accounted(done, tape, bought, sold, costs),
    )


@dataclass(frozen=True)
class Opened:
    """An account before the orders of a week.

    Parameters
    ----------
    balance : Balance
    events : tuple of Event
        What made it so: nothing, or a deposit, cash for parts of shares, a value by revised prices.
    prices : mapping of str to float
        USD, of everything held or wanted.
    """

    balance: Balance
    events: tuple[Event, ...]
    prices: Mapping[str, float]


def open_account(
    previous: Booking | None,
    decision: Decision,
    tape: Tape,
    session: pd.Timestamp,
    config: AccountConfig,
    *,
    at_close: bool = False,
) -> Opened:
    """Make an account the portfolio that was decided from: nothing happens, if that is the account itself.

    What a portfolio holds and the market does not know has the price at which it was given, or is as many shares of 1
    USD as it is worth. It is outside the universe, so that it is sold at once.

    Parameters
    ----------
    previous : Booking or None
        The last booking of the account.
    decision : Decision
    tape : Tape
    session : Timestamp
        Whose prices count.
    config : AccountConfig
    at_close : bool
        Whether the closes of that session count, and not the prices of its fills.

    Returns
    -------
    Opened

    Raises
    ------
    MissingPartitionError
        If the decision continues a week that is not the last one booked.
    MarketDataError
        If a price is missing.
    """
    day, look = str(session.date()), tape.closes if at_close else tape.fills
    events, unpriced = _deposited(previous, decision, tape, session, config, at_close)
    balance = (previous.balance if previous is not None else Balance()).after(events)
    chosen = [symbol for symbol, weight in decision.action.items() if symbol != CASH and weight > 0]
    priced = look(session, {*chosen, *balance.shares} - set(unpriced))
    if previous is not None and not events:
        events += _revised(previous, priced, day)
    if config.whole_shares:
        events += cash_in_lieu(balance, priced, day)
        balance = (previous.balance if previous is not None else Balance()).after(events)
    return Opened(balance, tuple(events), {**priced, **unpriced})


def _deposited(
    previous: Booking | None,
    decision: Decision,
    tape: Tape,
    session: pd.Timestamp,
    config: AccountConfig,
    at_close: bool,
) -> tuple[list[Event], dict[str, float]]:
    """Return the events that begin an account, and the prices of what the market does not know."""
    before = decision.portfolio.get("run_id")
    if before is not None:
        if previous is None or previous.run_id != before:
            raise MissingPartitionError(
                f"The paper account continues {before}, but was last booked for "
                f"{previous.run_id if previous is not None else 'nothing'}.",
                todo="materialise paper_account for the weeks before, in order.",
                week=decision.week_start,
            )
        return [], {}
    nav = decision.portfolio.get("nav")
    if nav is None:  # a new account, or one that begins anew in cash
        nav = config.deposit if previous is None else previous.nav
    holdings = decision.portfolio["holdings"]
    stocks = {symbol: weight for symbol, weight in holdings.items() if symbol != CASH and weight > 0}
    foreign = sorted(set(stocks) - set(decision.action) - tape.priced(session, stocks, at_close=at_close))
    quantities = decision.portfolio.get("quantities", {})
    unpriced = {
        symbol: stocks[symbol] * nav / quantities[symbol] if symbol in quantities else 1.0 for symbol in foreign
    }
    look = tape.closes if at_close else tape.fills
    prices = {**look(session, set(stocks) - set(unpriced)), **unpriced}
    shares = {symbol: quantities.get(symbol, weight * nav / prices[symbol]) for symbol, weight in stocks.items()}
    day, facts = str(session.date()), {"source": decision.portfolio["source"], "nav": nav, "prices": prices}
    deposit = Event(day, "deposit", holdings.get(CASH, 0.0) * nav, shares, facts)
    closed = calendar.week(decision.week_start)["decision_session"]  # when shares were counted; values are of now
    known = set(stocks) & set(quantities) - set(unpriced)
    counted = {symbol: shares[symbol] for symbol in tape.priced(closed, known, at_close=True)}
    since = happened(Balance(0.0, counted), tape, (closed, session), config)
    return ([deposit] if previous is None else [previous.balance.emptied(day), deposit]) + since, unpriced


def _revised(previous: Booking, prices: Mapping[str, float], session: str) -> list[Event]:
    """Return that an account which goes on begins with another value than it ended with, if it does."""
    nav = previous.balance.value(prices)
    if abs(nav - previous.nav) <= REVISED * abs(previous.nav):
        return []
    then = previous.events[-1]["facts"]["prices"]
    changed = {symbol: [then[symbol], prices[symbol]] for symbol in previous.shares if then[symbol] != prices[symbol]}
    return [Event(session, "revised_prices", facts={"nav_before": previous.nav, "nav": nav, "prices": changed})]


def executed(opened: Opened, decision: Decision, costs: CostConfig, config: AccountConfig, session: str) -> Execution:
    """Return what a decision's orders do at the prices of an opening; as `execution.execute`."""
    order = (decision.run_id, decision.attempt)
    return execute(opened.balance, decision.action, opened.prices, session, order, costs, config)


def _accounted(done: Execution, tape: Tape, bought: pd.Timestamp, sold: pd.Timestamp, costs: CostConfig) -> float:
    """Return what the week pays by the one accounting, from the weights held to those reached."""
    names = sorted(symbol for symbol, weight in done.reached.items() if symbol != CASH and weight > 0)
    gone = [symbol for symbol in done.held if symbol not in (*names, CASH)]
    held, reached = (
        np.array([[weights.get(name, 0.0) for name in [*names, CASH]]]) for weights in (done.held, done.reached)
    )
    left = np.array([sum(done.held[symbol] for symbol in gone)])
    returns = tape.returns(bought, sold, names)
    return float(settle_batch(reached, held, left, returns[None], costs).net[0])
