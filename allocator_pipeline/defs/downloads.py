"""Download the years of some partitions, and tell which days of raw data are there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date

import pandas as pd

from allocator_pipeline.ingestion.asking import Ask, asking, open_client
from allocator_pipeline.ingestion.download import Downloaded, download
from allocator_pipeline.market.live.market import LiveMarket
from allocator_pipeline.market.live.needs import FEEDS, missing
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
    """Return what is there of a feed.

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
        Shares of days by name and year (NaN where nothing is needed), and `schemas.DOWNLOADS` of each year wanted.
    """
    shares: dict[str, dict[str, float]] = {}
    records: dict[RawKey, list[RawRecord]] = {}
    tables = {}
    for year in years:
        rows = []
        for need in market.needs(feed, date(int(year), 1, 1), date(int(year), 12, 31)):
            due, key = (need.last - need.first).days + 1, need.key
            if key not in records:
                records[key] = market.raw.records(key)
            lacking = sum((last - first).days + 1 for first, last in missing(need, records[key]))
            share = shares.setdefault(key.name, {})
            share[year] = min(share.get(year, 1.0), 1 - lacking / due)
            rows.append((need.key.name, need.key.kind, need.asked, need.first, need.last, due, due - lacking))
        if year in keys:
            tables[year] = _table(rows)
    grid = pd.DataFrame.from_dict(shares, orient="index", dtype="float64").reindex(columns=list(years))
    return grid, tables


def _table(rows: Sequence[tuple[object, ...]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=list(DOWNLOADS.columns)).astype(
        {"first": "datetime64[us]", "last": "datetime64[us]", "due": "int64", "there": "int64"}
    )
    for name in ("name", "kind", "asked"):
        table[name] = table[name].astype("str")
    return validate(table, DOWNLOADS, "downloads")
