"""A small live market: fifteen stocks, two years, drawn from a seed, with its vendors and the same as files."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from allocator_pipeline.config import LiveConfig, Settings
from allocator_pipeline.defs.downloads import download_years
from allocator_pipeline.market import calendar
from allocator_pipeline.market.files import FilesMarket
from allocator_pipeline.market.live.market import LiveMarket
from allocator_pipeline.market.live.needs import feeds_of
from allocator_pipeline.market.sources import open_live
from allocator_pipeline_tests.vendors.together import Vendors, write_candidates
from allocator_pipeline_tests.vendors.truth import Truth, headlines, series_of

YEARS = (2018, 2019)
SYMBOLS = [f"S{number:02d}" for number in range(15)]
SPLITS = {"split": 2.0, "3:1": 3.0, "1:10": 0.1}
"""New shares for one old one, by kind of action; what is not here is a dividend."""
FIGURES = ("revenue", "gross_profit", "operating_income", "net_income", "current_assets", "current_liabilities")


def made_up(seed: int, actions: list[tuple[int, int, str]]) -> Truth:
    """Return a truth drawn from a seed, with some actions (symbol, session, kind)."""
    rng = np.random.default_rng(seed)
    days = calendar.sessions(f"{YEARS[0]}-01-01", f"{YEARS[-1]}-12-31")
    shape = (len(days), len(SYMBOLS))
    closes = 50 * np.exp(np.cumsum(rng.normal(0, 0.02, shape), axis=0))
    told = pd.DataFrame(
        {
            "symbol": [SYMBOLS[symbol] for symbol, _, _ in actions],
            "date": days[[session for _, session, _ in actions]],
            "kind": ["split" if kind in SPLITS else kind for *_, kind in actions],
            "value": [SPLITS.get(kind, 0.25) for *_, kind in actions],
        }
    ).drop_duplicates(["symbol", "date"])
    factors = np.ones(shape)
    for row in told[told["kind"] == "split"].itertuples():
        factors[days >= row.date, SYMBOLS.index(row.symbol)] *= row.value
    closes = (closes / factors).astype("float32").astype("float64")  # Yahoo tells single precision
    bars = pd.DataFrame(
        {"date": np.repeat(days, shape[1]), "symbol": np.tile(np.array(SYMBOLS, dtype=object), shape[0])}
    )
    bars["close"] = closes.ravel()
    for name, share in (("open", 1.0), ("high", 1.0 + 2**-6), ("low", 1.0 - 2**-6)):
        bars[name] = (bars["close"] * share).astype("float32").astype("float64")
    bars["volume"] = rng.integers(10_000, 900_000, len(bars)) * 16.0
    bars["adj_close"] = forwards(bars, told)
    return Truth(bars, told, articles(rng, days), quarters(rng), series_of(bars))


def forwards(bars: pd.DataFrame, actions: pd.DataFrame) -> pd.Series:
    """Return total-return closes from the definition: each day's return, step by step."""
    paid = {(row.symbol, row.date, row.kind): row.value for row in actions.itertuples()}
    last: dict[str, tuple[float, float]] = {}
    levels = []
    for row in bars.itertuples():
        split, dividend = (
            paid.get((row.symbol, row.date, "split"), 1.0),
            paid.get((row.symbol, row.date, "dividend"), 0.0),
        )
        level = row.close
        if row.symbol in last:
            before, level_before = last[row.symbol]
            level = level_before * (row.close * split / before) / (1 - dividend * split / before)
        last[row.symbol] = (row.close, level)
        levels.append(level)
    return pd.Series(levels, index=bars.index)


def articles(rng: np.random.Generator, days: pd.DatetimeIndex) -> pd.DataFrame:
    count = 200
    at = pd.DatetimeIndex(rng.choice(days, count)) + pd.to_timedelta(rng.integers(0, 86_400, count), unit="s")
    table = pd.DataFrame({"published_at": at.tz_localize("UTC"), "symbol": rng.choice(SYMBOLS, count)})
    table = table.drop_duplicates(["symbol", "published_at"]).sort_values(["published_at", "symbol"], ignore_index=True)
    table["published_at"] = table["published_at"].astype("datetime64[us, UTC]")
    table["article_id"] = np.arange(10**6, 10**6 + len(table))
    texts = headlines(rng.uniform(-0.8, 0.8, len(table)), table["published_at"])
    table["text"] = [f"{text} {number}" for number, text in enumerate(texts)]
    return table


def quarters(rng: np.random.Generator) -> pd.DataFrame:
    ends = [pd.Timestamp(year, month, day) for year in YEARS for month, day in ((3, 31), (6, 30), (9, 30), (12, 31))]
    rows = []
    for symbol in SYMBOLS:
        for end in ends:
            filed = end + pd.Timedelta(days=int(rng.integers(20, 60)))
            numbers = dict(zip(FIGURES, rng.integers(10**6, 10**10, len(FIGURES)).astype(float), strict=True))
            owned = {"equity": float(rng.integers(10**6, 10**9)), "total_debt": float(rng.integers(10**6, 10**9))}
            rows.append({"symbol": symbol, "period_end": end, "known_at": filed, **numbers, **owned})
    table = pd.DataFrame(rows)
    table["known_at"] = (table["known_at"] + pd.Timedelta(hours=17)).dt.tz_localize("UTC")
    return table


def write_files(truth: Truth, folder: Path) -> FilesMarket:
    folder.mkdir(parents=True)
    truth.bars.assign(source="yahoo").to_parquet(folder / "prices.parquet")
    truth.news.assign(source="alpaca", article_id=truth.news["article_id"].astype(str)).to_parquet(
        folder / "news.parquet"
    )
    known = truth.quarters.assign(known_at=truth.quarters["known_at"].dt.date, source="statements")
    known.to_parquet(folder / "fundamentals.parquet")
    return FilesMarket(folder)


def live_settings(vendors: Vendors, folder: Path, **changes: object) -> Settings:
    config = LiveConfig(
        candidates=write_candidates(folder / "candidates.csv", vendors.ciks),
        start=date(YEARS[0], 1, 1),
        end=date(YEARS[-1], 12, 31),
        scorer="vader",
    )
    return Settings(market="live", data_dir=folder / "data", live=replace(config, **changes), min_training_years=3)


def live_market(vendors: Vendors, folder: Path, **changes: object) -> LiveMarket:
    return open_live(live_settings(vendors, folder, **changes))


def fetch(market: LiveMarket, years: tuple[int, ...] = YEARS) -> int:
    """Download everything, and return how many answers were fetched."""
    return sum(download_years(market, feed, [str(year) for year in years]).asked for feed in feeds_of(market.config))
