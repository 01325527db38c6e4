"""A server on this machine that speaks the wire format of Alpaca's trading API, numbers as strings."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

KEY, SECRET = "PKCANARYKEY0123456789", "canary-secret-0123456789"
ACCOUNT = {
    "id": "904837e3-3b76-47ec-b432-046db621571b",
    "account_number": "PA3CANARY123",
    "status": "ACTIVE",
    "crypto_status": "ACTIVE",
    "currency": "USD",
    "buying_power": "2500.00",
    "cash": "2500.00",
    "portfolio_value": "10000.00",
    "equity": "10000.00",
    "last_equity": "9990.00",
    "multiplier": "1",
    "trading_blocked": False,
    "transfers_blocked": False,
    "account_blocked": False,
    "shorting_enabled": False,
    "created_at": "2019-06-12T22:47:07.99658Z",
    "long_market_value": "7500.00",
    "short_market_value": "0",
}


def position(symbol: str, qty: str, value: str) -> dict[str, Any]:
    return {
        "asset_id": "b0b6dd9d-8b9b-48a9-ba46-b9d54906e415",
        "symbol": symbol,
        "exchange": "NASDAQ",
        "asset_class": "us_equity",
        "avg_entry_price": "100.0",
        "qty": qty,
        "qty_available": qty,
        "side": "long",
        "market_value": value,
        "cost_basis": "4000.0",
        "unrealized_pl": "1000.0",
        "unrealized_plpc": "0.25",
        "unrealized_intraday_pl": "0",
        "unrealized_intraday_plpc": "0",
        "current_price": "125.0",
        "lastday_price": "124.0",
        "change_today": "0.0081",
        "asset_marginable": True,
    }


POSITIONS = [position("MSFT", "10.5", "2500.00"), position("AAPL", "40", "5000.00")]
ORDER = {
    "id": "61e69015-8549-4bfd-b9c3-01e75843f47d",
    "client_order_id": "paper:2019-01-07:ppo_lstm:attempt-1:AAPL:BUY",
    "created_at": "2019-01-07T14:30:00.1Z",
    "updated_at": "2019-01-07T14:30:01.1Z",
    "submitted_at": "2019-01-07T14:30:00.1Z",
    "filled_at": "2019-01-07T14:30:01.1Z",
    "expired_at": None,
    "canceled_at": None,
    "failed_at": None,
    "asset_id": "b0b6dd9d-8b9b-48a9-ba46-b9d54906e415",
    "symbol": "AAPL",
    "asset_class": "us_equity",
    "notional": None,
    "qty": "40",
    "filled_qty": "40",
    "filled_avg_price": "99.5",
    "order_class": "",
    "order_type": "market",
    "type": "market",
    "side": "buy",
    "time_in_force": "day",
    "limit_price": None,
    "stop_price": None,
    "status": "filled",
    "extended_hours": False,
    "legs": None,
}


def fill(number: int) -> dict[str, Any]:
    return {
        "activity_type": "FILL",
        "id": f"20190107143000{number:03d}::8efc7b9a-8b2b-4000-9955-d36e7db0df74",
        "cum_qty": "1",
        "leaves_qty": "0",
        "price": "99.5",
        "qty": "1",
        "side": "buy",
        "symbol": "AAPL",
        "transaction_time": "2019-01-07T14:30:01.478Z",
        "order_id": ORDER["id"],
        "type": "fill",
        "order_status": "filled",
    }


FILLS = [fill(number) for number in range(205)]
Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Alpaca:
    """What the server answers, and what it was asked."""

    account: Any = field(default_factory=lambda: dict(ACCOUNT))
    positions: Any = field(default_factory=lambda: list(POSITIONS))
    orders: Any = field(default_factory=lambda: [dict(ORDER)])
    url: str = ""
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    before: Callable[[int], Answer | None] = lambda number: None
    """May answer in the server's place, by the number of the request."""

    @property
    def env(self) -> dict[str, str]:
        return {"APCA_API_KEY_ID": KEY, "APCA_API_SECRET_KEY": SECRET, "APCA_API_BASE_URL": self.url}

    def answer(self, method: str, target: str, headers: dict[str, str]) -> Answer:
        path, query = urlsplit(target).path, dict(parse_qsl(urlsplit(target).query))
        self.requests.append((method, path, query))
        instead = self.before(len(self.requests))
        if instead is not None:
            return instead
        if (headers.get("APCA-API-KEY-ID"), headers.get("APCA-API-SECRET-KEY")) != (KEY, SECRET):
            return 401, {}, b'{"code": 40110000, "message": "request is not authorized"}'
        values = {"/v2/account": self.account, "/v2/positions": self.positions, "/v2/orders": self.orders}
        if path == "/v2/account/activities/FILL":
            names = [row["id"] for row in FILLS]
            first = names.index(query["page_token"]) + 1 if "page_token" in query else 0
            return 200, {}, json.dumps(FILLS[first : first + int(query["page_size"])]).encode()
        if method != "GET" or path not in values:
            return 404, {}, b'{"code": 40410000, "message": "endpoint not found."}'
        return 200, {}, json.dumps(values[path]).encode()


def serve(alpaca: Alpaca) -> ThreadingHTTPServer:
    """Start the server of an account; its address is in ``alpaca.url`` then."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = alpaca.answer(self.command, self.path, dict(self.headers))
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_PATCH = do_DELETE = do_PUT = do_GET

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    alpaca.url = f"http://127.0.0.1:{server.server_port}"
    return server
