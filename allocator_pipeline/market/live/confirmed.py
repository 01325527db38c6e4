"""Moves of prices that the user has confirmed: a dated list, against which a jump that looks wrong is believed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path

from allocator_pipeline.errors import MarketDataError
from allocator_pipeline.market.ingest import check_symbols
from allocator_pipeline.market.tabular import Column, read_table

COLUMNS = {
    "symbol": Column("text", ("symbol",), required=True),
    "date": Column("day", ("date", "day"), required=True),
}


def read_confirmed(path: Path | None) -> Mapping[str, frozenset[date]]:
    """Read a list of confirmed moves: ``symbol, date``, the session on which the price moved.

    Parameters
    ----------
    path : Path or None
        A CSV or parquet file; None for no list.

    Returns
    -------
    mapping of str to frozenset of date
        Sessions by symbol; a list without rows confirms nothing.

    Raises
    ------
    MarketDataError
        If the file is not there or cannot be read; it names file, column and row.
    """
    if path is None:
        return {}
    if not path.is_file():
        raise MarketDataError(
            "There is no such file.",
            todo="set ALLOCATOR_LIVE_CONFIRMED to a CSV of symbol and date, or unset it.",
            source=str(path),
        )
    rows = read_table(path, COLUMNS)
    check_symbols(rows, path)
    days: dict[str, set[date]] = {}
    for row in rows.iter_rows(named=True):
        days.setdefault(row["symbol"], set()).add(row["date"])
    return {symbol: frozenset(found) for symbol, found in days.items()}
