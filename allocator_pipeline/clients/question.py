"""What a question to a vendor may be made of: its address, keys from the environment, names and days."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from urllib.parse import urlsplit

from allocator_pipeline.config import LOOPBACK
from allocator_pipeline.errors import ConfigurationError, UnsafeNameError
from allocator_pipeline.paths import safe_name

TICKER = re.compile(r"[A-Z0-9]{1,6}([.-][A-Z0-9]{1,3})?")


def endpoint(env: Mapping[str, str], variable: str, default: str) -> str:
    """Return a vendor's address: its own, or a server on this machine that a variable names.

    Raises
    ------
    ConfigurationError
        If the variable names another host: the keys would go there.
    """
    given = env.get(variable)
    if not given:
        return default
    try:
        parts = urlsplit(given.rstrip("/"))
        host, _ = parts.hostname, parts.port
        plain = not (parts.username or parts.password or parts.path or parts.query or parts.fragment)
    except ValueError:
        host, plain = None, False
    if not plain or parts.scheme not in ("http", "https") or host not in LOOPBACK:
        raise ConfigurationError(
            f"{variable} does not name a server on this machine.",
            todo=f"unset it, or set it to an address such as http://127.0.0.1:8000; the vendor's is {default}.",
        )
    return given.rstrip("/")


def secret(env: Mapping[str, str], variable: str, todo: str) -> str:
    """Return a key from the environment.

    Raises
    ------
    ConfigurationError
        If it is not set, or cannot be part of a request; it is not shown.
    """
    value = env.get(variable, "").strip()
    if not value or len(value) > 300 or not (value.isascii() and value.isprintable()):
        raise ConfigurationError(
            f"{variable} is not set." if not value else f"{variable} holds what no request can carry.", todo=todo
        )
    return value


def checked(name: str, kind: str, pattern: re.Pattern[str] = TICKER) -> str:
    """Return a name unchanged if it can be part of a request.

    Parameters
    ----------
    name : str
    kind : str
        What it is, for the message.
    pattern : Pattern
        What the whole name matches; by default a ticker: letters and digits, perhaps with a class behind a dot or dash.

    Raises
    ------
    UnsafeNameError
        If the name is another.
    """
    if not pattern.fullmatch(safe_name(name, kind)):
        raise UnsafeNameError(
            f"{name!r} is no {kind}.", todo=f"mend it in the list of candidates: a {kind} matches {pattern.pattern}."
        )
    return name


def span(first: date, last: date) -> str:
    """Return how errors write days."""
    return f"{first.isoformat()} to {last.isoformat()}"
