"""Gather what the report says about the quality of the stored data, by year and symbol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from allocator_pipeline.defs.resources import MarketResource
from allocator_pipeline.defs.storage import AssetStore
from allocator_pipeline.market import calendar, quality
from allocator_pipeline.market.live.completeness import due_sessions
from allocator_pipeline.market.membership import Listing


def gather_quality(store: AssetStore, market: MarketResource) -> dict[str, Any]:
    """Return the quality of everything stored of the market.

    Parameters
    ----------
    store : AssetStore
    market : MarketResource

    Returns
    -------
    dict
        As `evaluation.report.data_quality.data_quality` takes it.
    """
    coverage = market.source.coverage()
    listings = market.live_market.by_symbol if market.market == "live" else {}
    years: dict[str, dict[str, int | None]] = {}
    shares: dict[str, dict[str, float]] = {}
    lines: dict[str, list[str]] = {"Gaps and bad values": [], "Moves over 40 %": []}
    for key in store.keys("prices"):
        bars = store.read("prices", key)
        problems = quality.price_problems(bars, int(key), coverage) + quality.session_problems(bars, int(key), coverage)
        moves = quality.price_warnings(bars)
        lines["Gaps and bad values"] += problems
        lines["Moves over 40 %"] += moves
        if store.has("price_doubts", key):
            compared = [quality.DISAGREES, quality.LACKS] if store.has("alpaca_bars", key) else []
            for kind in (quality.JUMPS, quality.REWRITTEN, *compared):
                lines.setdefault(kind, [])
            for kind, doubts in store.read("price_doubts", key).groupby("kind"):
                lines.setdefault(str(kind), []).extend(doubts["told"])
        years[key] = {
            "symbols": int(bars["symbol"].nunique()),
            "bars": len(bars),
            "articles": _rows(store, "sentiment", key),
            "quarters": _rows(store, "fundamentals", key),
            "problems": len(problems),
            "moves": len(moves),
            "rejected": sum(market.source.rejections(int(key)).values()),
        }
        for symbol, share in session_shares(bars, listings).items():
            shares.setdefault(symbol, {})[key] = share
    return {"years": years, "shares": dict(sorted(shares.items())), "lines": lines, "words": _words(years, lines)}


def session_shares(bars: pd.DataFrame, listings: Mapping[str, Sequence[Listing]]) -> dict[str, float]:
    """Return which share of its sessions a symbol has a bar on.

    Parameters
    ----------
    bars : DataFrame
        `schemas.PRICES` of a year.
    listings : mapping of str to sequence of Listing
        By symbol; the sessions of one without any are those from its first to its last bar.
    """
    every = calendar.sessions(bars["date"].min(), bars["date"].max())
    days = {str(symbol): pd.DatetimeIndex(group) for symbol, group in bars.groupby("symbol")["date"]}
    shares = {}
    for symbol in dict.fromkeys([*listings, *days]):
        held = days.get(symbol, every[:0])
        if symbol in listings:
            due = due_sessions(listings[symbol], every[0].date(), every[-1].date())
        else:
            due = every[(every >= held.min()) & (every <= held.max())]
        if len(due):
            shares[symbol] = round(len(due.intersection(held)) / len(due), 4)
    return shares


def _rows(store: AssetStore, asset: str, key: str) -> int | None:
    return len(store.read(asset, key)) if store.has(asset, key) else None


def _words(years: dict[str, dict[str, int | None]], lines: dict[str, list[str]]) -> list[str]:
    span = f"{min(years)} to {max(years)}" if years else "no year"
    told = [f"{heading}: {len(found) or 'none'}." for heading, found in lines.items()]
    return [f"Prices are stored for {span}.", *told]
