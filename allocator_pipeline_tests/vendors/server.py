"""A server on loopback that answers as a vendor does, or goes wrong as asked."""

from __future__ import annotations

import re
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Asked:
    """A request: path, parameters (the last of each name) and headers (lower case)."""

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Reply:
    """An answer."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})


@dataclass
class Fault:
    """What goes wrong with some requests.

    Parameters
    ----------
    kind : str
        ``"reply"`` (another answer), ``"reset"`` (the connection), ``"hang"`` (nothing is sent), ``"drip"`` (a byte now
        and then), ``"truncate"`` (the first half, and the connection is closed), ``"bomb"`` (a megabyte that
        unpacks to a gigabyte), ``"change"`` (`change` is applied to the right body).
    reply : Reply
        Of kind ``"reply"``.
    change : callable
        From the right body to a wrong one.
    match : str
        Pattern of the path.
    times : int
        For how many requests; -1 for all.
    skip : int
        How many matching requests pass before.
    """

    kind: str = "reply"
    reply: Reply = field(default_factory=Reply)
    change: Callable[[bytes], bytes] = lambda body: body
    match: str = ""
    times: int = -1
    skip: int = 0

    def strikes(self, asked: Asked) -> bool:
        """Count a request, and tell whether it goes wrong."""
        if self.times == 0 or not re.search(self.match, asked.path):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.times -= 1
        return True


class VendorServer:
    """A vendor on loopback; a context manager.

    Parameters
    ----------
    answer : callable
        From `Asked` to `Reply`.

    Attributes
    ----------
    url : str
        Its address.
    faults : list of Fault
    requests : list of Asked
        All that was asked.
    """

    def __init__(self, answer: Callable[[Asked], Reply]) -> None:
        self.answer, self.faults, self.requests = answer, [], []
        self.lock, self.closing = threading.Lock(), threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> VendorServer:
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()

    def fault(self, asked: Asked) -> Fault | None:
        """Note a request, and return what goes wrong with it."""
        with self.lock:
            self.requests.append(asked)
            return next((fault for fault in self.faults if fault.strikes(asked)), None)


def _handler(vendor: VendorServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # headers and body are two writes

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(parts.path, dict(parse_qsl(parts.query, keep_blank_values=True)), headers)
            fault = vendor.fault(asked)
            self.close_connection = fault is not None
            try:
                if fault is None:
                    self._send(vendor.answer(asked))
                else:
                    self._go_wrong(fault, asked)
            except OSError:
                self.close_connection = True

        def _go_wrong(self, fault: Fault, asked: Asked) -> None:
            if fault.kind == "reply":
                self._send(fault.reply)
            elif fault.kind == "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            elif fault.kind == "hang":
                vendor.closing.wait(30)
            elif fault.kind == "bomb":
                self._send(Reply(_bomb(), headers={"Content-Encoding": "gzip", "Content-Type": "application/json"}))
            else:
                reply = vendor.answer(asked)
                if fault.kind == "change":
                    self._send(Reply(fault.change(reply.body), reply.status, reply.headers))
                else:
                    self._start(reply)
                    if fault.kind == "truncate":
                        self.wfile.write(reply.body[: len(reply.body) // 2])
                    for byte in reply.body if fault.kind == "drip" else b"":
                        self.wfile.write(bytes([byte]))
                        if vendor.closing.wait(0.05):
                            return

        def _start(self, reply: Reply) -> None:
            self.send_response(reply.status)
            for name, value in {**reply.headers, "Content-Length": str(len(reply.body))}.items():
                self.send_header(name, value)
            if self.close_connection:
                self.send_header("Connection", "close")
            self.end_headers()

        def _send(self, reply: Reply) -> None:
            self._start(reply)
            self.wfile.write(reply.body)

    return Handler


def _bomb() -> bytes:
    """Return a megabyte that unpacks to a gigabyte; made at once, because a client does not wait long for an answer."""
    packer, piece = zlib.compressobj(9, zlib.DEFLATED, 31), b"0" * 2**20
    head, again = (packer.compress(piece) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    return head + again * 1023  # after a full flush a piece can be repeated


def wait_until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait for something that another thread does."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("it did not come")
        time.sleep(0.01)
