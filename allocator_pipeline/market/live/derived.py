"""What is derived from raw answers symbol by symbol, once for the answers that there are."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

import pandas as pd

from allocator_pipeline.config import LiveConfig
from allocator_pipeline.market.live.alpaca import ALPACA
from allocator_pipeline.market.live.articles import articles
from allocator_pipeline.market.live.chart import read_chart
from allocator_pipeline.market.live.confirmed import read_confirmed
from allocator_pipeline.market.live.filings import edgar_fundamentals
from allocator_pipeline.market.live.history import History, history_of
from allocator_pipeline.market.live.needs import STATEMENTS
from allocator_pipeline.market.live.releases import alphavantage_fundamentals
from allocator_pipeline.market.live.statements import Fundamentals
from allocator_pipeline.market.membership import Listing
from allocator_pipeline.market.raw import RawKey, RawStore

MOST_HELD = 1_000_000_000
"""Bytes of articles that are held, so that a back-fill reads each answer once and not once a year; what is over is read
again for each year."""


class Derived:
    """Histories, quarters and articles of a live market's symbols; what has new answers is derived anew.

    Parameters
    ----------
    config : LiveConfig
    raw : RawStore
    listings : mapping of str to tuple of Listing
        By symbol.
    first, last : date
        Sessions that count, both included.

    Raises
    ------
    MarketDataError
        If the list of confirmed moves is malformed.
    """

    def __init__(
        self, config: LiveConfig, raw: RawStore, listings: Mapping[str, tuple[Listing, ...]], first: date, last: date
    ) -> None:
        self._config, self._raw, self._listings = config, raw, listings
        self._first, self._last = first, last
        self._confirmed = read_confirmed(config.confirmed)
        self._histories: dict[str, tuple[list[str], History]] = {}
        self._quarters: dict[str, tuple[list[str], Fundamentals]] = {}
        self._articles: dict[str, tuple[list[str], pd.DataFrame]] = {}

    def history(self, symbol: str) -> History:
        """Return a symbol's history as far as it is there.

        Raises
        ------
        IncompleteDataError
            As `history_of`.
        """
        yahoo = self._raw.records(RawKey("yahoo", "bars", symbol))
        stamp = [record.sha256 for record in (*yahoo, *self._raw.records(RawKey("alpaca", "bars", symbol)))]
        known = self._histories.get(symbol)
        if known is None or known[0] != stamp:
            last = min(self._last, max((record.last for record in yahoo), default=self._first))
            found = history_of(
                self._raw,
                symbol,
                self._listings[symbol],
                self._first,
                last,
                second_source=self._config.second_source,
                confirmed=self._confirmed.get(symbol, frozenset()),
            )
            known = self._histories[symbol] = stamp, found
        return known[1]

    def quarters(self, symbol: str) -> Fundamentals:
        """Return what is known of a symbol's quarters."""
        edgar = self._config.fundamentals == "edgar"
        keys = [("edgar", "facts")] if edgar else [("alphavantage", kind) for kind in STATEMENTS]
        stamp = [record.sha256 for key in keys for record in self._raw.records(RawKey(*key, symbol))]
        known = self._quarters.get(symbol)
        if known is None or known[0] != stamp:
            derive = edgar_fundamentals if edgar else alphavantage_fundamentals
            known = self._quarters[symbol] = stamp, derive(self._raw, symbol)
        return known[1]

    def articles(self, symbol: str) -> pd.DataFrame:
        """Return the articles about a symbol (`schemas.ARTICLES`), of all years."""
        stamp = [record.sha256 for record in self._raw.records(RawKey(ALPACA, "news", symbol))]
        known = self._articles.get(symbol)
        if known is None or known[0] != stamp:
            known = stamp, articles(self._raw, symbol, self._listings[symbol])
            if self._held(symbol) + _size(known[1]) <= MOST_HELD:
                self._articles[symbol] = known
        return known[1]

    def _held(self, other: str) -> int:
        """Return how many bytes the articles of all symbols but one take."""
        return sum(_size(table) for symbol, (_, table) in self._articles.items() if symbol != other)


def _size(table: pd.DataFrame) -> int:
    return int(table.memory_usage(deep=True).sum())


def index_closes(body: bytes, fetched_at: datetime, name: str) -> dict[date, float]:
    """Return the closes of an index in an answer of Yahoo's."""
    closes = read_chart(body, fetched_at).sessions["close"]
    return dict(zip(pd.DatetimeIndex(closes.index).date, closes, strict=True))
