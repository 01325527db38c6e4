"""Answers put into a raw store, as ingestion does."""

from __future__ import annotations

from datetime import UTC, date, datetime

from allocator_pipeline.market.raw import RawKey, RawStore

LONG_AGO, TODAY = date(1990, 1, 1), date(2026, 1, 2)
FETCHED = datetime(2026, 1, 2, 12, tzinfo=UTC)


def keep(
    store: RawStore,
    vendor: str,
    kind: str,
    name: str,
    body: bytes,
    when: datetime = FETCHED,
    first: date = LONG_AGO,
    last: date = TODAY,
) -> None:
    """Keep one answer."""
    store.put(RawKey(vendor, kind, name), body, fetched_at=when, first=first, last=last, request={})
