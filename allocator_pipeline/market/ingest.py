"""Which rows of the user's files are accepted, which are rejected and counted, and which are an error."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import polars as pl

from allocator_pipeline.config import CASH, RATIOS
from allocator_pipeline.errors import MarketDataError, UnsafeNameError
from allocator_pipeline.market import calendar
from allocator_pipeline.market.fundamentals import RATIO_PARTS, ratio
from allocator_pipeline.market.news import first_tellings
from allocator_pipeline.market.plain_text import plain_text
from allocator_pipeline.market.source import NEW_YORK
from allocator_pipeline.market.tabular import ROW, Column, bad_value, empty_table, only_source, read_table
from allocator_pipeline.paths import safe_name

_SYMBOL = Column("text", ("symbol", "ticker"), required=True)
_SOURCE = Column("text", ("source",))

PRICE_COLUMNS = {
    "date": Column("day", ("date", "session", "day"), required=True),
    "symbol": _SYMBOL,
    "open": Column("number", ("open",)),
    "high": Column("number", ("high",)),
    "low": Column("number", ("low",)),
    "close": Column("number", ("close",), required=True),
    "adj_close": Column("number", ("adj_close", "adjusted_close", "adjclose"), required=True),
    "volume": Column("number", ("volume",)),
    "source": _SOURCE,
}
NEWS_COLUMNS = {
    "article_id": Column("text", ("article_id", "id")),
    "symbol": _SYMBOL,
    "published_at": Column("instant", ("published_at", "time_published", "published", "known_at")),
    "text": Column("text", ("text", "headline", "title", "summary")),
    "score": Column("number", ("score", "sentiment_score")),
    "scorer": Column("text", ("scorer",)),
    "source": _SOURCE,
}
FUNDAMENTAL_COLUMNS = {
    "symbol": _SYMBOL,
    "period_end": Column("day", ("period_end", "fiscal_date_ending", "period"), required=True),
    "known_at": Column(
        "instant", ("known_at", "report_date", "reported_date", "release_date", "filing_date", "published_at")
    ),
    **{name: Column("number", (name,)) for name in RATIOS},
    "revenue": Column("number", ("revenue", "total_revenue")),
    "equity": Column("number", ("equity", "shareholder_equity", "total_shareholder_equity")),
    **{
        part: Column("number", (part,))
        for part in (
            "gross_profit",
            "operating_income",
            "net_income",
            "current_assets",
            "current_liabilities",
            "total_debt",
        )
    },
    "source": _SOURCE,
}

NO_KNOWN_AT = "no known-at date"
TOO_EARLY = "known before its period ended"
DUPLICATE = "duplicate"
NO_SESSION = "not a session of the exchange"
NOTHING_SAID = "neither score nor text"
REPEATED = "the text repeats another of the seven days before"


Rejected = Counter[tuple[int, str]]
"""Number of rejected rows by year and reason."""


class Accepted(NamedTuple):
    """Accepted rows, the name of their source, and rejected rows by year and reason."""

    rows: pl.DataFrame
    source: str
    rejected: Rejected


def read_prices(path: Path, choice: Mapping[str, str]) -> Accepted:
    """Read the daily bars of one source, by date and symbol.

    Parameters
    ----------
    path : Path
    choice : mapping of str to str
        See `tabular.only_source`.

    Returns
    -------
    Accepted

    Raises
    ------
    MarketDataError
        For a price that is not positive, a high below its low, a negative volume, an open or a volume that
        only some rows have, a bar that contradicts another, or a symbol that cannot be used; it names file, column and
        row.
    """
    rows, source = only_source(read_table(path, PRICE_COLUMNS), path, "prices", choice)
    check_symbols(rows, path)
    for column in ("open", "high", "low", "close", "adj_close"):
        refuse(rows, path, column, pl.col(column) <= 0, "a price must be positive")
    refuse(rows, path, "high", pl.col("high") < pl.col("low"), "the high is below the low")
    refuse(rows, path, "volume", pl.col("volume") < 0, "a volume cannot be negative")
    for column in ("open", "volume"):
        if 0 < rows[column].null_count() < rows.height:
            refuse(rows, path, column, pl.col(column).is_null(), "there is no value though other rows have one")
    rejected: Rejected = Counter()
    rows = _drop_duplicates(rows, path, ["date", "symbol"], "date", rejected)
    days = calendar.sessions(f"{calendar.FIRST_YEAR}-01-01", f"{calendar.LAST_YEAR}-12-31").date.tolist()
    rows = _reject(rows, pl.col("date").is_in(days), pl.col("date").dt.year(), NO_SESSION, rejected)
    if rows.is_empty():
        raise MarketDataError("There is no bar in the file.", todo="fill it.", source=path.name)
    return Accepted(rows.sort("date", "symbol"), source, rejected)


def read_news(path: Path | None, choice: Mapping[str, str]) -> Accepted:
    """Read the articles of one source, by time; of several with the same id and symbol the earliest counts.

    Texts are read as those of a live market: as plain text, and one that repeats another is left out
    (`news.first_tellings`).

    Parameters
    ----------
    path : Path or None
        None where there is no news.
    choice : mapping of str to str
        See `tabular.only_source`.

    Returns
    -------
    Accepted
        ``text`` is plain, and null where there is none; ``score`` is NaN where VADER has to score it.

    Raises
    ------
    MarketDataError
        For a score outside [-1, 1] or a symbol that cannot be used; it names file, column and row.
    """
    rejected: Rejected = Counter()
    if path is None:
        return Accepted(empty_table(NEWS_COLUMNS), "", rejected)
    rows, source = only_source(read_table(path, NEWS_COLUMNS), path, "news", choice)
    check_symbols(rows, path)
    refuse(rows, path, "score", pl.col("score").abs() > 1, "a score lies between -1 and 1")
    rows = _reject(rows, pl.col("published_at").is_not_null(), pl.lit(0), NO_KNOWN_AT, rejected)
    year = pl.col("published_at").dt.convert_time_zone(NEW_YORK).dt.year()
    rows = rows.with_columns(article_id=_article_ids(rows), text=_plain(rows["text"]))  # ids: of the text as given
    said = pl.col("score").is_not_null() | pl.col("text").is_not_null()
    rows = _reject(rows, said, year, NOTHING_SAID, rejected)
    rows = rows.with_columns(score=pl.col("score").fill_null(np.nan), scorer=pl.col("scorer").fill_null("given"))
    kept = rows.sort("published_at", ROW).unique(["article_id", "symbol"], keep="first", maintain_order=True)
    _count(rows.join(kept, on=ROW, how="anti"), year, DUPLICATE, rejected)
    kept = _reject(kept, ~pl.col(ROW).is_in(_repeats(kept)), year, REPEATED, rejected)
    return Accepted(kept, source, rejected)


def read_fundamentals(path: Path | None, choice: Mapping[str, str]) -> Accepted:
    """Read the quarters of one source, with the ratios given or computed from what they are made of.

    Parameters
    ----------
    path : Path or None
        None where there are no fundamentals.
    choice : mapping of str to str
        See `tabular.only_source`.

    Returns
    -------
    Accepted
        Ratios are NaN where absent or undefined.

    Raises
    ------
    MarketDataError
        For a quarter that contradicts another or a symbol that cannot be used; it names file, column and row.
    """
    rejected: Rejected = Counter()
    if path is None:
        return Accepted(empty_table(FUNDAMENTAL_COLUMNS), "", rejected)
    rows, source = only_source(read_table(path, FUNDAMENTAL_COLUMNS), path, "fundamentals", choice)
    check_symbols(rows, path)
    year = pl.col("period_end").dt.year()
    rows = _reject(rows, pl.col("known_at").is_not_null(), year, NO_KNOWN_AT, rejected)
    known_on = pl.col("known_at").dt.convert_time_zone(NEW_YORK).dt.date()
    rows = _reject(rows, known_on > pl.col("period_end"), year, TOO_EARLY, rejected)
    rows = _drop_duplicates(rows, path, ["symbol", "period_end", "known_at"], "period_end", rejected)
    computed = {
        name: pl.Series(name, ratio(as_numbers(rows[above]), as_numbers(rows[below])))
        for name, (above, below) in RATIO_PARTS.items()
    }
    rows = rows.with_columns(
        pl.col(name).fill_null(series.fill_nan(None)).fill_null(np.nan) for name, series in computed.items()
    )
    return Accepted(rows, source, rejected)


def check_symbols(rows: pl.DataFrame, path: Path) -> None:
    """Refuse symbols that cannot be a file name, and the one that means cash."""
    for symbol in sorted(rows["symbol"].unique().to_list()):
        row = rows["symbol"].index_of(symbol)
        number = rows[ROW][row] if row is not None else 0
        if symbol == CASH:
            problem, todo = f"{CASH!r} means the cash of the portfolio", "rename that stock."
            raise bad_value(path, "symbol", number, problem, todo, symbol)
        try:
            safe_name(symbol, "symbol")
        except UnsafeNameError as error:
            raise bad_value(path, "symbol", number, error.problem.rstrip("."), error.todo, symbol[:60]) from error


def refuse(rows: pl.DataFrame, path: Path, column: str, wrong: pl.Expr, problem: str) -> None:
    """Raise for the first row where an expression is true."""
    found = rows.filter(wrong).head(1)
    if found.height:
        bar = found.row(0, named=True)
        raise bad_value(
            path, column, bar[ROW], f"{bar[column]} ({problem})", "mend that value, or remove the row.", bar["symbol"]
        )


def _reject(rows: pl.DataFrame, keep: pl.Expr, year: pl.Expr, reason: str, rejected: Rejected) -> pl.DataFrame:
    """Keep some rows and count the others by year."""
    _count(rows.filter(~keep), year, reason, rejected)
    return rows.filter(keep)


def _count(dropped: pl.DataFrame, year: pl.Expr, reason: str, rejected: Rejected) -> None:
    if dropped.height:
        rejected.update((int(when), reason) for when in dropped.with_columns(when=year)["when"])


def _drop_duplicates(rows: pl.DataFrame, path: Path, key: list[str], day: str, rejected: Rejected) -> pl.DataFrame:
    """Drop rows that repeat another, and refuse rows that contradict another with the same key."""
    kept = rows.unique([name for name in rows.columns if name != ROW], keep="first", maintain_order=True)
    twice = kept.filter(pl.struct(key).is_duplicated()).sort(*key, ROW)
    if twice.height:
        first, second = twice.row(0, named=True), twice.row(1, named=True)
        raise bad_value(
            path,
            key[-1] if key[-1] != "symbol" else day,
            second[ROW],
            f"it contradicts row {first[ROW]}, which has the same {' and '.join(key)}",
            "remove one of the two rows.",
            first["symbol"],
        )
    _count(rows.join(kept, on=ROW, how="anti"), pl.col(day).dt.year(), DUPLICATE, rejected)
    return kept


def _article_ids(rows: pl.DataFrame) -> pl.Series:
    """Return the ids as given; else a hash of symbol, time and text (or score)."""
    ids = []
    for given, symbol, at, text, score in rows.select(
        "article_id", "symbol", "published_at", "text", "score"
    ).iter_rows():
        said = f"{symbol}\n{at.isoformat()}\n{score if text is None else text}"
        ids.append(given or hashlib.sha256(said.encode()).hexdigest()[:24])
    return pl.Series("article_id", ids, dtype=pl.String)


def _plain(texts: pl.Series) -> pl.Series:
    """Return texts as they are scored; null where nothing is left of one."""
    return pl.Series([plain_text(text) or None if text is not None else None for text in texts], dtype=pl.String)


def _repeats(rows: pl.DataFrame) -> list[int]:
    """Return the numbers of the rows whose text repeats another's; a row with a score alone repeats nothing."""
    told = rows.filter(pl.col("text").is_not_null())
    articles = pd.DataFrame({name: told[name].to_list() for name in (ROW, "symbol", "article_id", "text")})
    articles["published_at"] = told["published_at"].dt.replace_time_zone(None).to_numpy()
    return sorted(set(articles[ROW]) - set(first_tellings(articles)[ROW]))


def as_numbers(values: pl.Series) -> np.ndarray:
    """Return a column as float64 with NaN where it is absent."""
    return values.fill_null(np.nan).to_numpy().copy()
