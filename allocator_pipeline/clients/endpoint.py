"""Where a vendor is asked: its own address, or a server on this machine for tests and demos, never another one."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from allocator_pipeline.config import LOOPBACK
from allocator_pipeline.errors import ConfigurationError


def endpoint(env: Mapping[str, str], variable: str, default: str) -> str:
    """Return the address to ask, without a slash at its end.

    Parameters
    ----------
    env : mapping
    variable : str
        The environment variable that may name a server on this machine.
    default : str
        The vendor's own address.

    Raises
    ------
    ConfigurationError
        If the variable names another host: keys, and what is asked, could leak to it.
    """
    given = env.get(variable)
    if not given:
        return default
    try:
        parts = urlsplit(given)
        plain = parts.port is None or parts.port > 0
    except ValueError:
        plain = False
    else:
        plain = plain and not (parts.username or parts.password or parts.query or parts.fragment)
        plain = plain and parts.scheme in ("http", "https") and parts.hostname in LOOPBACK
        plain = plain and parts.path in ("", "/")
    if not plain:
        raise ConfigurationError(
            f"{variable} is not the address of a server on this machine.",
            todo=f"unset it, to ask {default}, or write such as http://127.0.0.1:8000.",
        )
    return given.rstrip("/")
