"""Fill the orders of a week: from what an account holds to what it was told to hold, and the fee for it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from allocator_pipeline.account.events import Balance, Event
from allocator_pipeline.config import CASH, AccountConfig, CostConfig
from allocator_pipeline.portfolio.costs import trading_cost, turnover
from allocator_pipeline.portfolio.orders import orders_preview
from allocator_pipeline.portfolio.rollout import Holdings

_ROUNDS = 100
_EXACT = 1e-15


@dataclass(frozen=True)
class Execution:
    """What the orders of a week did.

    Parameters
    ----------
    events : tuple of Event
        Fills, sells first, and the cost.
    report : tuple of mapping
        ``symbol, side, intended_qty, filled_qty, filled_avg_price, status, client_order_id`` by order.
    nav : float
        Net asset value before, USD.
    held, reached : Holdings
        Weights before and after.
    turnover : float
        One-way, from ``held`` to ``reached``.
    cost : float
        Fee as a share of ``nav``.
    """

    events: tuple[Event, ...]
    report: tuple[Mapping[str, Any], ...]
    nav: float
    held: Holdings
    reached: Holdings
    turnover: float
    cost: float


def execute(
    balance: Balance,
    target: Mapping[str, float],
    prices: Mapping[str, float],
    session: str,
    order: tuple[str, int],
    costs: CostConfig,
    config: AccountConfig,
) -> Execution:
    """Trade to target weights at given prices.

    Sells come first; buys are scaled to cash and proceeds less the fee. What scaling and rounding bring below the least
    order is left out, and not made up for. The fee is what the one cost model charges for the turnover from the weights
    held to the weights reached, the fee paid: a fixed point, found by iteration, which makes the account the
    environment's ``(1 - cost) (1 + w . r)`` for any thresholds and sizes of shares.

    Parameters
    ----------
    balance : Balance
    target : mapping of str to float
        Weight by symbol and CASH, sum 1; what is held but not named is sold.
    prices : mapping of str to float
        USD, of everything held or wanted.
    session : str
        ISO day of the fills.
    order : tuple of (str, int)
        Run id and attempt, for the orders' identities.
    costs : CostConfig
    config : AccountConfig

    Returns
    -------
    Execution

    Raises
    ------
    MarketDataError
        If a price is missing.
    """
    nav, held = balance.value(prices), balance.weights(prices)
    fee = float(trading_cost(_turnover(held, target), costs))
    wanted = {symbol: weight * (1.0 - fee) for symbol, weight in target.items() if symbol != CASH}
    orders = orders_preview(*order, wanted, held, nav, config.min_order_share, config.min_order_usd)
    sells = _sold(orders, balance, prices, nav, config)
    buys = {one["symbol"]: one["notional"] for one in orders if one["side"] == "BUY"}
    cash = balance.cash - math.fsum(count * prices[symbol] for symbol, count in sells.items())
    for _ in range(_ROUNDS):
        trades = sells | _bought(buys, cash - fee * nav, prices, nav, config)
        trades = {symbol: count for symbol, count in trades.items() if count != 0.0}
        reached, charged = _charged(balance, trades, prices, nav, held, costs)
        if charged <= fee + _EXACT:  # else the fee of what was bought is more than was kept for it
            break
        fee = charged
    fills = _fills(orders, trades, prices, session)
    paid = [Event(session, "cost", -charged * nav, {}, {"share_of_nav": charged})] if charged else []
    return Execution(
        events=(*fills, *paid),
        report=tuple(_reported(fill) for fill in fills),
        nav=nav,
        held=held,
        reached=reached,
        turnover=_turnover(held, reached),
        cost=charged,
    )


def _sold(
    orders: Sequence[Mapping[str, Any]],
    balance: Balance,
    prices: Mapping[str, float],
    nav: float,
    config: AccountConfig,
) -> dict[str, float]:
    """Return the shares that are sold, as negative numbers."""
    counts = {
        one["symbol"]: _shares(one["notional"] / prices[one["symbol"]], config, balance.shares[one["symbol"]])
        for one in orders
        if one["side"] == "SELL"
    }
    return {
        symbol: -count
        for symbol, count in counts.items()
        if not config.whole_shares  # which alone makes a sale smaller
        or count == balance.shares[symbol]
        or _large(count * prices[symbol], nav, config)
    }


def _fills(
    orders: Sequence[Mapping[str, Any]], trades: Mapping[str, float], prices: Mapping[str, float], session: str
) -> list[Event]:
    identities = {one["symbol"]: (one["side"], one["client_order_id"]) for one in orders}
    return [
        Event(
            session,
            "fill",
            -count * prices[symbol],
            {symbol: count},
            {"price": prices[symbol], "side": identities[symbol][0], "client_order_id": identities[symbol][1]},
        )
        for symbol, count in trades.items()
    ]


def _shares(count: float, config: AccountConfig, held: float = math.inf) -> float:
    """Return how many shares are traded: all that are held where next to all are meant, else whole ones if so set."""
    if count >= held * (1.0 - 1e-12):
        return held
    return float(math.floor(count * (1.0 + 1e-12))) if config.whole_shares else count


def _large(value: float, nav: float, config: AccountConfig) -> bool:
    """Tell whether a fill, in USD, is not below the least order."""
    return value * (1.0 + 1e-12) >= max(config.min_order_usd, config.min_order_share * nav)


def _bought(
    buys: Mapping[str, float], available: float, prices: Mapping[str, float], nav: float, config: AccountConfig
) -> dict[str, float]:
    """Return shares bought with at most the cash there is."""
    scale = min(1.0, max(0.0, available) / math.fsum(buys.values())) if buys else 1.0
    counts = {symbol: _shares(notional * scale / prices[symbol], config) for symbol, notional in buys.items()}
    return {symbol: count for symbol, count in counts.items() if _large(count * prices[symbol], nav, config)}


def _charged(
    balance: Balance,
    trades: Mapping[str, float],
    prices: Mapping[str, float],
    nav: float,
    held: Holdings,
    costs: CostConfig,
) -> tuple[Holdings, float]:
    """Return the weights that trades lead to, and the fee for them as a share of net asset value."""
    if not trades:
        return dict(held), 0.0
    after = balance.after([Event("", "fill", 0.0, trades)])
    charged = 0.0
    for _ in range(_ROUNDS):
        wealth = nav * (1.0 - charged)
        stocks = {symbol: count * prices[symbol] / wealth for symbol, count in after.shares.items()}
        reached = {**stocks, CASH: 1.0 - math.fsum(stocks.values())}
        again = float(trading_cost(_turnover(held, reached), costs))
        if abs(again - charged) <= _EXACT * 0.1:
            break
        charged = again
    return reached, charged


def _turnover(held: Mapping[str, float], target: Mapping[str, float]) -> float:
    names = sorted({*held, *target})
    before, after = (np.array([weights.get(name, 0.0) for name in names]) for weights in (held, target))
    return float(turnover(after, before))


def _reported(fill: Event) -> dict[str, Any]:
    ((symbol, count),) = fill.shares.items()
    return {
        "symbol": symbol,
        "side": fill.facts["side"],
        "intended_qty": abs(count),
        "filled_qty": abs(count),
        "filled_avg_price": fill.facts["price"],
        "status": "filled_on_paper",
        "client_order_id": fill.facts["client_order_id"],
    }
