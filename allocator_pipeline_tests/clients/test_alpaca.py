"""An Alpaca paper account over real HTTP: read, bounded, and never anything but a paper account."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

pytest.importorskip("alpaca")

from allocator_pipeline.clients import alpaca as client
from allocator_pipeline.clients.alpaca import PaperBroker
from allocator_pipeline.config import CASH
from allocator_pipeline.errors import BrokerError, ConfigurationError, NotPaperError
from allocator_pipeline.inference import read_portfolio
from allocator_pipeline_tests.clients.alpaca_server import ACCOUNT, FILLS, KEY, ORDER, SECRET, Alpaca, position, serve

SINCE = datetime(2019, 1, 7, tzinfo=UTC)


@pytest.fixture
def server() -> Iterator[Alpaca]:
    alpaca = Alpaca()
    running = serve(alpaca)
    yield alpaca
    running.shutdown()
    running.server_close()


def broker(server: Alpaca, **env: str) -> PaperBroker:
    return PaperBroker({**server.env, **env}, pause=0)


def test_cash_and_positions_are_a_portfolio_to_decide_from(server: Alpaca) -> None:
    snapshot = broker(server).snapshot()
    assert snapshot["positions"][0] == {"symbol": "AAPL", "qty": 40.0, "market_value": 5000.0}
    portfolio = read_portfolio(snapshot)
    assert portfolio.nav == 10_000.0
    assert portfolio.quantities == {one["symbol"]: one["qty"] for one in snapshot["positions"]}
    assert portfolio.holdings == {CASH: 0.25, "AAPL": 0.5, "MSFT": 0.25}
    assert {method for method, *_ in server.requests} == {"GET"}


def test_orders_become_an_execution_report(server: Alpaca) -> None:
    (row,) = broker(server).execution_report(SINCE, datetime(2019, 1, 12, tzinfo=UTC))
    assert row == {
        "symbol": "AAPL",
        "side": "BUY",
        "intended_qty": 40.0,
        "filled_qty": 40.0,
        "filled_avg_price": 99.5,
        "status": "filled",
        "client_order_id": ORDER["client_order_id"],
    }
    _, path, query = server.requests[-1]
    assert (path, query["status"], query["limit"]) == ("/v2/orders", "all", "500")


def test_fills_are_followed_to_their_last_page(server: Alpaca) -> None:
    found = broker(server).fills(SINCE)
    assert [row["id"] for row in found] == [row["id"] for row in FILLS]
    assert (found[0]["side"], found[0]["qty"], found[0]["price"]) == ("BUY", 1.0, 99.5)
    assert len([path for _, path, _ in server.requests if path.endswith("FILL")]) == 3


@pytest.mark.parametrize(
    "url",
    [
        "https://api.alpaca.markets",
        "http://paper-api.alpaca.markets",
        "https://paper-api.alpaca.markets.example.org",
        "https://paper-api.alpaca.markets@api.alpaca.markets",
        "https://paper-api.alpaca.markets:8443",
        "https://paper-api.alpaca.markets/x",
        "https://broker-api.alpaca.markets",
        "file:///etc/passwd",
        "http://[",
    ],
)
def test_another_address_is_refused_before_anything_is_sent(server: Alpaca, url: str) -> None:
    with pytest.raises(NotPaperError, match="no paper account"):
        broker(server, APCA_API_BASE_URL=url)


def test_a_live_key_is_refused_before_anything_is_sent(server: Alpaca) -> None:
    with pytest.raises(NotPaperError, match="begin with PK"):
        broker(server, APCA_API_KEY_ID="AKLIVE")
    assert server.requests == []


@pytest.mark.parametrize("name", ["APCA_API_KEY_ID", "APCA_API_SECRET_KEY"])
def test_keys_come_from_the_environment_only(server: Alpaca, name: str) -> None:
    with pytest.raises(ConfigurationError, match="keys"):
        broker(server, **{name: ""})


@pytest.mark.parametrize(
    "changed",
    [{"account_number": "123456789"}, {"status": "ACCOUNT_CLOSED"}, {"account_blocked": True}],
    ids=["number", "status", "blocked"],
)
def test_an_account_that_is_not_known_to_be_paper_is_not_read(server: Alpaca, changed: dict) -> None:
    server.account = {**ACCOUNT, **changed}
    for read in (PaperBroker.snapshot, lambda one: one.fills(SINCE), lambda one: one.execution_report(SINCE, SINCE)):
        with pytest.raises(NotPaperError, match="no paper account"):
            read(broker(server))
    assert {path for _, path, _ in server.requests} == {"/v2/account"}


def test_nothing_can_be_submitted_changed_or_cancelled(server: Alpaca) -> None:
    from alpaca.trading.enums import OrderSide, TimeInForce
    from alpaca.trading.requests import MarketOrderRequest

    inner = broker(server)._client
    order = MarketOrderRequest(symbol="AAPL", qty=1, side=OrderSide.BUY, time_in_force=TimeInForce.DAY)
    for act in (
        lambda: inner.submit_order(order),
        lambda: inner.replace_order_by_id(ORDER["id"]),
        inner.cancel_orders,
        inner.close_all_positions,
        lambda: inner.close_position("AAPL"),
    ):
        with pytest.raises(BrokerError, match="only reads"):
            act()
    assert server.requests == []


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_is_not_tried_again(server: Alpaca, status: int) -> None:
    server.before = lambda number: (status, {}, b"{}")
    with pytest.raises(BrokerError, match=str(status)):
        broker(server).snapshot()
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [429, 500, 503, 504])
def test_what_passes_is_tried_again_and_what_stays_ends(server: Alpaca, status: int) -> None:
    server.before = lambda number: (status, {}, b"") if number in (1, 2, 4) else None
    assert broker(server).snapshot()["cash"] == 2500.0
    assert len(server.requests) == 5
    server.before = lambda number: (status, {}, b"")
    with pytest.raises(BrokerError, match=str(status)):
        broker(server).snapshot()
    assert len(server.requests) == 5 + 1 + client.RETRIES


def test_an_answer_that_is_cut_or_stands_still_ends(server: Alpaca, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "TIMEOUT", (1.0, 0.2))
    server.before = lambda number: (200, {"Content-Length": "1000"}, b'{"id"') if number == 1 else None
    assert broker(server).snapshot()["cash"] == 2500.0
    server.before = lambda number: (200, {"Content-Length": "1000"}, b'{"id"')
    with pytest.raises(BrokerError, match="cannot be reached"):
        broker(server).snapshot()


def test_nobody_there_is_an_error_that_says_so() -> None:
    gone = Alpaca()
    running = serve(gone)
    running.shutdown()
    running.server_close()
    with pytest.raises(BrokerError, match=r"cannot be reached \(ConnectionError\)"):
        broker(gone).snapshot()


def test_a_redirect_is_not_followed(server: Alpaca) -> None:
    other = Alpaca()
    running = serve(other)
    server.before = lambda number: (307, {"Location": f"{other.url}/v2/account"}, b"")
    with pytest.raises(BrokerError, match="redirect"):
        broker(server).snapshot()
    assert other.requests == []
    running.shutdown()
    running.server_close()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("account", {**ACCOUNT, "cash": "much"}),
        ("account", {**ACCOUNT, "equity": "20000"}),
        ("account", {**ACCOUNT, "currency": "EUR"}),
        ("account", ["?"]),
        ("account", None),
        ("positions", [position("AAPL", "40", "nan")]),
        ("positions", [{"symbol": "AAPL"}]),
        ("positions", {"code": 1}),
    ],
)
def test_nonsense_is_refused(server: Alpaca, field: str, value: object) -> None:
    setattr(server, field, value)
    with pytest.raises(BrokerError, match="cannot be used"):
        broker(server).snapshot()


def test_a_flood_is_cut_off(server: Alpaca, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "MAX_BYTES", 2**17)
    server.before = lambda number: (200, {}, b" " * 2**20)
    with pytest.raises(BrokerError, match="too long"):
        broker(server).snapshot()


def test_keys_are_in_no_error_and_no_log(server: Alpaca, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    texts = [repr(broker(server)), repr(broker(server).snapshot())]
    for answer in ((401, {}, f'{{"message": "{KEY} {SECRET}"}}'.encode()), (200, {}, f'"{SECRET}"'.encode())):
        server.before = lambda number, answer=answer: answer
        with pytest.raises(BrokerError) as caught:
            broker(server).snapshot()
        texts.append("".join(traceback.format_exception(caught.value)))
    for text in (*texts, caplog.text):
        assert KEY not in text
        assert SECRET not in text
