"""Answers about the companies of a list, and not about others that a ticker or number of theirs has meant.

A list that is corrected, or to which a change of ticker is added, gives some kept answers another meaning. What was not
asked for by a name that was the company's is as if it were not there: it is asked for again, and read by no table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote

import pandas as pd

from allocator_pipeline.market.live.window import settled_session
from allocator_pipeline.market.membership import Listing, one_spelling, ticker_on
from allocator_pipeline.market.raw import RawKey, RawRecord, RawStore

ASKED = "asked"
"""In the request of an answer of EDGAR's: the ticker whose company was looked up, or the number that was given."""


class OwnAnswers(RawStore):
    """A raw store that shows of a listed symbol the answers about its company only.

    Parameters
    ----------
    root : Path
    listings : mapping of str to sequence of Listing
        By symbol, in time order.
    """

    def __init__(self, root: Path, listings: Mapping[str, Sequence[Listing]]) -> None:
        super().__init__(root)
        self._listings = listings

    def records(self, key: RawKey) -> list[RawRecord]:
        """Return what was fetched about something under a name of its own, oldest first.

        Raises
        ------
        CorruptArtifactError
            If a record cannot be read.
        """
        return [record for record in super().records(key) if self._is_own(record)]

    def _is_own(self, record: RawRecord) -> bool:
        key, asked = record.key, record.request
        listings = self._listings.get(key.name)
        if listings is None or key.kind in ("index", "observations", "tickers"):  # no company's
            return True
        if key.vendor == "alpaca":  # by the ticker of the day: which days count, the reader of the answer says
            return any(_same(asked["symbols"], one.ticker) for one in listings)
        if key.vendor == "yahoo":
            return _same(unquote(asked["path"]).rpartition("/")[2], _present(record, listings))
        if key.vendor == "alphavantage":
            return _same(asked["symbol"], _present(record, listings))
        numbers = {one.cik for one in listings if one.cik}
        if numbers:
            return any(number in asked["path"] for number in numbers)
        return ASKED not in asked or _same(asked[ASKED], _present(record, listings))


def _present(record: RawRecord, listings: Sequence[Listing]) -> str:
    """Return the ticker that a company had when it was asked for: its whole past stands under that one."""
    if len({one.ticker for one in listings}) == 1:
        return listings[-1].ticker
    return ticker_on(listings, settled_session(pd.Timestamp(record.fetched_at)))


def _same(asked: str, ticker: str) -> bool:
    return one_spelling(asked) == one_spelling(ticker)
