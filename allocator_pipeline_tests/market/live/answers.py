"""Answers of Yahoo's about one stock, made of what is true about it, kept as a client would keep them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd

from allocator_pipeline.market import calendar
from allocator_pipeline.market.live.adjust import growth
from allocator_pipeline.market.membership import Listing
from allocator_pipeline.market.raw import RawKey, RawStore
from allocator_pipeline_tests.vendors.yahoo import chart

KEY = RawKey("yahoo", "bars", "ACME")
LISTINGS = [Listing("ACME", "ACME", date(1990, 1, 1))]


@dataclass
class Truth:
    """A stock as it traded.

    Parameters
    ----------
    sessions : DataFrame
        By date: ``open``, ``high``, ``low``, ``close``, ``volume``, ``dividend``, ``split``.
    """

    sessions: pd.DataFrame

    @classmethod
    def drawn(
        cls, seed: int, count: int, dividends: dict[int, float], splits: dict[int, float], first="2014-01-02"
    ) -> Truth:
        """Draw prices; dividends (USD) and splits by position."""
        days = calendar.sessions(first, pd.Timestamp(first) + timedelta(days=2 * count + 10))[:count]
        table = pd.DataFrame({"dividend": 0.0, "split": 1.0}, index=days)
        for column, values in (("dividend", dividends), ("split", splits)):
            for position, value in values.items():
                table.iloc[position, table.columns.get_loc(column)] = value
        wander = np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.02, count)))
        table["close"] = 100 * wander / table["split"].cumprod()
        table["open"], table["high"], table["low"] = (table["close"] * share for share in (0.995, 1.01, 0.99))
        table["volume"] = np.round(1e6 * table["split"].cumprod())
        return cls(table)

    @property
    def returns(self) -> pd.Series:
        """Total returns by date."""
        table = self.sessions
        return table["close"] * growth(table) / table["close"].shift() - 1

    def moment(self, position: int) -> pd.Timestamp:
        """Return the evening of a session."""
        return self.sessions.index[position].tz_localize("America/New_York") + pd.Timedelta(hours=22)

    def answer(self, first: int, now: pd.Timestamp, unlisted: tuple[int, ...] = ()) -> bytes:
        """Return what Yahoo answers at an instant, from a session on; without the events of some sessions."""
        table = self.sessions
        told = [
            {"date": table.index[row], "kind": kind, "value": table[kind].iloc[row]}
            for kind, nothing in (("dividend", 0.0), ("split", 1.0))
            for row in np.flatnonzero(table[kind] != nothing)
        ]
        bars = table.reset_index(names="date")
        actions = pd.DataFrame(told, columns=["date", "kind", "value"])
        body = chart(bars, actions, "ACME", table.index[first], now.tz_localize(None), now)
        assert body is not None
        return without_events(body, [table.index[row].date() for row in unlisted])


def without_events(body: bytes, days: list[date]) -> bytes:
    """Return a chart whose prices are divided as they are, but that does not list the events of some days."""
    values = json.loads(body)
    events = values["chart"]["result"][0].get("events", {})
    for kind, listed in events.items():
        events[kind] = {
            stamp: event for stamp, event in listed.items() if pd.Timestamp(event["date"], unit="s").date() not in days
        }
    return json.dumps(values).encode()


def keep(store: RawStore, body: bytes, now: pd.Timestamp) -> None:
    """Keep an answer under the key of the stock."""
    day = now.date()
    store.put(KEY, body, fetched_at=now.to_pydatetime(), first=day, last=day, request={})
