"""Where models are shared, as the environment says; read only when something is to be shared."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args
from urllib.parse import urlsplit

from allocator_pipeline.config import ALLOCATORS, LOOPBACK
from allocator_pipeline.errors import ConfigurationError, UnsafeNameError
from allocator_pipeline.hub.names import checked_repo

Backend = Literal["local", "hf"]
ENDPOINT = "https://huggingface.co"
REPO_VARIABLES = {name: f"HF_{name.upper()}_MODEL_REPO" for name in ALLOCATORS}
"""Allocator -> the variable that names its repository, such as ``HF_PPO_LSTM_MODEL_REPO``."""


@dataclass(frozen=True)
class HubSettings:
    """Where models are shared.

    Parameters
    ----------
    backend : {"local", "hf"}
        Whether they are shared at all (``STORAGE_BACKEND``).
    repos : mapping of str to str
        Allocator -> repository (``HF_PPO_LSTM_MODEL_REPO`` and so on).
    endpoint : str
        Address of the Hub (``HF_ENDPOINT``).
    token : str or None
        Secret (``HF_TOKEN``); sent to the endpoint only, shown nowhere.
    """

    backend: Backend = "local"
    repos: Mapping[str, str] = field(default_factory=dict)
    endpoint: str = ENDPOINT
    token: str | None = field(default=None, repr=False)

    @property
    def shared(self) -> bool:
        """True if models are to be published."""
        return self.backend == "hf"

    def repo(self, allocator: str) -> str:
        """Return an allocator's repository.

        Raises
        ------
        ConfigurationError
            If none is named.
        """
        if allocator not in self.repos:
            raise ConfigurationError(
                f"No repository is named for the models of {allocator}.",
                todo=f"set {REPO_VARIABLES.get(allocator, 'HF_<ALLOCATOR>_MODEL_REPO')} to owner/name.",
            )
        return self.repos[allocator]

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> HubSettings:
        """Read the variables.

        Parameters
        ----------
        env : mapping, optional
            Defaults to ``os.environ``.

        Raises
        ------
        ConfigurationError
            If a value is not allowed; it names the variable, and never shows the token.
        """
        env = os.environ if env is None else env
        backend = env.get("STORAGE_BACKEND") or "local"
        if backend not in get_args(Backend):
            raise ConfigurationError(f"STORAGE_BACKEND is {backend!r}.", todo="set it to local or hf.")
        repos = {name: _repo(env, variable) for name, variable in REPO_VARIABLES.items() if env.get(variable)}
        token = (env.get("HF_TOKEN") or "").strip()
        if not re.fullmatch(r"[!-~]*", token):
            raise ConfigurationError(
                "HF_TOKEN holds spaces or characters that no token has.", todo="copy the token anew, on one line."
            )
        return cls(
            backend=backend,  # type: ignore[arg-type]
            repos=repos,
            endpoint=_endpoint((env.get("HF_ENDPOINT") or "").strip().rstrip("/") or ENDPOINT),
            token=token or None,
        )


def _repo(env: Mapping[str, str], variable: str) -> str:
    try:
        return checked_repo(env[variable].strip())
    except UnsafeNameError as error:
        raise ConfigurationError(f"{variable}: {error.problem}", todo=error.todo) from error


def _endpoint(url: str) -> str:
    """Refuse an address to which the token would travel in clear."""
    if not _safe(url):
        raise ConfigurationError(
            "HF_ENDPOINT is no https address.", todo=f"unset it for {ENDPOINT}, or write https://host."
        )
    return url


def _safe(url: str) -> bool:
    if not re.fullmatch(r"[!-~]+", url):  # `urlsplit` drops line ends, a client does not
        return False
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # a port that cannot be is a ValueError too
    except ValueError:
        return False
    encrypted = parts.scheme == "https" or (parts.scheme == "http" and host in LOOPBACK)
    return bool(encrypted and host and not ("@" in parts.netloc or parts.query or parts.fragment))
