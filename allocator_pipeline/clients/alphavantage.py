"""Ask Alpha Vantage for quarterly statements and the days of earnings releases.

The vendor refuses inside answers of status 200, and repeats the key there: nothing of such an answer is shown.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import ClassVar

from allocator_pipeline.clients.answer import Answer
from allocator_pipeline.clients.question import checked, endpoint, secret
from allocator_pipeline.clients.vendor import Connection, Pace, VendorTransport
from allocator_pipeline.errors import ConfigurationError, VendorError, VendorRefusedError
from allocator_pipeline.market.live.body import read_object
from allocator_pipeline.market.live.releases import KINDS, REFUSALS, VENDOR, read_quarters
from allocator_pipeline.transport import Patience

URL = "https://www.alphavantage.co"
INTERVAL = 1.25
"""Seconds between requests; a key without charge has one request a second, and 25 a day."""


class AlphaVantageTransport(VendorTransport):
    """Sends requests to Alpha Vantage within a `Patience`."""

    keys: ClassVar[str] = "check ALPHAVANTAGE_API_KEY."


class AlphaVantageClient:
    """Alpha Vantage's fundamental data.

    Parameters
    ----------
    env : mapping, optional
        Defaults to ``os.environ``. ``ALPHAVANTAGE_API_KEY``; ``ALLOCATOR_ALPHAVANTAGE_URL`` for a server on this
        machine.
    patience : Patience, optional
        With one request.

    Raises
    ------
    ConfigurationError
        If the key is not set, or the address is another host's.
    """

    def __init__(self, env: Mapping[str, str] | None = None, patience: Patience | None = None) -> None:
        env = os.environ if env is None else env
        todo = "set it to your key from https://www.alphavantage.co/support/#api-key."
        self._connection = Connection(
            endpoint(env, "ALLOCATOR_ALPHAVANTAGE_URL", URL),
            AlphaVantageTransport,
            patience,
            Pace(INTERVAL),
            parameters={"apikey": secret(env, "ALPHAVANTAGE_API_KEY", todo)},
        )

    def statement(self, kind: str, ticker: str) -> Answer:
        """Return one table of a company (`market.live.releases.read_quarters`).

        Parameters
        ----------
        kind : str
            One of `market.live.releases.KINDS`.
        ticker : str

        Raises
        ------
        ConfigurationError, UnsafeNameError
            If there is no such table, or the ticker cannot be one.
        VendorRefusedError
            If the vendor refuses: its quota is used up, or the key is wrong.
        VendorError
            If there is no whole answer. That there is no quarter, as of funds, is one.
        """
        if kind not in KINDS:
            raise ConfigurationError(f"There is no table {kind!r}.", todo=f"ask for one of {', '.join(KINDS)}.")
        asked = {"function": kind.upper(), "symbol": checked(ticker, "ticker")}
        answer = self._connection.answer("/query", asked, ticker)
        content = read_object(answer.body, VENDOR, ticker)
        refusal = next((name for name in REFUSALS if name in content), None)
        if refusal is not None:
            raise _refused(refusal, str(content[refusal]), ticker)
        read_quarters(answer.body, kind, ticker, ticker)
        return answer

    def check(self) -> str:
        """Ask for the earnings of IBM, and say in one sentence what works."""
        quarters = read_quarters(self.statement("earnings", "IBM").body, "earnings", "IBM")
        return f"{VENDOR} answers: it has the earnings of {len(quarters)} quarters of IBM."


def _refused(member: str, text: str, ticker: str) -> VendorError:
    lower = text.lower()
    if member == "Error Message" and "apikey" not in lower.replace(" ", ""):
        return VendorError(
            "Alpha Vantage does not understand the question.",
            todo="check the ticker.",
            source=VENDOR,
            symbol=ticker,
        )
    daily = "per day" in lower
    return VendorRefusedError(
        f"Alpha Vantage refuses with status 200 ({member!r}): the quota is used up, or the key may not ask that.",
        todo="run it again tomorrow: what has been fetched is kept."
        if daily
        else "run it again in a minute; if that stays, check ALPHAVANTAGE_API_KEY.",
        source=VENDOR,
        symbol=ticker,
    )
