"""The accounting of a week, and the walk of an allocator over weeks.

There is one accounting: `settle_batch`, in arrays. Environments call it for many portfolios at once, a walk for all its
weeks once they are decided, `settle` for one portfolio and week; so training, evaluation and labelling cannot disagree
about what a week paid.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from allocator_pipeline.config import CASH, N_STOCKS, CostConfig
from allocator_pipeline.errors import NotEnoughDataError, WeightsError
from allocator_pipeline.portfolio.constraints import N_ASSETS, check_weights
from allocator_pipeline.portfolio.costs import trading_cost, turnover
from allocator_pipeline.portfolio.rewards import reward, wealth_multiplier
from allocator_pipeline.portfolio.state import Observation, StateTensors

Holdings = dict[str, float]
"""Weight by symbol, CASH among them, sum 1. What is outside the universe is allowed: the next decision sells it."""

ALL_CASH: Mapping[str, float] = {CASH: 1.0}


@dataclass(frozen=True)
class Settlement:
    """What a week did to N portfolios; every array (numpy or torch) has shape (N,) but ``held_after``.

    Parameters
    ----------
    turnover : array
        One-way turnover, what left the universe included.
    cost : array
        Cost of it as a share of wealth.
    gross : array
        Simple return of the target weights.
    net : array
        Simple return after costs.
    reward : array
        Scaled log of ``1 + net``.
    held_after : array, shape (N, 16)
        Weights after the week's returns.
    """

    turnover: Any
    cost: Any
    gross: Any
    net: Any
    reward: Any
    held_after: Any


@dataclass(frozen=True)
class WeekResult:
    """What a week did to one portfolio: as `Settlement`, with numbers, and ``held_after`` by symbol."""

    turnover: float
    cost: float
    gross: float
    net: float
    reward: float
    held_after: Holdings


@dataclass(frozen=True)
class Rollout:
    """An allocator's way through T weeks.

    Parameters
    ----------
    weeks : ndarray of datetime64[D], shape (T,)
    symbols : ndarray of str, shape (T, 15)
    targets : ndarray, shape (T, 16)
        Target weights, CASH last.
    turnover, cost, gross, net, reward : ndarray, shape (T,)
        As in `Settlement`.
    holdings_after : Holdings
        Weights after the last week's returns: what the next week's turnover is measured from.
    observed_after : Holdings
        The same as known at the next decision's close, which comes before the exit: what may be observed.
    """

    weeks: np.ndarray
    symbols: np.ndarray
    targets: np.ndarray
    turnover: np.ndarray
    cost: np.ndarray
    gross: np.ndarray
    net: np.ndarray
    reward: np.ndarray
    holdings_after: Holdings
    observed_after: Holdings


def drift(target: Any, moves: Any) -> Any:
    """Return weights after prices moved, of numpy arrays or torch tensors.

    Parameters
    ----------
    target : array, shape (..., 16)
    moves : array, shape (..., 15)
        Simple returns of the stocks; cash stays.

    Returns
    -------
    array, shape (..., 16)
    """
    xp = array_namespace(target)
    grown = xp.concat([target[..., :-1] * (1.0 + moves), target[..., -1:]], axis=-1)
    return grown / grown.sum(axis=-1, keepdims=True)


def settle_batch(target: Any, held: Any, left: Any, returns: Any, costs: CostConfig) -> Settlement:
    """Account for one week of N portfolios, in numpy or, differentiably, in torch.

    The turnover from ``held`` to ``target`` is paid first, then the target earns the week's returns:
    ``1 + net = (1 - cost) (1 + w . r)``.

    Parameters
    ----------
    target : array, shape (N, 16)
        Weights wanted, CASH last. Any axes may stand before the last.
    held : array, shape (N, 16)
        Weights at execution, in the slots of this week.
    left : array, shape (N,)
        Weight at execution of what is no longer in the universe; it is sold.
    returns : array, shape (N, 15)
        Simple returns of the week, finite and above -1; callers check them once.
    costs : CostConfig

    Returns
    -------
    Settlement
    """
    traded = turnover(target, held, left)
    cost = trading_cost(traded, costs)
    gross = (target[..., :-1] * returns).sum(axis=-1)
    multiplier = wealth_multiplier(gross, cost)
    return Settlement(
        turnover=traded,
        cost=cost,
        gross=gross,
        net=multiplier - 1.0,
        reward=reward(multiplier, costs),
        held_after=drift(target, returns),
    )


def settle(
    target: np.ndarray, symbols: Sequence[str] | np.ndarray, holdings: Mapping[str, float], returns: np.ndarray,
    costs: CostConfig,
) -> WeekResult:  # fmt: skip
    """Account for one week of one portfolio held by symbol.

    Parameters
    ----------
    target : ndarray, shape (16,)
        Weights wanted, CASH last: at least 0, sum 1.
    symbols : sequence of str, length 15
        The symbol in each slot.
    holdings : Holdings
        Weights at execution. What is outside ``symbols`` is sold, at cost.
    returns : ndarray, shape (15,)
        Simple returns from this week's execution to the next week's.
    costs : CostConfig

    Returns
    -------
    WeekResult

    Raises
    ------
    WeightsError
        If target, holdings or returns are not finite, target or holdings are no portfolio, or a return is -1 or less.
    """
    target = np.asarray(target, dtype=np.float64)
    returns = check_returns(returns)
    _check_portfolio(target, "target")
    held, left = in_slots(holdings, symbols)
    week = settle_batch(target[None], held[None], np.array([left]), returns[None], costs)
    return WeekResult(
        turnover=float(week.turnover[0]),
        cost=float(week.cost[0]),
        gross=float(week.gross[0]),
        net=float(week.net[0]),
        reward=float(week.reward[0]),
        held_after=as_holdings(week.held_after[0], symbols),
    )


def observed_weights(holdings: Mapping[str, float], symbols: Sequence[str] | np.ndarray) -> np.ndarray:
    """Return holdings as the 16 weights of an observation; what is outside the universe, to be sold, counts as CASH.

    Raises
    ------
    WeightsError
        If the holdings are not finite, negative, or do not sum to 1.
    """
    weights, left = in_slots(holdings, symbols)
    weights[-1] += left
    return weights


def as_holdings(weights: np.ndarray, symbols: Sequence[str] | np.ndarray) -> Holdings:
    """Return weights of shape (16,) by symbol, without those that are zero; CASH is always there."""
    held = {str(symbol): float(weight) for symbol, weight in zip(symbols, weights[:-1], strict=True) if weight > 0}
    return {**held, CASH: float(weights[-1])}


def simulate(
    decide: Callable[[Observation], np.ndarray],
    states: StateTensors,
    costs: CostConfig,
    holdings: Mapping[str, float] | None = None,
    observed: Mapping[str, float] | None = None,
) -> Rollout:
    """Let an allocator decide week after week, each time holding what its last decision has become.

    Parameters
    ----------
    decide : callable
        From an `Observation` to target weights of shape (16,); an `Allocator.target_weights`.
    states : StateTensors
        Weeks in order, all with known returns and marks.
    costs : CostConfig
    holdings : Holdings, optional
        What is held at the first execution; all cash if absent. A former rollout's ``holdings_after`` carries on.
    observed : Holdings, optional
        What the first decision may see of it: the former rollout's ``observed_after``. Defaults to ``holdings``.

    Returns
    -------
    Rollout

    Raises
    ------
    NotEnoughDataError
        If there is no week, or a week's return or mark is not known yet.
    WeightsError
        If a decision breaks a constraint; it names the week.
    """
    check_known(states)
    start: Mapping[str, float] = ALL_CASH if holdings is None else holdings
    if not len(states):
        raise NotEnoughDataError("There are no weeks to walk.", todo="pass at least one week.")
    symbols, moved = states.symbols, np.r_[False, (states.symbols[1:] != states.symbols[:-1]).any(axis=1)]
    targets = np.empty((len(states), N_ASSETS))
    seen = observed_weights(start if observed is None else observed, symbols[0])
    for t in range(len(states)):
        if moved[t]:
            seen = observed_weights(as_holdings(seen, symbols[t - 1]), symbols[t])
        try:
            targets[t] = check_weights(decide(states.observation(t, seen)), costs)
        except WeightsError as error:
            raise WeightsError(error.problem, todo=error.todo, week=str(states.weeks[t])) from error
        seen = drift(targets[t], states.marks[t])
    held, left = _held_at_execution(targets, states, moved, start)
    account = settle_batch(targets, held, left, states.returns, costs)
    return Rollout(
        weeks=states.weeks,
        symbols=symbols,
        targets=targets,
        turnover=account.turnover,
        cost=account.cost,
        gross=account.gross,
        net=account.net,
        reward=account.reward,
        holdings_after=as_holdings(account.held_after[-1], symbols[-1]),
        observed_after=as_holdings(seen, symbols[-1]),
    )


def _held_at_execution(
    targets: np.ndarray, states: StateTensors, moved: np.ndarray, start: Mapping[str, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Return what is held when each week is executed: weights by slot, shape (T, 16), and outside the slots, (T,)."""
    held, left = np.empty_like(targets), np.zeros(len(targets))
    held[0], left[0] = in_slots(start, states.symbols[0])
    held[1:] = drift(targets[:-1], states.returns[:-1])
    for t in np.flatnonzero(moved):  # symbols have changed slots
        held[t], left[t] = in_slots(as_holdings(held[t], states.symbols[t - 1]), states.symbols[t])
    return held, left


def check_known(states: StateTensors) -> None:
    """Raise where a week's return or mark is not known yet, or is no return.

    Raises
    ------
    NotEnoughDataError
        Naming the first week that is not known.
    WeightsError
        Naming the first week with a return of -1 or less.
    """
    unknown = ~(states.known & np.isfinite(states.marks).all(axis=1))
    if unknown.any():
        raise NotEnoughDataError(
            "The week's returns are not known yet.",
            todo="leave it out, or wait for the next week's execution price.",
            week=str(states.weeks[unknown][0]),
        )
    worthless = (states.returns <= -1.0).any(axis=1) | (states.marks <= -1.0).any(axis=1)
    if worthless.any():
        raise WeightsError(
            "A return is -1 or less.", todo="mend the prices of that week.", week=str(states.weeks[worthless][0])
        )


def check_returns(returns: np.ndarray) -> np.ndarray:
    """Return the 15 returns of a week as float64 if they are finite and above -1.

    Raises
    ------
    WeightsError
        If they are not.
    """
    returns = np.asarray(returns, dtype=np.float64)
    if returns.shape != (N_STOCKS,) or not np.isfinite(returns).all() or (returns <= -1.0).any():
        raise WeightsError(
            "A week's returns must be 15 finite numbers above -1.",
            todo="mend the prices, or wait until they are known.",
        )
    return returns


def in_slots(holdings: Mapping[str, float], symbols: Sequence[str] | np.ndarray) -> tuple[np.ndarray, float]:
    """Return holdings as weights by slot, shape (16,), CASH last, and the weight of what is in no slot.

    Raises
    ------
    WeightsError
        If the holdings are not finite, negative, or do not sum to 1.
    """
    _check_portfolio(np.array(list(holdings.values()), dtype=np.float64), "holdings")
    names = [*(str(symbol) for symbol in symbols), CASH]
    held = np.array([holdings.get(name, 0.0) for name in names], dtype=np.float64)
    return held, float(sum(weight for symbol, weight in holdings.items() if symbol not in names))


def _check_portfolio(weights: np.ndarray, name: str) -> None:
    if not np.isfinite(weights).all() or weights.min(initial=0.0) < 0.0 or abs(weights.sum() - 1.0) > 1e-9:
        raise WeightsError(
            f"The {name} are no portfolio: weights must be finite, not negative and sum to 1.",
            todo="normalise cash and market values to weights.",
        )
