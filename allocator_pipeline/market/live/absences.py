"""Times between two rows of a company in the candidates, in which it is not listed: true only if nothing was traded.

A wrong date in one of the rows looks the same, and the last close would stand for prices that there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from itertools import pairwise

import pandas as pd

from allocator_pipeline.errors import MarketDataError
from allocator_pipeline.market import calendar
from allocator_pipeline.market.live.alpaca import ALPACA, bars_in
from allocator_pipeline.market.live.chart import read_chart
from allocator_pipeline.market.live.settled import listed
from allocator_pipeline.market.membership import Listing, one_spelling
from allocator_pipeline.market.raw import RawKey, RawStore


def require_absent(
    store: RawStore,
    symbol: str,
    listings: Mapping[str, Sequence[Listing]],
    first: date,
    last: date,
    *,
    second_source: bool,
) -> None:
    """Refuse a time between two listings of a company of which a kept answer has bars, unless its ticker was another's.

    Parameters
    ----------
    store : RawStore
        With answers about that company only (`own.OwnAnswers`).
    symbol : str
    listings : mapping of str to sequence of Listing
        Of all candidates, by symbol and in time order.
    first, last : date
        The days that count, both included.
    second_source : bool
        Whether Alpaca's answers are looked at too.

    Raises
    ------
    MarketDataError
        Naming source, symbol, days, and the two rows.
    CorruptArtifactError, VendorError, IncompleteDataError
        If what is stored cannot be read.
    """
    for before, after in pairwise(listings[symbol]):
        gap = _between(before, after, first, last)
        if gap.empty:
            continue
        for source, ticker, days in _answers(store, symbol, second_source):
            traded = gap.intersection(days).difference(_of_others(listings, symbol, ticker, gap))
            if len(traded):
                raise MarketDataError(
                    f"The company has a row up to {before.last} and one from {after.first}, as if it had not been "
                    f"listed in between, but there are bars of {ticker} for {listed(traded)}.",
                    todo="correct the two rows in the candidates, so that one ends the day before the other begins; if "
                    f"{ticker} was another company's in those days, give that company a row with this ticker for them, "
                    "or leave out the earlier row.",
                    source=source,
                    symbol=symbol,
                    week=str(traded[0].date()),
                )


def _between(before: Listing, after: Listing, first: date, last: date) -> pd.DatetimeIndex:
    ended = before.last or last
    return calendar.sessions(max(first, ended + timedelta(days=1)), min(last, after.first - timedelta(days=1)))


def _answers(store: RawStore, symbol: str, second_source: bool) -> Iterator[tuple[str, str, pd.DatetimeIndex]]:
    """Yield of each answer about bars its source, its ticker and its sessions."""
    for record, body in store.bodies(RawKey("yahoo", "bars", symbol)):
        chart = read_chart(body, record.fetched_at)
        yield "yahoo", chart.ticker, pd.DatetimeIndex(chart.sessions.index)
    for record, body in store.bodies(RawKey(ALPACA, "bars", symbol)) if second_source else ():
        ticker = record.request["symbols"]
        yield ALPACA, ticker, pd.DatetimeIndex(sorted(bars_in(body, ticker)))


def _of_others(
    listings: Mapping[str, Sequence[Listing]], symbol: str, ticker: str, days: pd.DatetimeIndex
) -> pd.DatetimeIndex:
    """Return the days on which a ticker is another company's, by the candidates."""
    held = [
        one
        for name, group in listings.items()
        for one in group
        if name != symbol and one_spelling(one.ticker) == one_spelling(ticker)
    ]
    inside = [any(one.first <= day.date() <= (one.last or date.max) for one in held) for day in days]
    return days[inside]
