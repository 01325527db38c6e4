"""Download the years of some partitions, and tell what of the raw data is there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date

import pandas as pd

from allocator_pipeline.atomic import canonical_json, sha256
from allocator_pipeline.errors import AllocatorError
from allocator_pipeline.ingestion.asking import Ask, asking, open_client
from allocator_pipeline.ingestion.download import Downloaded, download
from allocator_pipeline.market.live.coverage import counts, held
from allocator_pipeline.market.live.market import LiveMarket
from allocator_pipeline.market.live.needs import FEEDS
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
    needs = market.needs_of_tables(feed, date(int(min(keys)), 1, 1), date(int(max(keys)), 12, 31))

    def open_ask() -> Ask:
        return asking(feed, open_client(FEEDS[feed]), market)

    return download(feed, needs, market.raw, open_ask, progress, QUIET)


def raw_coverage(
    market: LiveMarket,
    feed: str,
    years: Sequence[str],
    keys: Sequence[str],
    told: Callable[[str], None] = lambda line: None,
) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """Return what is there of a feed (`market.live.coverage` says what is counted).

    Parameters
    ----------
    market : LiveMarket
    feed : str
    years : sequence of str
        All years of the market.
    keys : sequence of str
        Those whose tables are wanted.
    told : callable
        Receives a line about each symbol or series whose answers cannot be read, and each company whose statements
        yield no ratio: nothing of it counts as there.

    Returns
    -------
    DataFrame, dict of str to DataFrame
        Shares of what is due, by name and year (NaN where nothing is), and `schemas.DOWNLOADS` of each year wanted.
    """
    shares: dict[str, dict[str, float]] = {}
    kept: dict[RawKey, tuple[list[RawRecord], pd.DatetimeIndex | None]] = {}
    tables = {}
    for year in years:
        rows = []
        for need in market.needs(feed, date(int(year), 1, 1), date(int(year), 12, 31)):
            key = need.key
            if key not in kept:
                kept[key] = _kept(market, key, told)
            due, there = counts(market, need, *kept[key])
            if not due:
                continue
            share = shares.setdefault(key.name, {})
            share[year] = min(share.get(year, 1.0), there / due)
            rows.append((key.name, key.kind, need.asked, need.first, need.last, due, there))
        if year in keys:
            tables[year] = _table(rows)
    grid = pd.DataFrame.from_dict(shares, orient="index", dtype="float64").reindex(columns=list(years))
    return grid, tables


def _kept(
    market: LiveMarket, key: RawKey, told: Callable[[str], None]
) -> tuple[list[RawRecord], pd.DatetimeIndex | None]:
    """Return the records of a key and the days they hold; nothing of what cannot be read."""
    try:
        return market.raw.records(key), held(market, key, told)
    except AllocatorError as error:
        told(f"What is kept of {key.name} counts as not there: {error}")
        return [], pd.DatetimeIndex([], dtype="datetime64[us]")


def raw_version(market: LiveMarket, feed: str) -> str:
    """Return a hash of all that is kept of a feed: the same until something else has been answered."""
    keys = sorted({need.key for need in market.needs(feed, date.min, date.max)}, key=str)
    kept = [
        [key.vendor, key.kind, key.name, record.sha256, record.first.isoformat(), record.last.isoformat()]
        for key in keys
        for record in market.raw.records(key)
    ]
    return sha256(canonical_json(kept))


def _table(rows: Sequence[tuple[object, ...]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=list(DOWNLOADS.columns)).astype(
        {"first": "datetime64[us]", "last": "datetime64[us]", "due": "int64", "there": "int64"}
    )
    for name in ("name", "kind", "asked"):
        table[name] = table[name].astype("str")
    return validate(table, DOWNLOADS, "downloads")
