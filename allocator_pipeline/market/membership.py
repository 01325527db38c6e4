"""Who may be a candidate, and when: a company, the ticker by which vendors know it, and the days of both.

A ticker is not an identity: it may be given to another company, and a company may change its own. Both are dated lists
of the user, as are screens (docs/live-data.md).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl

from allocator_pipeline.errors import MarketDataError, NotEnoughDataError
from allocator_pipeline.market.ingest import check_symbols
from allocator_pipeline.market.tabular import ROW, Column, bad_value, read_table

TICKER = re.compile(r"[A-Z0-9][A-Z0-9.^=-]{0,19}")
"""What may be asked of a vendor; it becomes a part of addresses."""

OUT_OF_THE_LIST = "take the symbol out of the candidates, or mend its ticker or days there"
"""What to do about a symbol of which a vendor has nothing: it would be missing for ever."""

_SPAN = {
    "symbol": Column("text", ("symbol",), required=True),
    "from": Column("day", ("from", "first", "since"), required=True),
    "to": Column("day", ("to", "last", "until")),
}
SCREEN_COLUMNS = _SPAN
CANDIDATE_COLUMNS = {**_SPAN, "ticker": Column("text", ("ticker",)), "cik": Column("text", ("cik",))}


@dataclass(frozen=True)
class Listing:
    """A span of days in which a ticker means one company.

    Parameters
    ----------
    symbol : str
        The company's name in every table of ours.
    ticker : str
        What vendors call it.
    first : date
    last : date or None
        Both included; None while it goes on.
    cik : str or None
        Its number at the SEC, ten digits.
    """

    symbol: str
    ticker: str
    first: date
    last: date | None = None
    cik: str | None = None


@dataclass(frozen=True)
class Membership:
    """Which symbols belong to something, and when.

    Parameters
    ----------
    name : str
        Of the file.
    spans : mapping of str to tuple of (date, date or None)
        First and last day of each span, both included, by symbol.
    """

    name: str
    spans: Mapping[str, tuple[tuple[date, date | None], ...]]

    def members(self, day: date) -> frozenset[str]:
        """Return the symbols that belong to it on a day."""
        return frozenset(
            symbol
            for symbol, spans in self.spans.items()
            if any(first <= day and (last is None or day <= last) for first, last in spans)
        )


def eligible(symbols: Collection[str], day: date, memberships: Iterable[Membership]) -> frozenset[str]:
    """Return the symbols that belong to every membership on a day.

    Parameters
    ----------
    symbols : collection of str
    day : date
        What is said about later days is not read.
    memberships : iterable of Membership

    Returns
    -------
    frozenset of str
    """
    chosen = frozenset(symbols)
    for membership in memberships:
        chosen &= membership.members(day)
    return chosen


def read_candidates(path: Path) -> tuple[Listing, ...]:
    """Read a list of candidates: ``symbol, from, to``, and where they are needed ``ticker`` and ``cik``.

    Parameters
    ----------
    path : Path

    Returns
    -------
    tuple of Listing
        By symbol, then in time. Without a ticker it is the symbol.

    Raises
    ------
    MarketDataError
        If the file cannot be read, or two rows give a symbol or a ticker two meanings on one day; it names file and
        row.
    """
    rows = _read_spans(path, CANDIDATE_COLUMNS)
    rows = rows.with_columns(ticker=pl.col("ticker").fill_null(pl.col("symbol")))
    for row in rows.iter_rows(named=True):
        if not TICKER.fullmatch(row["ticker"]):
            todo = "write capital letters, digits and . ^ = - only, 20 at most; a symbol may have a ticker of its own."
            raise bad_value(
                path, "ticker", row[ROW], f"{row['ticker'][:60]!r} cannot be asked of a vendor", todo, row["symbol"]
            )
        if row["cik"] is not None and not re.fullmatch(r"[0-9]{1,10}", row["cik"]):
            todo = "write its digits only, ten at most."
            raise bad_value(path, "cik", row[ROW], f"{row['cik'][:60]!r} is no number of the SEC", todo, row["symbol"])
    _refuse_overlaps(path, rows, "symbol")
    _refuse_overlaps(path, rows, "ticker")
    return tuple(
        Listing(
            row["symbol"],
            row["ticker"],
            row["from"],
            row["to"],
            row["cik"].zfill(10) if row["cik"] is not None else None,
        )
        for row in rows.sort("symbol", "from").iter_rows(named=True)
    )


def read_screen(path: Path) -> Membership:
    """Read a screen: ``symbol, from, to``, the spans in which a stock passes.

    Raises
    ------
    MarketDataError
        If the file cannot be read, or spans of a symbol overlap; it names file and row.
    """
    rows = _read_spans(path, SCREEN_COLUMNS)
    _refuse_overlaps(path, rows, "symbol")
    spans: dict[str, list[tuple[date, date | None]]] = {}
    for row in rows.sort("symbol", "from").iter_rows(named=True):
        spans.setdefault(row["symbol"], []).append((row["from"], row["to"]))
    return Membership(path.stem, {symbol: tuple(pairs) for symbol, pairs in spans.items()})


def by_symbol(listings: Sequence[Listing]) -> dict[str, tuple[Listing, ...]]:
    """Return the listings of each symbol, in time order."""
    groups: dict[str, tuple[Listing, ...]] = {}
    for listing in listings:
        groups[listing.symbol] = (*groups.get(listing.symbol, ()), listing)
    return groups


def ticker_on(listings: Sequence[Listing], day: date) -> str:
    """Return the ticker under which vendors have the whole past of a company on a day.

    Parameters
    ----------
    listings : sequence of Listing
        Of that company, in time order, at least one.
    day : date

    Returns
    -------
    str
        Of the last listing that has begun, whether it has ended or not; of the first, where none has.
    """
    return next((one.ticker for one in reversed(listings) if one.first <= day), listings[0].ticker)


def one_spelling(name: str) -> str:
    """Return a symbol or ticker in one of the ways in which vendors write it: classes follow a dot or a dash."""
    return name.casefold().replace("-", ".")


def membership_of(listings: Sequence[Listing]) -> Membership:
    """Return the candidates as a membership: who is listed, and when."""
    spans = {symbol: tuple((one.first, one.last) for one in group) for symbol, group in by_symbol(listings).items()}
    return Membership("candidates", spans)


def _read_spans(path: Path, columns: Mapping[str, Column]) -> pl.DataFrame:
    if not path.is_file():
        raise MarketDataError(
            "There is no such file.", todo="set the variable that names it to a CSV or parquet file.", source=str(path)
        )
    rows = read_table(path, columns)
    check_symbols(rows, path)
    _refuse_spellings(path, rows)
    backwards = rows.filter(pl.col("to") < pl.col("from")).head(1)
    for row in backwards.iter_rows(named=True):
        todo = "swap the two, or mend one of them."
        raise bad_value(path, "to", row[ROW], f"{row['to']} is before {row['from']}", todo, row["symbol"])
    if rows.is_empty():
        raise NotEnoughDataError("There is no row in the file.", todo="fill it.", source=path.name)
    return rows


def _refuse_overlaps(path: Path, rows: pl.DataFrame, column: str) -> None:
    before: dict[str, tuple[date | None, int]] = {}
    for row in rows.sort("from", ROW).iter_rows(named=True):
        name = one_spelling(row[column])
        last, number = before.get(name, (date.min, 0))
        if number and (last is None or row["from"] <= last):
            raise bad_value(
                path,
                column,
                row[ROW],
                f"{row[column]!r} is there on {row['from']} by row {number} already",
                "let the earlier span end the day before, or remove one of the two rows.",
                row["symbol"],
            )
        before[name] = (row["to"], row[ROW])


def _refuse_spellings(path: Path, rows: pl.DataFrame) -> None:
    """Refuse a symbol that is another one but for case, dash and dot: it is the same company, or the same folder."""
    before: dict[str, tuple[str, int]] = {}
    for row in rows.iter_rows(named=True):
        first, number = before.setdefault(one_spelling(row["symbol"]), (row["symbol"], row[ROW]))
        if first != row["symbol"]:
            problem = f"{row['symbol']!r} is written {first!r} in row {number}"
            todo = "write a company one way; symbols of two differ in more than case, dash and dot."
            raise bad_value(path, "symbol", row[ROW], problem, todo, row["symbol"])
