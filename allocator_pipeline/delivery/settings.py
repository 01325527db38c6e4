"""Where reports are sent, as the environment says; read only when one is to be sent."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from allocator_pipeline.config import LOOPBACK
from allocator_pipeline.errors import ConfigurationError

Security = Literal["starttls", "tls", "none"]
PORTS = {"starttls": 587, "tls": 465, "none": 25}

_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9][A-Za-z0-9.-]{0,252}")


@dataclass(frozen=True)
class MailSettings:
    """The mail server and the addresses.

    Parameters
    ----------
    host : str or None
        None: nothing is sent (``ALLOCATOR_SMTP_HOST``).
    port : int
        ``ALLOCATOR_SMTP_PORT``.
    security : {"starttls", "tls", "none"}
        How the connection is encrypted (``ALLOCATOR_SMTP_TLS``); a password travels over an encrypted one only, or to
        this machine.
    user : str or None
        ``ALLOCATOR_SMTP_USER``; without one nobody logs in.
    password : str or None
        Secret (``ALLOCATOR_SMTP_PASSWORD``), shown nowhere.
    sender : str
        ``ALLOCATOR_SMTP_FROM``.
    recipients : tuple of str
        ``ALLOCATOR_SMTP_TO``, separated by commas.
    """

    host: str | None = None
    port: int = 587
    security: Security = "starttls"
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    sender: str = ""
    recipients: tuple[str, ...] = ()

    @property
    def wanted(self) -> bool:
        """True if reports are to be sent."""
        return self.host is not None

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> MailSettings:
        """Read the ``ALLOCATOR_SMTP_*`` variables.

        Parameters
        ----------
        env : mapping, optional
            Defaults to ``os.environ``.

        Raises
        ------
        ConfigurationError
            If a value is not allowed or one is missing beside the host; it names the variable and never shows the
            password.
        """
        env = os.environ if env is None else env
        host = env.get("ALLOCATOR_SMTP_HOST")
        if not host:
            return cls()
        if not re.fullmatch(r"[A-Za-z0-9.:-]{1,253}", host):
            raise _wrong("ALLOCATOR_SMTP_HOST", "a host's name")
        security = env.get("ALLOCATOR_SMTP_TLS") or "starttls"
        if security not in get_args(Security):
            raise _wrong("ALLOCATOR_SMTP_TLS", "starttls, tls or none")
        port = env.get("ALLOCATOR_SMTP_PORT") or str(PORTS[security])
        if not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) < 65536:
            raise _wrong("ALLOCATOR_SMTP_PORT", "a number from 1 to 65535")
        user, password = env.get("ALLOCATOR_SMTP_USER") or None, env.get("ALLOCATOR_SMTP_PASSWORD") or None
        if not re.fullmatch(r"[ -~]*", (user or "") + (password or "")):
            raise _wrong(
                "ALLOCATOR_SMTP_PASSWORD", "like the user printable ASCII, which is all that the login can send"
            )
        if (user is None) != (password is None):
            raise _wrong("ALLOCATOR_SMTP_USER", "set together with ALLOCATOR_SMTP_PASSWORD, or neither")
        if password is not None and security == "none" and host not in LOOPBACK:
            raise _wrong("ALLOCATOR_SMTP_TLS", "starttls or tls: the password would travel in clear")
        return cls(
            host=host,
            port=int(port),
            security=security,  # type: ignore[arg-type]
            user=user,
            password=password,
            sender=_addresses(env, "ALLOCATOR_SMTP_FROM", 1)[0],
            recipients=_addresses(env, "ALLOCATOR_SMTP_TO", 50),
        )


def _addresses(env: Mapping[str, str], variable: str, most: int) -> tuple[str, ...]:
    found = tuple(part.strip(" ") for part in env.get(variable, "").split(","))
    if len(found) > most or not all(_ADDRESS.fullmatch(address) for address in found):
        raise _wrong(
            variable, "an address, such as reports@example.org" if most == 1 else "addresses with commas between"
        )
    return found


def _wrong(variable: str, allowed: str) -> ConfigurationError:
    return ConfigurationError(
        f"{variable} cannot be used.", todo=f"it must be {allowed}; or unset ALLOCATOR_SMTP_HOST to send nothing."
    )
