"""What is derived from raw answers symbol by symbol, once for the answers that there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Generic, TypeVar

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
from allocator_pipeline.market.raw import RawKey, RawRecord, RawStore

Value = TypeVar("Value")

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
        self._histories: _Held[History] = _Held()
        self._quarters: _Held[Fundamentals] = _Held()
        self._articles: _Held[pd.DataFrame] = _Held(MOST_HELD, _bytes_of)

    def history(self, symbol: str) -> History:
        """Return a symbol's history as far as it is there.

        Raises
        ------
        IncompleteDataError
            As `history_of`.
        """
        yahoo = self._raw.records(RawKey("yahoo", "bars", symbol))

        def derive() -> History:
            return history_of(
                self._raw,
                symbol,
                self._listings[symbol],
                self._first,
                min(self._last, max((record.last for record in yahoo), default=self._first)),
                second_source=self._config.second_source,
                confirmed=self._confirmed.get(symbol, frozenset()),
            )

        return self._histories.get(symbol, [*yahoo, *self._raw.records(RawKey("alpaca", "bars", symbol))], derive)

    def quarters(self, symbol: str) -> Fundamentals:
        """Return what is known of a symbol's quarters."""
        edgar = self._config.fundamentals == "edgar"
        keys = [("edgar", "facts")] if edgar else [("alphavantage", kind) for kind in STATEMENTS]
        records = [record for key in keys for record in self._raw.records(RawKey(*key, symbol))]
        derive = edgar_fundamentals if edgar else alphavantage_fundamentals
        return self._quarters.get(symbol, records, lambda: derive(self._raw, symbol))

    def articles(self, symbol: str) -> pd.DataFrame:
        """Return the articles about a symbol (`schemas.ARTICLES`), of all years."""
        records = self._raw.records(RawKey(ALPACA, "news", symbol))
        return self._articles.get(symbol, records, lambda: articles(self._raw, symbol, self._listings[symbol]))


class _Held(Generic[Value]):
    """What was derived of each symbol, as long as its answers are the same and there is room.

    Parameters
    ----------
    most : int, optional
        Bytes, of all symbols together; without one everything is held.
    size : callable
        Bytes of one.
    """

    def __init__(self, most: int | None = None, size: Callable[[Value], int] = lambda value: 0) -> None:
        self._most, self._size = most, size
        self._held: dict[str, tuple[list[str], Value, int]] = {}

    def get(self, symbol: str, records: Sequence[RawRecord], derive: Callable[[], Value]) -> Value:
        stamp = [record.sha256 for record in records]
        known = self._held.pop(symbol, None)
        if known is None or known[0] != stamp:
            value = derive()
            known = stamp, value, self._size(value)
        if self._most is None or sum(size for *_, size in self._held.values()) + known[2] <= self._most:
            self._held[symbol] = known
        return known[1]


def _bytes_of(table: pd.DataFrame) -> int:
    return int(table.memory_usage(deep=True).sum())


def index_closes(body: bytes, fetched_at: datetime, name: str) -> dict[date, float]:
    """Return the closes of an index in an answer of Yahoo's."""
    closes = read_chart(body, fetched_at).sessions["close"]
    return dict(zip(pd.DatetimeIndex(closes.index).date, closes, strict=True))
