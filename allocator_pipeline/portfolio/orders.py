"""Orders that lead from what is held to target weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from allocator_pipeline.config import CASH

MIN_ORDER_SHARE = 0.01
MIN_ORDER_USD = 10.0
_NOTHING = 1e-9
"""A target weight below this is a full exit."""


def client_order_id(run: str, attempt: int, symbol: str, side: str) -> str:
    """Return the identity of an order: ``{run_id}:attempt-{N}:{SYMBOL}:{BUY|SELL}``."""
    return f"{run}:attempt-{attempt}:{symbol}:{side}"


def orders_preview(
    run: str,
    attempt: int,
    target: Mapping[str, float],
    holdings: Mapping[str, float],
    nav: float,
    min_share: float = MIN_ORDER_SHARE,
    min_usd: float = MIN_ORDER_USD,
) -> list[dict[str, Any]]:
    """Return the orders that lead from a portfolio of known value to target weights.

    Changes under 1 % of net asset value (full exits exempt) or under 10 USD are skipped; what is held but not named has
    left the universe and is sold whatever it is worth. Buys are scaled down to cash plus sale proceeds. Sells come
    first.

    Parameters
    ----------
    run : str
        Run id, part of each order's identity.
    attempt : int
    target : mapping of str to float
        Weight by symbol and CASH.
    holdings : mapping of str to float
        Weight by symbol and CASH.
    nav : float
        Net asset value, USD.
    min_share : float
        Least change as a share of net asset value.
    min_usd : float
        Least change in USD.

    Returns
    -------
    list of dict
        ``symbol, side, notional`` (USD), ``status`` ("preview") and ``client_order_id``.
    """
    changes = {}
    for symbol in sorted({*target, *holdings} - {CASH}):
        held, wanted = holdings.get(symbol, 0.0), target.get(symbol, 0.0)
        change = (wanted - held) * nav
        full_exit = held > 0 and wanted < _NOTHING
        large = abs(change) >= min_usd and (full_exit or abs(change) >= min_share * nav)
        if change and (large or symbol not in target):
            changes[symbol] = change
    sells = {symbol: -change for symbol, change in changes.items() if change < 0}
    buys = {symbol: change for symbol, change in changes.items() if change > 0}
    available = holdings.get(CASH, 0.0) * nav + sum(sells.values())
    scale = min(1.0, max(0.0, available) / sum(buys.values())) if buys else 1.0
    scaled = {symbol: change * scale for symbol, change in buys.items() if scale > 0 and change * scale >= min_usd}
    return [
        {
            "symbol": symbol,
            "side": side,
            "notional": notional,
            "status": "preview",
            "client_order_id": client_order_id(run, attempt, symbol, side),
        }
        for side, orders in (("SELL", sells), ("BUY", scaled))
        for symbol, notional in orders.items()
    ]
