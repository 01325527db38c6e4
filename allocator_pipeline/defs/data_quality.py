"""Gather what the report says about the quality of the stored data, by year and symbol."""

from __future__ import annotations

from typing import Any

import pandas as pd

from allocator_pipeline.defs.resources import MarketResource
from allocator_pipeline.defs.storage import AssetStore
from allocator_pipeline.market import calendar, quality


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
        for symbol, share in session_shares(bars).items():
            shares.setdefault(symbol, {})[key] = share
    return {"years": years, "shares": dict(sorted(shares.items())), "lines": lines, "words": _words(years, lines)}


def session_shares(bars: pd.DataFrame) -> dict[str, float]:
    """Return which share of the sessions from its first to its last bar a symbol has a bar on."""
    every = calendar.sessions(bars["date"].min(), bars["date"].max())
    groups = bars.groupby("symbol")["date"].agg(["min", "max", "nunique"])
    due = every.searchsorted(groups["max"], side="right") - every.searchsorted(groups["min"], side="left")
    return dict(zip(groups.index, (groups["nunique"] / due).round(4).tolist(), strict=True))


def _rows(store: AssetStore, asset: str, key: str) -> int | None:
    return len(store.read(asset, key)) if store.has(asset, key) else None


def _words(years: dict[str, dict[str, int | None]], lines: dict[str, list[str]]) -> list[str]:
    span = f"{min(years)} to {max(years)}" if years else "no year"
    told = [f"{heading}: {len(found) or 'none'}." for heading, found in lines.items()]
    return [f"Prices are stored for {span}.", *told]
