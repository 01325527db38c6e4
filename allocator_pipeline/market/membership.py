"""Who may be a candidate, and when: a company, the ticker by which vendors know it, and the days of both."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class Listing:
    """A span of days in which a ticker means one company.

    A ticker is not an identity: it may be given to another company, and a company may change its own.

    Parameters
    ----------
    symbol : str
        The company's name in every table of ours.
    ticker : str
        What vendors call it.
    first : date
    last : date or None
        Both included; None while it goes on.
    cik : str or None
        Its number at the SEC, ten digits.
    """

    symbol: str
    ticker: str
    first: date
    last: date | None = None
    cik: str | None = None
