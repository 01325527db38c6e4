"""Target weights of a week: from a champion, a state and the portfolio held.

The portfolio is one of three: a snapshot of cash and positions; the paper account, which is what last week's decision
has become; or all cash.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from allocator_pipeline.allocators.base import Allocator
from allocator_pipeline.allocators.baselines import EqualWeight
from allocator_pipeline.config import CASH, N_STOCKS, CostConfig, GateConfig
from allocator_pipeline.errors import ConfigurationError, ConflictError
from allocator_pipeline.experience.records import (
    Decision,
    decision_due,
    run_id,
    state_values,
    week_end,
)
from allocator_pipeline.market import calendar
from allocator_pipeline.paths import safe_name
from allocator_pipeline.portfolio.constraints import check_weights
from allocator_pipeline.portfolio.orders import orders_preview
from allocator_pipeline.portfolio.rollout import (
    ALL_CASH,
    Holdings,
    as_holdings,
    check_returns,
    drift,
    observed_weights,
    settle,
)
from allocator_pipeline.portfolio.state import StateTensors
from allocator_pipeline.registry.gate import served

MAX_SNAPSHOT_BYTES = 2**20


@dataclass(frozen=True)
class Portfolio:
    """What is held before a decision.

    Parameters
    ----------
    source : {"cash", "paper", "given"}
        Nothing yet; last week's decision, drifted; or a snapshot.
    holdings : Holdings
        Weight by symbol and CASH, as known at the decision; symbols outside the universe are allowed.
    nav : float or None
        Net asset value in USD, if known.
    run_id : str or None
        The decision that a paper account continues.
    quantities : mapping of str to float
        Shares by symbol, of the positions that a snapshot gives in shares.
    """

    source: str
    holdings: Holdings
    nav: float | None = None
    run_id: str | None = None
    quantities: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class TargetWeights:
    """A decision before it is recorded.

    Parameters
    ----------
    allocator, version : str
        Who decided: a policy's version, or ``equal_weight`` where the gate served that in its place.
    week : str
        ISO Monday.
    target : mapping of str to float
        Weight by symbol and CASH.
    current : mapping of str to float
        Weight by symbol and CASH as observed; what leaves the universe counts as CASH.
    sold : mapping of str to float
        Weights held outside the universe, all to be sold.
    turnover : float
        One-way, as a share of net asset value.
    portfolio : Portfolio
    state : mapping
        What the policy saw, as `experience.records.state_values` writes it.
    orders : tuple of mapping
        Preview, sells before buys; empty if the net asset value is not known.
    """

    allocator: str
    version: str
    week: str
    target: Mapping[str, float]
    current: Mapping[str, float]
    sold: Mapping[str, float]
    turnover: float
    portfolio: Portfolio
    state: Mapping[str, Any]
    orders: tuple[Mapping[str, Any], ...]


def read_portfolio(
    snapshot: Path | Mapping[str, Any], closes: Callable[[], Mapping[str, float]] | None = None
) -> Portfolio:
    """Read and normalise a portfolio snapshot.

    Parameters
    ----------
    snapshot : Path or mapping
        ``{"cash": 1200.0, "positions": [{"symbol": "AAPL", "qty": 2, "market_value": 300.0}]}`` in shares and USD, as a
        JSON file or as values. A position may give ``qty`` alone, or ``market_value`` alone. ``cash_value`` is read as
        ``cash``; further fields are ignored.
    closes : callable, optional
        Closes of the decision by symbol, USD: what a position of ``qty`` alone is valued at.

    Returns
    -------
    Portfolio

    Raises
    ------
    ConfigurationError
        If it is absent, malformed, worth nothing, a value is negative, not finite or given twice, or a position of
        ``qty`` alone has no close.
    """
    source = str(snapshot) if isinstance(snapshot, Path) else "run config"
    values = _read_json(snapshot, source) if isinstance(snapshot, Path) else snapshot
    if not isinstance(values, Mapping) or ("cash" in values) == ("cash_value" in values):
        raise _bad_snapshot("it must hold cash (once) and positions", source)
    positions = values.get("positions", [])
    if not isinstance(positions, list | tuple):
        raise _bad_snapshot("positions must be a list", source)
    held = {CASH: _dollars(values.get("cash", values.get("cash_value")), CASH, source)}
    quantities = {}
    for position in positions:
        if not isinstance(position, Mapping) or "symbol" not in position or not {"qty", "market_value"} & set(position):
            raise _bad_snapshot("each position needs symbol, and qty or market_value", source)
        symbol = safe_name(position["symbol"], "symbol")
        if symbol in held:
            raise _bad_snapshot("a symbol is given twice, or is CASH", source, symbol)
        if "qty" in position:
            quantities[symbol] = _shares(position["qty"], symbol, source)
        if "market_value" in position:
            held[symbol] = _dollars(position["market_value"], symbol, source)
        else:
            held[symbol] = quantities[symbol] * _close(symbol, closes, source)
        if held[symbol] and quantities.get(symbol) == 0.0:
            raise _bad_snapshot(f"no share is worth {held[symbol]} USD", source, symbol)
    nav = sum(held.values())
    if not math.isfinite(nav) or nav <= 0:
        raise _bad_snapshot(f"it is worth {nav}", source)
    weights = {symbol: value / nav for symbol, value in held.items() if value > 0 or symbol == CASH}
    total = math.fsum(weights.values())
    holdings = {symbol: weight / total for symbol, weight in weights.items()}
    counted = {symbol: count for symbol, count in quantities.items() if symbol in holdings}
    return Portfolio("given", holdings, nav, quantities=counted)


def paper_portfolio(previous: Decision | None, week: str | pd.Timestamp, states: StateTensors) -> Portfolio:
    """Return what last week's decision has become by this week's decision.

    Parameters
    ----------
    previous : Decision or None
        The decision of the week before; ``None`` (nothing was decided then) starts a paper account in cash.
    week : str or Timestamp
        The week to decide.
    states : StateTensors
        Hold the week before, with its marks known.

    Returns
    -------
    Portfolio

    Raises
    ------
    ConflictError
        If ``previous`` is of another week, or of another universe than the states.
    NotEnoughDataError, WeightsError
        If the week before is not in the states, or its marks are not known.
    """
    if previous is None:
        return Portfolio("cash", dict(ALL_CASH))
    before = str(calendar.shift_week(week, -1).date())
    row = states.row(before)
    names = [*states.symbols[row].tolist(), CASH]
    if previous.week_start != before or set(previous.action) != set(names):
        raise ConflictError(
            f"{previous.run_id} is not the paper account of that week, or its universe has changed since.",
            todo="pass the decision of the week before, and the state tensors it was made from.",
            week=before,
        )
    target = np.array([previous.action[name] for name in names])
    moved = drift(target, check_returns(states.marks[row]))
    return Portfolio("paper", as_holdings(moved, states.symbols[row]), run_id=previous.run_id)


def in_service(
    champion: tuple[str, Allocator], *, proven: bool, gate: GateConfig, costs: CostConfig
) -> tuple[str, Allocator]:
    """Return who decides: the champion, or equal weight where the gate demands a badge that the champion lacks.

    Parameters
    ----------
    champion : tuple of (str, Allocator)
        Version and policy.
    proven : bool
        Whether it has the badge.
    gate : GateConfig
    costs : CostConfig

    Returns
    -------
    tuple of (str, Allocator)
        Version, or ``equal_weight``, and what decides.
    """
    name = served(champion[0], proven=proven, gate=gate)
    return champion if name == champion[0] else (name, EqualWeight(costs))


def decide(
    allocator: str,
    decider: tuple[str, Allocator],
    states: StateTensors,
    week: str | pd.Timestamp,
    portfolio: Portfolio,
    costs: CostConfig,
    attempt: int = 1,
) -> TargetWeights:
    """Decide one week; a pure function of who decides, state and portfolio.

    Parameters
    ----------
    allocator : str
    decider : tuple of (str, Allocator)
        Version and policy in force at the week's decision, or the anchor baseline's name and rule; see `in_service`.
    states : StateTensors
        Hold the week.
    week : str or Timestamp
        Its Monday.
    portfolio : Portfolio
    costs : CostConfig
    attempt : int
        Which attempt the order identities name.

    Returns
    -------
    TargetWeights

    Raises
    ------
    NotEnoughDataError
        If the states do not hold the week.
    WeightsError
        If the policy's weights are not finite or break a constraint, or the holdings are no portfolio.
    """
    version, policy = decider
    row = states.row(week)
    key, symbols = str(states.weeks[row]), states.symbols[row]
    observation = states.observation(row, observed_weights(portfolio.holdings, symbols))
    target = check_weights(policy.target_weights(observation), costs)
    names = [*symbols.tolist(), CASH]
    wanted = dict(zip(names, target.tolist(), strict=True))
    traded = settle(target, symbols, portfolio.holdings, np.zeros(N_STOCKS), costs)
    nav, run = portfolio.nav, run_id(key, allocator)
    return TargetWeights(
        allocator=allocator,
        version=version,
        week=key,
        target=wanted,
        current=dict(zip(names, observation.weights.tolist(), strict=True)),
        sold={symbol: weight for symbol, weight in portfolio.holdings.items() if symbol not in names and weight > 0},
        turnover=traded.turnover,
        portfolio=portfolio,
        state=state_values(observation),
        orders=tuple(orders_preview(run, attempt, wanted, portfolio.holdings, nav)) if nav is not None else (),
    )


def decision_record(decided: TargetWeights, attempt: int = 1, fallback: str | None = None) -> Decision:
    """Return the record of a decision for the experience store; ``fallback`` as in `registry.serving.Served`."""
    portfolio: dict[str, Any] = {"source": decided.portfolio.source, "holdings": dict(decided.portfolio.holdings)}
    if decided.portfolio.run_id is not None:
        portfolio["run_id"] = decided.portfolio.run_id
    if decided.portfolio.quantities:
        portfolio["quantities"] = dict(decided.portfolio.quantities)
    if decided.portfolio.nav is not None:
        portfolio |= {"nav": decided.portfolio.nav, "orders": [dict(order) for order in decided.orders]}
    return Decision(
        run_id=run_id(decided.week, decided.allocator),
        week_start=decided.week,
        week_end=week_end(decided.week),
        allocator=decided.allocator,
        policy_version=decided.version,
        state=decided.state,
        action=decided.target,
        turnover=decided.turnover,
        portfolio=portfolio,
        decided_at=decision_due(decided.week),
        attempt=attempt,
        fallback=fallback,
    )


def _dollars(value: Any, symbol: str, source: str) -> float:
    try:
        amount = math.nan if isinstance(value, bool | str) else float(value)
    except (TypeError, ValueError, OverflowError):
        amount = math.nan
    if not math.isfinite(amount) or amount < 0:
        raise _bad_snapshot(f"{str(value)[:40]!r} is no amount in USD (0 or more)", source, symbol)
    return amount


def _shares(value: Any, symbol: str, source: str) -> float:
    """Return a count of shares; brokers write it as text, too."""
    try:
        count = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        count = math.nan
    if not math.isfinite(count) or count < 0:
        raise _bad_snapshot(f"{str(value)[:40]!r} is no count of shares (0 or more)", source, symbol)
    return count


def _close(symbol: str, closes: Callable[[], Mapping[str, float]] | None, source: str) -> float:
    price = closes().get(symbol) if closes is not None else None
    if price is None:
        raise _bad_snapshot(
            "qty without market_value needs a close of that session, which is not there", source, symbol
        )
    return price


def _read_json(path: Path, source: str) -> Any:
    try:
        if path.stat().st_size > MAX_SNAPSHOT_BYTES:
            raise ValueError("it is larger than 1 MiB")
        return json.loads(path.read_bytes(), object_pairs_hook=_unique_keys)
    except (OSError, ValueError, RecursionError) as error:
        raise _bad_snapshot(str(error), source) from error


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a field is given twice")
    return values


def _bad_snapshot(why: str, source: str, symbol: str | None = None) -> ConfigurationError:
    return ConfigurationError(
        f"The portfolio cannot be used: {why}.",
        todo='write {"cash": 1200.0, "positions": [{"symbol": "AAPL", "qty": 2, "market_value": 300.0}]} in USD.',
        source=source,
        symbol=symbol,
    )
