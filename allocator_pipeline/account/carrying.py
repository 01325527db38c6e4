"""Carry what an account holds from one session to another: its dividends, its splits, and cash for parts of shares."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import pandas as pd

from allocator_pipeline.account.events import Balance, Event, Kind
from allocator_pipeline.account.tape import Action, Tape
from allocator_pipeline.config import AccountConfig

_ROUNDING = 1e-12
"""A count of shares that lacks less than this of a whole one, relative to itself, is whole."""

_KINDS: dict[str, Kind] = {"split": "split", "dividend": "dividend", "adjustment": "adjustment"}


@dataclass(frozen=True)
class Carried:
    """An account at the end of a span.

    Parameters
    ----------
    balance : Balance
    missed : Balance
        Shares that were paid out in cash since the orders, as they would have grown, and that cash as a debt: its value
        is what the account lacks of one that keeps everything invested, as adjusted prices have it.
    events : tuple of Event
        What happened in the span.
    prices : mapping of str to float
        USD, of everything in ``balance`` and ``missed``.
    """

    balance: Balance
    missed: Balance
    events: tuple[Event, ...] = ()
    prices: Mapping[str, float] = field(default_factory=dict)


def carry(
    before: Carried,
    tape: Tape,
    span: tuple[pd.Timestamp, pd.Timestamp],
    look: Callable[[pd.Timestamp, Iterable[str]], dict[str, float]],
    config: AccountConfig,
) -> Carried:
    """Carry an account over a span.

    Parameters
    ----------
    before : Carried
    tape : Tape
    span : tuple of (Timestamp, Timestamp)
        Actions after the first session and up to the last one count.
    look : callable
        Prices at the end: `Tape.fills` or `Tape.closes`.
    config : AccountConfig

    Returns
    -------
    Carried

    Raises
    ------
    MarketDataError
        If a price is missing.
    """
    balance, missed = before.balance, before.missed
    events: list[Event] = []
    for action in tape.actions(*span, {*balance.shares, *missed.shares}):
        symbol, growth = action.symbol, action.growth - 1.0
        held = balance.shares.get(symbol, 0.0)
        event = _event(action, held, config)
        lacking = held * growth - event.shares.get(symbol, 0.0) + missed.shares.get(symbol, 0.0) * growth
        missed = missed.after([Event(event.session, event.kind, -event.cash, {symbol: lacking})])
        if held:
            events.append(event)
            balance = balance.after([event])
    last = span[1]
    prices = look(last, sorted({*balance.shares, *missed.shares}))
    for event in cash_in_lieu(balance, prices, str(last.date())) if config.whole_shares else []:
        events.append(event)
        balance = balance.after([event])
        returned = {symbol: -change for symbol, change in event.shares.items()}
        missed = missed.after([Event(event.session, event.kind, -event.cash, returned)])
    return Carried(balance, missed, tuple(events), prices)


def happened(
    balance: Balance, tape: Tape, span: tuple[pd.Timestamp, pd.Timestamp], config: AccountConfig
) -> list[Event]:
    """Return what dividends and splits after one session, up to another, do to an account.

    Raises
    ------
    MarketDataError
        If a price is missing.
    """
    events: list[Event] = []
    for action in tape.actions(*span, balance.shares):
        events.append(_event(action, balance.after(events).shares[action.symbol], config))
    return events


def cash_in_lieu(balance: Balance, prices: Mapping[str, float], session: str) -> list[Event]:
    """Return the payment of parts of shares at some prices, as brokers pay them; none where all shares are whole.

    Parameters
    ----------
    balance : Balance
    prices : mapping of str to float
        USD; what has none keeps its parts.
    session : str
        ISO day.

    Returns
    -------
    list of Event
    """
    parts = {
        symbol: count - math.floor(count * (1.0 + _ROUNDING))
        for symbol, count in balance.shares.items()
        if symbol in prices
    }
    parts = {symbol: part for symbol, part in parts.items() if part != 0.0}
    if not parts:
        return []
    paid = math.fsum(part * prices[symbol] for symbol, part in parts.items())
    facts = {"prices": {symbol: prices[symbol] for symbol in parts}}
    return [Event(session, "cash_in_lieu", paid, {symbol: -part for symbol, part in parts.items()}, facts)]


def _event(action: Action, held: float, config: AccountConfig) -> Event:
    session, facts = str(action.session.date()), {"value": action.value}
    if action.kind == "dividend" and not config.reinvest:
        return Event(session, "dividend", held * action.value, facts={**facts, "symbol": action.symbol})
    return Event(session, _KINDS[action.kind], shares={action.symbol: held * (action.growth - 1.0)}, facts=facts)
