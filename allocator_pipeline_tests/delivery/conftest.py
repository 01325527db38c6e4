"""A mail server on loopback."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from allocator_pipeline.delivery.settings import MailSettings

USER, PASSWORD = "reporter", "canary-password"


class FreePort(Controller):
    """Listens on a port that the system chooses."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


class Server:
    """What a local server has received, and what it answers."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.answers: list[str] = []
        self.refused: dict[str, str] = {}
        self.logins = 0
        self.connections = 0
        self.controllers: list[Controller] = []

    async def handle_EHLO(
        self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        self.connections += 1
        session.host_name = hostname
        return responses

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        answer = self.answers.pop(0) if self.answers else "250 OK"
        if answer.startswith("250"):
            self.messages.append(envelope)
        return answer

    def authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: LoginPassword) -> AuthResult:
        self.logins += 1
        right = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=right, handled=False)

    def start(self, **options: Any) -> int:
        """Listen, and return the port."""
        controller = FreePort(self, hostname="127.0.0.1", port=0, **options)
        controller.start()
        self.controllers.append(controller)
        return controller.port


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    for controller in made.controllers:
        controller.stop()


@pytest.fixture
def settings_of() -> Callable[..., MailSettings]:
    def make(port: int, **changes: str) -> MailSettings:
        env = {
            "ALLOCATOR_SMTP_HOST": "127.0.0.1",
            "ALLOCATOR_SMTP_PORT": str(port),
            "ALLOCATOR_SMTP_TLS": "none",
            "ALLOCATOR_SMTP_FROM": "reports@example.org",
            "ALLOCATOR_SMTP_TO": "one@example.org, two@example.org",
        }
        return MailSettings.from_env({**env, **{f"ALLOCATOR_SMTP_{name}": value for name, value in changes.items()}})

    return make


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Make a certificate of this machine and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    files = folder / "certificate.pem", folder / "key.pem"
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    )
    subprocess.run([*command.split(), "-out", files[0], "-keyout", files[1]], check=True, capture_output=True)
    return files


@pytest.fixture
def server_context(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    return context


@pytest.fixture
def trusting(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate[0]))
