"""Ask the SEC's EDGAR for what companies have reported, and for the companies behind tickers.

EDGAR needs no key, but wants to know who calls (``SEC_USER_AGENT``: a name and an e-mail address), and at most ten
requests a second (https://www.sec.gov/search-filings/edgar-search-assistance/accessing-edgar-data).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from allocator_pipeline.clients.answer import Answer
from allocator_pipeline.clients.question import checked, endpoint, secret
from allocator_pipeline.clients.vendor import Connection, Pace, VendorTransport
from allocator_pipeline.errors import IncompleteDataError
from allocator_pipeline.market.live.body import nonsense, read_object
from allocator_pipeline.market.live.facts import NOTHING, VENDOR, facts_told, read_facts
from allocator_pipeline.transport import Patience

DATA, FILES = "https://data.sec.gov", "https://www.sec.gov"
INTERVAL = 0.125
"""Seconds between requests: eight a second."""

NO_FACTS = b"NoSuchKey"
"""What EDGAR says, with status 404, of a company that has reported no facts; any other 404 is not its word."""

_CIK = re.compile(r"[0-9]{10}")


class EdgarTransport(VendorTransport):
    """Sends requests to EDGAR within a `Patience`."""

    credential: ClassVar[str] = "user agent"
    keys: ClassVar[str] = (
        "set SEC_USER_AGENT to a name and an e-mail address; who asks too fast is refused for ten minutes."
    )


class EdgarClient:
    """EDGAR's company facts.

    Parameters
    ----------
    env : mapping, optional
        Defaults to ``os.environ``. ``SEC_USER_AGENT``; ``ALLOCATOR_EDGAR_URL`` for a server on this machine.
    patience : Patience, optional
        With one request.

    Raises
    ------
    ConfigurationError
        If the user agent is not set, or the address is another host's.
    """

    def __init__(self, env: Mapping[str, str] | None = None, patience: Patience | None = None) -> None:
        env = os.environ if env is None else env
        todo = "set it to who you are and how to reach you, as the SEC asks: 'Jane Doe jane@example.org'."
        headers = {"User-Agent": secret(env, "SEC_USER_AGENT", todo)}
        pace = Pace(INTERVAL)
        self._data, self._files = (
            Connection(endpoint(env, "ALLOCATOR_EDGAR_URL", host), EdgarTransport, patience, pace, headers=headers)
            for host in (DATA, FILES)
        )

    def tickers(self) -> Answer:
        """Return today's tickers with the companies that they mean (`read_tickers`).

        Raises
        ------
        VendorError, IncompleteDataError
            If there is no whole answer.
        """
        answer = self._files.answer("/files/company_tickers.json", {}, "all")
        read_tickers(answer.body)
        return answer

    def facts(self, cik: str) -> Answer:
        """Return all facts that a company has reported (`market.live.facts.read_facts`).

        Parameters
        ----------
        cik : str
            Its number, ten digits.

        Raises
        ------
        UnsafeNameError
            If that is no such number.
        VendorError
            If there is no whole answer. That the SEC has no facts of a company, as of funds, is one.
        """
        path = f"/api/xbrl/companyfacts/CIK{checked(cik, 'CIK', _CIK)}.json"
        status, answer = self._data.ask(path, {}, cik)
        if status == 404 and NO_FACTS in answer.body:
            return replace(answer, request={**answer.request, NOTHING: cik})
        if status != 200:
            raise self._data.unexpected(status, path, cik)
        read_facts(answer.body, cik, cik)
        return answer

    def check(self) -> str:
        """Ask both hosts, for the tickers and for the facts of the first company there, and say what works."""
        tickers = read_tickers(self.tickers().body)
        ticker, number = next(iter(tickers.items()))
        answer = self.facts(number)
        _, facts = facts_told(answer.body, ticker, answer.request)
        return (
            f"{VENDOR} answers: it names the companies of {len(tickers)} tickers, and {len(facts)} facts of {ticker}."
        )


def read_tickers(body: bytes) -> dict[str, str]:
    """Return the CIK of each ticker.

    Raises
    ------
    VendorError
        If it cannot be understood.
    IncompleteDataError
        If there is none.
    """
    try:
        rows = read_object(body, VENDOR, "all").values()
        tickers = {str(row["ticker"]): f"{int(row['cik_str']):010d}" for row in rows}
    except (KeyError, TypeError, ValueError):
        raise nonsense("does not hold tickers", VENDOR, "all") from None  # whose text may be the vendor's
    if not tickers:
        raise IncompleteDataError("There is no ticker in the answer.", todo="run it again later.", source=VENDOR)
    return tickers
