"""Which quarters the answers about a company give figures of, which are due, and answers that have lost some."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import pandas as pd

from allocator_pipeline.errors import IncompleteDataError
from allocator_pipeline.market.live.facts import NOTHING
from allocator_pipeline.market.live.filings import quarters_filed
from allocator_pipeline.market.live.releases import quarters_told
from allocator_pipeline.market.raw import RawKey, RawRecord, RawStore, fetch_again

REPORTED_WITHIN = timedelta(days=100)
"""After that a quarter's figures are due: an annual report takes 60 to 90 days."""

AROUND = timedelta(days=10)
"""Fiscal quarters that are counted in weeks end some days before or after the calendar's."""


def quarters_in(key: RawKey, body: bytes, request: Mapping[str, str]) -> set[date]:
    """Return the ends of the quarters of which one answer gives figures (of earnings: a release date).

    Parameters
    ----------
    key : RawKey
        Of EDGAR's facts or of a table of Alpha Vantage's.
    body : bytes
    request : mapping of str to str
        As it is kept with the answer.

    Raises
    ------
    VendorError
        If it cannot be read.
    """
    if key.vendor == "edgar":
        return quarters_filed(body, key.name, request)
    return quarters_told(body, key.kind, key.name)


def held_quarters(store: RawStore, key: RawKey) -> pd.DatetimeIndex:
    """Return the ends of the quarters of which the answers kept give figures, rising.

    Raises
    ------
    CorruptArtifactError, VendorError
        If what is kept cannot be read.
    """
    once = {record.sha256: record for record in store.records(key)}.values()  # most answers are those of before
    ends = {end for record in once for end in quarters_in(key, store.read(record), record.request)}
    return pd.DatetimeIndex(sorted(ends), dtype="datetime64[us]")


def due_quarters(first: date, last: date, until: date) -> pd.DatetimeIndex:
    """Return the ends of the calendar quarters from ``first`` to ``last`` that are to be reported by ``until``."""
    return pd.date_range(first, min(last, until - REPORTED_WITHIN), freq="QE")


def quarters_within(held: pd.DatetimeIndex, first: date, last: date, until: date) -> int:
    """Return how many of the quarters held count for the days of `due_quarters`."""
    ends = held - AROUND
    inside = (ends >= pd.Timestamp(first)) & (ends <= pd.Timestamp(min(last, until - REPORTED_WITHIN)))
    return int(inside.sum())


def require_not_lost(store: RawStore, key: RawKey, body: bytes, request: Mapping[str, str]) -> None:
    """Refuse an answer that lacks more than half of the quarters of the last one to the same question.

    Raises
    ------
    IncompleteDataError
        Naming source, symbol and the records to remove if the shorter answer is to be accepted.
    """
    before = [record for record in store.records(key) if _question(record.request) == _question(request)]
    if not before:
        return
    now, last = quarters_in(key, body, request), before[-1]
    known = quarters_in(key, store.read(last), last.request)
    lost = sorted(known - now)
    if 2 * len(lost) > len(known):
        raise IncompleteDataError(
            f"It lacks {len(lost)} of the {len(known)} quarters that were there before, the first of them {lost[0]}.",
            todo="run it again later; if it stays, the vendor has shortened its history for good. To accept that, "
            f"{fetch_again([_named(store, before)])}, and what only that record held is then gone.",
            source=key.vendor,
            symbol=key.name,
        )


def _named(store: RawStore, records: Sequence[RawRecord]) -> str:
    first, last = store.place(records[0]), store.place(records[-1])
    return last if len(records) == 1 else f"{last} and the {len(records) - 1} before it, back to {first},"


def _question(request: Mapping[str, str]) -> dict[str, str]:
    """Return what was asked, whether or not there was anything."""
    return {name: value for name, value in request.items() if name != NOTHING}
