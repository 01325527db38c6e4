"""Download the years of some partitions, and tell which days of raw data are there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date

import pandas as pd

from allocator_pipeline.atomic import canonical_json, sha256
from allocator_pipeline.ingestion.asking import Ask, asking, open_client
from allocator_pipeline.ingestion.download import Downloaded, download
from allocator_pipeline.market.live.completeness import due_sessions
from allocator_pipeline.market.live.held import held_sessions
from allocator_pipeline.market.live.market import LiveMarket
from allocator_pipeline.market.live.needs import FEEDS, Need, missing
from allocator_pipeline.market.raw import RawKey, RawRecord
from allocator_pipeline.schemas import DOWNLOADS, validate

QUIET = 5.0
"""Seconds between two lines of a run's log about what was fetched."""


def download_years(
    market: LiveMarket, feed: str, keys: Sequence[str], progress: Callable[[str], None] = lambda line: None
) -> Downloaded:
    """Fetch what a feed lacks of some consecutive years, in as few questions as its vendor allows.

    Raises
    ------
    VendorError
        If answers failed; all the others are kept.
    ConfigurationError
        If a key is not set.
    """
    needs = market.needs(feed, date(int(min(keys)), 1, 1), date(int(max(keys)), 12, 31))

    def open_ask() -> Ask:
        return asking(feed, open_client(FEEDS[feed]), market)

    return download(feed, needs, market.raw, open_ask, progress, QUIET)


def raw_coverage(
    market: LiveMarket, feed: str, years: Sequence[str], keys: Sequence[str]
) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """Return what is there of a feed: of bars, the sessions of the listing that have one; of all else, the days asked.

    Parameters
    ----------
    market : LiveMarket
    feed : str
    years : sequence of str
        All years of the market.
    keys : sequence of str
        Those whose tables are wanted.

    Returns
    -------
    DataFrame, dict of str to DataFrame
        Shares of sessions, or days, by name and year (NaN where nothing is needed), and `schemas.DOWNLOADS` of each
        year wanted.
    """
    shares: dict[str, dict[str, float]] = {}
    records: dict[RawKey, list[RawRecord]] = {}
    bars: dict[RawKey, pd.DatetimeIndex] = {}
    tables = {}
    for year in years:
        rows = []
        for need in market.needs(feed, date(int(year), 1, 1), date(int(year), 12, 31)):
            key = need.key
            if key not in records:
                records[key] = market.raw.records(key)
                if key.kind == "bars":
                    bars[key] = held_sessions(market.raw, key, market.by_symbol[key.name])
            due, there = _due(market, need), _recorded(need, records[key])
            if key in bars:
                there = there.intersection(bars[key])
            there = due.intersection(there)
            if not len(due):
                continue
            share = shares.setdefault(key.name, {})
            share[year] = min(share.get(year, 1.0), len(there) / len(due))
            rows.append((key.name, key.kind, need.asked, need.first, need.last, len(due), len(there)))
        if year in keys:
            tables[year] = _table(rows)
    grid = pd.DataFrame.from_dict(shares, orient="index", dtype="float64").reindex(columns=list(years))
    return grid, tables


def raw_version(market: LiveMarket, feed: str) -> str:
    """Return a hash of all that is kept of a feed: the same until something else has been answered."""
    keys = sorted({need.key for need in market.needs(feed, date.min, date.max)}, key=str)
    kept = [
        [key.vendor, key.kind, key.name, record.sha256, record.first.isoformat(), record.last.isoformat()]
        for key in keys
        for record in market.raw.records(key)
    ]
    return sha256(canonical_json(kept))


def _due(market: LiveMarket, need: Need) -> pd.DatetimeIndex:
    if need.key.kind == "bars":
        return due_sessions(market.by_symbol[need.key.name], need.first, need.last)
    return pd.date_range(need.first, need.last)


def _recorded(need: Need, records: Sequence[RawRecord]) -> pd.DatetimeIndex:
    """Return the days of a need for which there is a whole answer."""
    days = pd.date_range(need.first, need.last)
    for first, last in missing(need, records):
        days = days[(days < pd.Timestamp(first)) | (days > pd.Timestamp(last))]
    return days


def _table(rows: Sequence[tuple[object, ...]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=list(DOWNLOADS.columns)).astype(
        {"first": "datetime64[us]", "last": "datetime64[us]", "due": "int64", "there": "int64"}
    )
    for name in ("name", "kind", "asked"):
        table[name] = table[name].astype("str")
    return validate(table, DOWNLOADS, "downloads")
