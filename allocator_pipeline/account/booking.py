"""One week of a paper account: its orders filled, its dividends and splits, its value at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from allocator_pipeline.account.events import Balance, Event
from allocator_pipeline.account.execution import Execution, execute
from allocator_pipeline.account.tape import Action, Tape
from allocator_pipeline.atomic import sha256
from allocator_pipeline.config import CASH, AccountConfig, CostConfig
from allocator_pipeline.errors import ConflictError, MissingPartitionError
from allocator_pipeline.experience.records import Decision
from allocator_pipeline.market import calendar
from allocator_pipeline.portfolio.rollout import settle_batch
from allocator_pipeline.registry.chain import GENESIS, Link


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
        ``net`` less what the environment's accounting makes of the same weights and the adjusted returns.
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
        Holds the sessions of the week, the exit session and the session before them.
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
    events, unpriced = _opening(previous, decision, tape, bought, config)
    balance = (previous.balance if previous is not None else Balance()).after(events)

    chosen = [symbol for symbol, weight in decision.action.items() if symbol != CASH and weight > 0]
    prices = {**tape.fills(bought, {*chosen, *balance.shares} - set(unpriced)), **unpriced}
    done = execute(
        balance, decision.action, prices, str(bought.date()), (decision.run_id, decision.attempt), costs, config
    )
    events += done.events
    balance = balance.after(done.events)
    navs = []
    for first, last, look in ((bought, marked, tape.closes), (marked, sold, tape.fills)):
        for action in tape.actions(first, last, balance.shares):
            events.append(_event(action, balance, config))
            balance = balance.after(events[-1:])
        prices = look(last, balance.shares)
        navs.append(balance.value(prices))
        events.append(Event(str(last.date()), "mark", facts={"nav": navs[-1], "prices": prices}))
    net = navs[-1] / done.nav - 1.0
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
        cash=balance.cash,
        shares=dict(balance.shares),
        nav_before=done.nav,
        nav_marked=navs[0],
        nav=navs[1],
        turnover=done.turnover,
        cost=done.cost,
        net=net,
        actual_weights=dict(done.reached),
        execution_report=[dict(row) for row in done.report],
        reconciliation_error=net - _accounted(done, tape, bought, sold, costs),
    )


def _opening(
    previous: Booking | None, decision: Decision, tape: Tape, bought: pd.Timestamp, config: AccountConfig
) -> tuple[list[Event], dict[str, float]]:
    """Return what makes the account the portfolio that was decided from: nothing, if that is the account itself.

    With it come the prices of what the portfolio holds and the market does not know: 1 USD, of as many shares as it is
    worth. It is outside the universe, so that it is sold at once.
    """
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
    session = str(bought.date())
    nav = decision.portfolio.get("nav")
    if nav is None:  # a new account, or one that begins anew in cash
        nav = config.deposit if previous is None else previous.nav
    holdings = decision.portfolio["holdings"]
    stocks = {symbol: weight for symbol, weight in holdings.items() if symbol != CASH and weight > 0}
    unpriced = dict.fromkeys(sorted(set(stocks) - set(decision.action) - tape.priced(bought, stocks)), 1.0)
    prices = {**tape.fills(bought, set(stocks) - set(unpriced)), **unpriced}
    shares = {symbol: weight * nav / prices[symbol] for symbol, weight in stocks.items()}
    facts = {"source": decision.portfolio["source"], "nav": nav, "prices": prices}
    deposit = Event(session, "deposit", holdings.get(CASH, 0.0) * nav, shares, facts)
    return ([deposit] if previous is None else [previous.balance.emptied(session), deposit]), unpriced


def _event(action: Action, balance: Balance, config: AccountConfig) -> Event:
    held, session = balance.shares[action.symbol], str(action.session.date())
    facts = {"value": action.value}
    if action.kind == "dividend" and not config.reinvest:
        return Event(session, "dividend", held * action.value, facts={**facts, "symbol": action.symbol})
    kind = {"split": "split", "dividend": "dividend"}.get(action.kind, "adjustment")
    return Event(session, kind, shares={action.symbol: held * (action.growth - 1.0)}, facts=facts)  # type: ignore[arg-type]


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
