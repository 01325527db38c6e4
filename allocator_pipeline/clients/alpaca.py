"""Read a paper account at Alpaca: cash, positions, orders and fills. It cannot trade.

The client refuses every request but GET before it is sent, and every account that is not known to be a paper account:
by its host, by its key (paper keys begin with PK), by its number (PA) and by its status. Orders are never submitted, on
paper neither; they leave as a file (`account.export`).

Keys come from the environment only: ``APCA_API_KEY_ID`` and ``APCA_API_SECRET_KEY``; ``APCA_API_BASE_URL`` may name the
paper host, or a server on this machine for tests.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from datetime import datetime
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from allocator_pipeline.config import LOOPBACK
from allocator_pipeline.errors import BrokerError, ConfigurationError, NotPaperError

PAPER_HOST = "paper-api.alpaca.markets"
TIMEOUT = (5.0, 10.0)
"""Seconds to connect, and between two pieces of an answer."""

DEADLINE = 30.0
"""Seconds for one whole answer."""

RETRIES = 3
RETRIED = (429, 500, 502, 503, 504)
MAX_BYTES = 4 * 2**20
PAGE, PAGES = 100, 100
TOLERANCE = 0.02
"""How far equity may be from cash and positions, which are read a moment later."""


class PaperBroker:
    """A paper account at Alpaca, to read.

    Parameters
    ----------
    env : mapping, optional
        Defaults to ``os.environ``.
    pause : int
        Seconds between tries.

    Raises
    ------
    ConfigurationError
        If the keys or alpaca-py are absent.
    NotPaperError
        If host or key are not those of a paper account; nothing is sent.
    """

    def __init__(self, env: Mapping[str, str] | None = None, pause: int = 2) -> None:
        env = os.environ if env is None else env
        key, secret = env.get("APCA_API_KEY_ID"), env.get("APCA_API_SECRET_KEY")
        url = (env.get("APCA_API_BASE_URL") or f"https://{PAPER_HOST}").rstrip("/")
        if not key or not secret:
            raise ConfigurationError(
                "The keys of the Alpaca paper account are not set.",
                todo="set APCA_API_KEY_ID and APCA_API_SECRET_KEY to the keys of a paper account.",
            )
        local = _check_host(url)
        if not key.startswith("PK"):
            raise _not_paper("its key is not one of a paper account (they begin with PK)")
        self._client = _reader(url, key, secret, pause, local)

    def snapshot(self) -> dict[str, Any]:
        """Return cash and positions, as `inference.read_portfolio` takes them.

        Returns
        -------
        dict
            ``cash`` (USD) and ``positions``: ``symbol, qty`` (shares), ``market_value`` (USD).

        Raises
        ------
        NotPaperError
            If it is not a paper account.
        BrokerError
            If Alpaca does not answer, refuses, or answers nonsense.
        """
        account = self._account()
        positions = _parsed(self._client.get_all_positions)
        held = [
            {
                "symbol": position.symbol,
                "qty": _number(position.qty, "qty", position.symbol),
                "market_value": _number(position.market_value, "market_value", position.symbol),
            }
            for position in positions
        ]
        cash, equity = _number(account.cash, "cash"), _number(account.equity, "equity")
        total = cash + math.fsum(one["market_value"] for one in held)
        if abs(total - equity) > TOLERANCE * abs(equity):
            raise _nonsense(f"cash and positions are worth {total:.2f} and not the equity of {equity:.2f}")
        return {"cash": cash, "positions": sorted(held, key=lambda one: one["symbol"])}

    def execution_report(self, after: datetime, until: datetime) -> list[dict[str, Any]]:
        """Return the orders submitted in a span, in the fields of an execution report.

        Parameters
        ----------
        after, until : datetime
            With a time zone.

        Returns
        -------
        list of dict
            ``symbol, side, intended_qty, filled_qty, filled_avg_price, status, client_order_id``, oldest first.

        Raises
        ------
        NotPaperError, BrokerError
            As `snapshot`; also if there are more orders than one answer holds.
        """
        from alpaca.common.enums import Sort
        from alpaca.trading.enums import QueryOrderStatus
        from alpaca.trading.requests import GetOrdersRequest

        self._account()
        wanted = GetOrdersRequest(
            status=QueryOrderStatus.ALL, limit=500, after=after, until=until, direction=Sort.ASC, nested=False
        )
        orders = _parsed(lambda: self._client.get_orders(wanted))
        if len(orders) >= 500:
            raise _nonsense("there are 500 orders or more in that span")
        return [
            {
                "symbol": order.symbol,
                "side": order.side.value.upper() if order.side is not None else None,
                "intended_qty": _optional(order.qty),
                "filled_qty": _optional(order.filled_qty),
                "filled_avg_price": _optional(order.filled_avg_price),
                "status": order.status.value,
                "client_order_id": order.client_order_id,
            }
            for order in orders
        ]

    def fills(self, after: datetime) -> list[dict[str, Any]]:
        """Return every fill since an instant, oldest first, page by page.

        Returns
        -------
        list of dict
            ``id, symbol, side, qty`` (shares), ``price`` (USD), ``transaction_time, order_id``.

        Raises
        ------
        NotPaperError, BrokerError
            As `snapshot`.
        """
        self._account()
        found: list[dict[str, Any]] = []
        query = {"after": after.isoformat(), "direction": "asc", "page_size": str(PAGE)}
        for _ in range(PAGES):
            page = _parsed(lambda: self._client.get("/account/activities/FILL", dict(query)))
            if not isinstance(page, list):
                raise _nonsense("its fills are no list")
            found += [_fill(row) for row in page]
            if len(page) < PAGE:
                return found
            query["page_token"] = found[-1]["id"]
        raise _nonsense(f"its fills do not end after {PAGES} pages")

    def _account(self) -> Any:
        account = _parsed(self._client.get_account)
        if not account.account_number.startswith("PA"):
            raise _not_paper("its number is not one of a paper account (they begin with PA)")
        if account.status.value not in ("ACTIVE", "PAPER_ONLY") or account.account_blocked:
            raise _not_paper(f"its status is {account.status.value}{', blocked' if account.account_blocked else ''}")
        if account.currency != "USD":
            raise _nonsense(f"it is kept in {account.currency} and not in USD")
        return account


def _check_host(url: str) -> bool:
    """Refuse every address but the paper host and this machine's own; tell whether it is the latter."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise _not_paper("APCA_API_BASE_URL cannot be read") from error
    plain = not (parts.username or parts.password or parts.path or parts.query or parts.fragment)
    if plain and parts.scheme in ("http", "https") and host in LOOPBACK:
        return True
    if plain and parts.scheme == "https" and host == PAPER_HOST and port in (None, 443):
        return False
    raise _not_paper(f"its address is not https://{PAPER_HOST}")


def _reader(url: str, key: str, secret: str, pause: int, local: bool) -> Any:
    """Return an alpaca-py client that only reads: with time limits, a limit of size, no redirects."""
    try:
        import requests
        from alpaca.common.exceptions import RetryException
        from alpaca.trading.client import TradingClient
    except ImportError as error:
        raise ConfigurationError(
            "Reading an Alpaca paper account needs alpaca-py, which is not installed.",
            todo="install it: pip install 'alpaca-py>=0.44,<1'.",
        ) from error

    class Reader(TradingClient):  # type: ignore[misc,unused-ignore]
        def _one_request(self, method: str, url: str, opts: dict[str, Any], retry: int) -> Any:
            if method.upper() != "GET":
                raise BrokerError("This client only reads.", todo="report a defect: nothing here may trade.")
            started, body = monotonic(), b""
            try:
                with self._session.request("GET", url, **opts, timeout=TIMEOUT, stream=True) as answer:
                    if answer.status_code in RETRIED and retry > 0:
                        raise RetryException
                    if answer.status_code != 200:
                        raise _refused(answer.status_code)
                    for piece in answer.iter_content(2**16):
                        body += piece
                        if len(body) > MAX_BYTES or monotonic() - started > DEADLINE:
                            raise _nonsense("the answer is too long, or too slow")
            except requests.RequestException as error:
                if retry > 0:
                    raise RetryException from None
                # not the error's own text, nor the error itself: they hold the request, and that the keys
                raise _unreachable(type(error).__name__) from None
            return json.loads(body)

    client = Reader(key, secret, paper=True, url_override=url)
    client._retry, client._retry_wait = RETRIES, pause
    client._session.trust_env = not local  # no proxy, and no .netrc, between us and a server on this machine
    return client


def _parsed(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except (ValueError, TypeError, AttributeError, RecursionError) as error:  # pydantic's errors are ValueErrors
        raise _nonsense(f"the answer cannot be read ({type(error).__name__})") from None


def _fill(row: Any) -> dict[str, Any]:
    try:
        texts = {name: str(row[name]) for name in ("id", "symbol", "transaction_time", "order_id")}
        return {
            **texts,
            "side": str(row["side"]).upper(),
            "qty": _number(row["qty"], "qty", texts["symbol"]),
            "price": _number(row["price"], "price", texts["symbol"]),
        }
    except (KeyError, TypeError) as error:
        raise _nonsense("a fill misses a field") from error


def _number(value: Any, name: str, symbol: str | None = None) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise _nonsense(f"{name} is {str(value)[:40]!r}", symbol)
    return number


def _optional(value: Any) -> float | None:
    return None if value is None else _number(value, "a quantity or price of an order")


def _refused(status: int) -> BrokerError:
    if status in (401, 403):
        return BrokerError(
            f"Alpaca refuses the keys (status {status}).",
            todo="set APCA_API_KEY_ID and APCA_API_SECRET_KEY to valid keys of the paper account.",
            source="alpaca",
        )
    moved = ", a redirect, which is not followed" if 300 <= status < 400 else ""
    return BrokerError(
        f"Alpaca answers with status {status}{moved}.", todo="try again later, or give a portfolio.", source="alpaca"
    )


def _unreachable(why: str) -> BrokerError:
    return BrokerError(
        f"Alpaca cannot be reached ({why}).", todo="mend the connection, or give a portfolio.", source="alpaca"
    )


def _nonsense(why: str, symbol: str | None = None) -> BrokerError:
    return BrokerError(
        f"The Alpaca paper account cannot be used: {why}.",
        todo="look at the account at Alpaca, or give a portfolio.",
        source="alpaca",
        symbol=symbol,
    )


def _not_paper(why: str) -> NotPaperError:
    return NotPaperError(
        f"That is no paper account: {why}.",
        todo=f"use the keys of a paper account and https://{PAPER_HOST}; live accounts are never read.",
        source="alpaca",
    )
