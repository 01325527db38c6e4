"""The user's own market: a folder with prices and, if there are any, news and fundamentals (docs/data-schema.md)."""

from __future__ import annotations

from datetime import date
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl

from allocator_pipeline.config import N_STOCKS, RATIOS
from allocator_pipeline.errors import MarketDataError
from allocator_pipeline.market.ingest import Accepted, as_numbers, read_fundamentals, read_news, read_prices
from allocator_pipeline.market.liquidity import TRAILING_SESSIONS, rank_by_liquidity
from allocator_pipeline.market.scoring.vader import Vader
from allocator_pipeline.market.source import NO_SCREEN, MarketCoverage, require_year, year_start
from allocator_pipeline.market.tabular import find_file, parse_choice
from allocator_pipeline.schemas import FUNDAMENTALS, PRICES, SENTIMENT, validate


class FilesMarket:
    """A folder of files; see `MarketSource` for the methods.

    Files are read and checked when they are first needed, once.

    Parameters
    ----------
    folder : Path
    source : str, optional
        Which source to read of a table that holds several: one name, or ``prices=...,news=...,fundamentals=...``.

    Raises
    ------
    MarketDataError
        If there is no such folder, it holds no prices, or several files for one table.
    """

    def __init__(self, folder: Path, source: str | None = None) -> None:
        self.folder = Path(folder)
        self.choice = parse_choice(source)
        if not self.folder.is_dir():
            raise MarketDataError(
                "There is no such folder." if not self.folder.exists() else "This is a file, not a folder.",
                todo="set ALLOCATOR_FILES_DIR to the folder that holds prices.parquet or prices.csv.",
                source=str(folder),
            )
        prices = find_file(self.folder, ("prices", "prices_daily"))
        if prices is None:
            raise MarketDataError(
                "The folder holds no prices.",
                todo="put prices.parquet or prices.csv there, or set ALLOCATOR_FILES_DIR to another folder.",
                source=str(folder),
            )
        self.prices_file = prices
        self.news_file = find_file(self.folder, ("news",))
        self.fundamentals_file = find_file(self.folder, ("fundamentals",))

    def coverage(self) -> MarketCoverage:
        """Return what the folder holds."""
        rows = self._prices.rows
        days = rows.select(first=pl.col("date").min(), last=pl.col("date").max()).row(0)
        return MarketCoverage(
            name="files",
            first_session=days[0],
            last_session=days[1],
            static=True,
            has_open=rows["open"].null_count() == 0,
            has_volume=rows["volume"].null_count() == 0,
            simulated=(),
            notes=self._notes(days[1]),
            symbols=tuple(sorted(rows["symbol"].unique().to_list())),
        )

    def prices(self, year: int) -> pd.DataFrame:
        """Return the bars of a year.

        Raises
        ------
        NotEnoughDataError
            If the year lies outside the coverage.
        """
        require_year(self.coverage(), year)
        return validate(_price_frame(self._prices.rows.filter(pl.col("date").dt.year() == year)), PRICES, "files")

    def sentiment(self, year: int) -> pd.DataFrame:
        """Return the articles of a year; VADER scores those that came without a score."""
        rows = _in_year(self._news.rows, "published_at", year).sort("published_at", "symbol", "article_id")
        scores = rows["score"].to_numpy().copy()
        unscored = np.isnan(scores)
        vader = Vader()
        scores[unscored] = vader.score(rows["text"].filter(pl.Series(unscored)).to_list())
        table = pd.DataFrame(
            {
                "article_id": _texts(rows["article_id"]),
                "symbol": _texts(rows["symbol"]),
                "published_at": _instants(rows["published_at"]),
                "score": scores,
                "scorer": pd.Series(np.where(unscored, vader.version, rows["scorer"].to_numpy()), dtype="str"),
                "source": _texts(rows["source"]),
            }
        )
        return validate(table, SENTIMENT, "files")

    def fundamentals(self, year: int) -> pd.DataFrame:
        """Return the ratios that became known in a year."""
        rows = _in_year(self._fundamentals.rows, "known_at", year).sort("known_at", "symbol", "period_end")
        table = pd.DataFrame(
            {
                "symbol": _texts(rows["symbol"]),
                "period_end": _days(rows["period_end"]),
                "known_at": _instants(rows["known_at"]),
                **{name: rows[name].to_numpy() for name in RATIOS},
                "source": _texts(rows["source"]),
            }
        )
        return validate(table, FUNDAMENTALS, "files")

    def fixed_universe(self) -> list[str]:
        """Return the 15 most liquid stocks at the end of the prices."""
        days = self._prices.rows["date"].unique().sort().tail(TRAILING_SESSIONS)
        recent = _price_frame(self._prices.rows.filter(pl.col("date") >= days[0]))
        return rank_by_liquidity(recent)["symbol"].head(N_STOCKS).tolist()

    def rejections(self, year: int) -> dict[str, int]:
        """Return how many rows of a year were rejected, by table and reason.

        A quarter without a known-at date counts in the year of its period end, and an article without one in the first
        year with prices. Rows of a year without prices count in the nearest one with prices.
        """
        tables = {"prices": self._prices, "news": self._news, "fundamentals": self._fundamentals}
        years = self.coverage().years
        counts: dict[str, int] = {}
        for name, table in tables.items():
            for (when, reason), count in sorted(table.rejected.items()):
                if min(max(when or years[0], years[0]), years[-1]) == year:
                    counts[f"{name}: {reason}"] = counts.get(f"{name}: {reason}", 0) + count
        return counts

    def _notes(self, last: date) -> tuple[str, ...]:
        ends = self._prices.rows.group_by("symbol").agg(pl.col("date").max().alias("last"))["last"]
        gone = int((ends < last).sum())
        survivors = (
            f"{gone} of {len(ends)} stocks stop trading before the end of the prices."
            if gone
            else f"All {len(ends)} stocks trade to the end: if the list was drawn up with hindsight, survivorship "
            "flatters every level of return."
        )
        used = [f"prices from {self._prices.source}"]
        used += [f"news from {self._news.source}" if self.news_file else "no news"]
        used += [f"fundamentals from {self._fundamentals.source}" if self.fundamentals_file else "no fundamentals"]
        return (f"The user's own files: {', '.join(used)}.", survivors, NO_SCREEN)

    @cached_property
    def _prices(self) -> Accepted:
        return read_prices(self.prices_file, self.choice)

    @cached_property
    def _news(self) -> Accepted:
        return read_news(self.news_file, self.choice)

    @cached_property
    def _fundamentals(self) -> Accepted:
        return read_fundamentals(self.fundamentals_file, self.choice)


def _in_year(rows: pl.DataFrame, column: str, year: int) -> pl.DataFrame:
    first, after = year_start(year).to_pydatetime(), year_start(year + 1).to_pydatetime()
    return rows.filter((pl.col(column) >= first) & (pl.col(column) < after))


def _price_frame(rows: pl.DataFrame) -> pd.DataFrame:
    numbers = ("open", "high", "low", "close", "adj_close", "volume")
    return pd.DataFrame(
        {
            "date": _days(rows["date"]),
            "symbol": _texts(rows["symbol"]),
            **{name: as_numbers(rows[name]) for name in numbers},
            "source": _texts(rows["source"]),
        }
    )


def _texts(values: pl.Series) -> pd.Series:
    return pd.Series(values.to_list(), dtype="str")


def _days(values: pl.Series) -> pd.Series:
    return pd.Series(values.cast(pl.Datetime("us")).to_numpy().copy())


def _instants(values: pl.Series) -> pd.Series:
    return pd.Series(values.dt.replace_time_zone(None).to_numpy().copy()).dt.tz_localize("UTC")
