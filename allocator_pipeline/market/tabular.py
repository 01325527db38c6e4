"""Read one parquet or CSV file of the user into typed columns, or say which column and row is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import polars as pl

from allocator_pipeline.errors import MarketDataError
from allocator_pipeline.market.csv_fault import csv_fault
from allocator_pipeline.market.source import NEW_YORK

ROW = "row"
"""Column with the row's number in the file, from 1; a CSV's header is not counted."""

ABSENT = ("", "na", "n/a", "nan", "none", "null", "-")
"""Texts (in any case) that stand for no value, but in a column of text: a ticker may be NA."""

_EASTERN = ZoneInfo(NEW_YORK)


@dataclass(frozen=True)
class Column:
    """A column that a table may have.

    Parameters
    ----------
    kind : {"text", "number", "day", "instant"}
    names : tuple of str
        Accepted names, in lower case and with underscores; the first one that is there is read.
    required : bool
        Whether every row needs a value.
    """

    kind: Literal["text", "number", "day", "instant"]
    names: tuple[str, ...]
    required: bool = False


def find_file(folder: Path, stems: Sequence[str]) -> Path | None:
    """Return the one file of a table, or None where there is none.

    Raises
    ------
    MarketDataError
        If there are several.
    """
    found = [path for stem in stems for end in ("parquet", "csv") if (path := folder / f"{stem}.{end}").is_file()]
    if len(found) > 1:
        raise MarketDataError(
            f"There are several files for one table: {', '.join(path.name for path in found)}.",
            todo="leave one of them in the folder.",
            source=str(folder),
        )
    return found[0] if found else None


def bad_value(path: Path, column: str, row: int, problem: str, todo: str, symbol: str | None = None) -> MarketDataError:
    """Return the error for one bad value: it names file, column and row."""
    return MarketDataError(f"Column {column!r}, row {row}: {problem}.", todo=todo, source=path.name, symbol=symbol)


def read_table(path: Path, columns: Mapping[str, Column]) -> pl.DataFrame:
    """Read a file into the named columns.

    Parameters
    ----------
    path : Path
        A ``.parquet`` or ``.csv`` file.
    columns : mapping of str to Column
        The columns wanted; others in the file are left alone.

    Returns
    -------
    DataFrame
        `ROW` and every column of ``columns``: text, float64, dates, or instants in UTC. Absent values are null.

    Raises
    ------
    MarketDataError
        If the file cannot be read, lacks a required column, or holds a value that cannot be; it names file, column and
        row.
    """
    raw = _read(path)
    names = {re.sub(r"[^a-z0-9]+", "_", name.strip().lower()).strip("_"): name for name in reversed(raw.columns)}
    parts = [pl.int_range(1, raw.height + 1, eager=True, dtype=pl.Int64).alias(ROW)]
    for name, column in columns.items():
        given = next((names[alias] for alias in column.names if alias in names), None)
        if given is None:
            if column.required:
                raise MarketDataError(
                    f"There is no column {name!r}; the file has {', '.join(raw.columns)}.",
                    todo=f"add it under one of the names {', '.join(column.names)}.",
                    source=path.name,
                )
            parts.append(pl.Series(name, [None] * raw.height, dtype=_DTYPES[column.kind]))
            continue
        values = _present(raw[given], column.kind)
        parsed = _PARSERS[column.kind](values).alias(name)
        _check(path, given, values, parsed, column)
        parts.append(parsed)
    return pl.DataFrame(parts)


def empty_table(columns: Mapping[str, Column]) -> pl.DataFrame:
    """Return what `read_table` returns, without rows."""
    return pl.DataFrame(schema={ROW: pl.Int64(), **{name: _DTYPES[column.kind] for name, column in columns.items()}})


def _read(path: Path) -> pl.DataFrame:
    try:
        if path.suffix == ".parquet":
            return pl.read_parquet(path)
        table = pl.read_csv(path, infer_schema=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        fault = csv_fault(path) if path.suffix == ".csv" and path.is_file() else None
        raise _unreadable(path, fault or str(error).splitlines()[0][:200]) from error
    if any("\ufffd" in name for name in table.columns):  # what stands for bytes that are not UTF-8
        raise _unreadable(path, csv_fault(path) or "the header is not UTF-8")
    return table


def _unreadable(path: Path, fault: str) -> MarketDataError:
    return MarketDataError(
        f"The file cannot be read: {fault}.",
        todo="mend that place, or write the file again as parquet, or as CSV in UTF-8 with a header and commas.",
        source=path.name,
    )


def _present(values: pl.Series, kind: str) -> pl.Series:
    """Turn texts that mean nothing, and NaN, into null."""
    if values.dtype == pl.Categorical or isinstance(values.dtype, pl.Enum):
        values = values.cast(pl.String)
    if values.dtype == pl.String:
        values = values.str.strip_chars()
        return values.set(values.str.to_lowercase().is_in(ABSENT[:1] if kind == "text" else ABSENT), None)
    return values.fill_nan(None) if values.dtype.is_float() else values


def _check(path: Path, name: str, values: pl.Series, parsed: pl.Series, column: Column) -> None:
    wrong = (values.is_not_null() & parsed.is_null()).arg_true()
    if len(wrong):
        raise bad_value(
            path,
            name,
            wrong[0] + 1,
            f"{str(values[wrong[0]])[:60]!r} is no {_MEANING[column.kind]}",
            todo="mend that value, or leave it empty if it is unknown.",
        )
    if column.required:
        lacking = parsed.is_null().arg_true()
        if len(lacking):
            raise bad_value(path, name, lacking[0] + 1, "there is no value", todo="fill it in, or remove the row.")


def _text(values: pl.Series) -> pl.Series:
    return values.cast(pl.String, strict=False)


def _number(values: pl.Series) -> pl.Series:
    if values.dtype.is_temporal() or values.dtype == pl.Boolean or values.dtype.is_nested():
        return pl.Series(values.name, [None] * len(values), dtype=pl.Float64)
    numbers = values.cast(pl.Float64, strict=False)
    return numbers.set(numbers.is_infinite().fill_null(False), None)


def _day(values: pl.Series) -> pl.Series:
    if values.dtype == pl.Date:
        return values
    if isinstance(values.dtype, pl.Datetime):
        return values.dt.date()  # in the column's own time zone: midnight there is that day
    return _each(values, lambda text: datetime.fromisoformat(text).date(), pl.Date())


def _instant(values: pl.Series) -> pl.Series:
    """Read instants; where a row says only a date, or midnight, the instant is the end of that day in New York.

    Each row is read alike, whatever the others say: a filing date among times would else be known 19 hours too early.
    """
    if values.dtype == pl.Date:
        return _each(values, end_of_day, _DTYPES["instant"])
    if isinstance(values.dtype, pl.Datetime):
        return _each(values, _moment, _DTYPES["instant"])
    return _each(values, lambda text: _moment(datetime.fromisoformat(text)), _DTYPES["instant"])


def _each(values: pl.Series, parse: Callable[[Any], Any], dtype: pl.DataType) -> pl.Series:
    """Parse the different values one by one; null where that fails."""
    different = values.unique().drop_nulls().to_list()
    parsed: dict[Any, Any] = {None: None}
    for value in different:
        try:
            parsed[value] = parse(value)
        except (ValueError, TypeError, OverflowError):
            parsed[value] = None
    return pl.Series(values.name, [parsed[value] for value in values.to_list()], dtype=dtype)


def end_of_day(day: date) -> datetime:
    """Return the last instant of a day in New York (UTC): when what is dated by that day is known at the latest."""
    return datetime.combine(day, time.max, tzinfo=_EASTERN).astimezone(UTC)


def _moment(stamp: datetime) -> datetime:
    return end_of_day(stamp.date()) if stamp.time() == time(0) else _in_utc(stamp)


def _in_utc(stamp: datetime) -> datetime:
    """Read a time without a zone as New York's; where the clock changes, the later of the two readings."""
    if stamp.tzinfo is not None:
        return stamp.astimezone(UTC)
    return max(stamp.replace(tzinfo=_EASTERN, fold=fold).astimezone(UTC) for fold in (0, 1))


_DTYPES: dict[str, Any] = {
    "text": pl.String(),
    "number": pl.Float64(),
    "day": pl.Date(),
    "instant": pl.Datetime("us", "UTC"),
}
_PARSERS: dict[str, Callable[[pl.Series], pl.Series]] = {
    "text": _text,
    "number": _number,
    "day": _day,
    "instant": _instant,
}
_MEANING = {
    "text": "text",
    "number": "finite number",
    "day": "date (YYYY-MM-DD)",
    "instant": "date or time (ISO 8601)",
}


def only_source(
    table: pl.DataFrame, path: Path, name: str, choice: Mapping[str, str] | None
) -> tuple[pl.DataFrame, str]:
    """Keep the rows of one source; sources are never spliced.

    Parameters
    ----------
    table : DataFrame
        With a column ``source``; rows without one form a source of their own, named after the file.
    path : Path
    name : str
        Name of the table: ``"prices"``, ``"news"`` or ``"fundamentals"``.
    choice : mapping of str to str, optional
        Source by table; the key ``""`` holds a choice for every table that has several.

    Returns
    -------
    tuple of (DataFrame, str)
        The rows and the source's name.

    Raises
    ------
    MarketDataError
        If the table has several sources and the choice names none of them; it lists them.
    """
    table = table.with_columns(pl.col("source").fill_null(path.stem))
    sources = sorted(table["source"].unique().to_list())
    choice = choice or {}
    wanted = choice.get(name, choice.get("") if len(sources) > 1 else None)
    if wanted is None and len(sources) <= 1:
        return table, sources[0] if sources else path.stem
    if wanted is None or wanted not in sources:
        chosen = "no choice is made" if wanted is None else f"the choice is {wanted!r}"
        raise MarketDataError(
            f"Sources are never mixed; the {name} table has {', '.join(sources)}, and {chosen}.",
            todo=f"set ALLOCATOR_FILES_SOURCE to '{name}={sources[0]}' or another of them; join the choices for "
            "several tables with commas.",
            source=path.name,
        )
    return table.filter(pl.col("source") == wanted), wanted


def parse_choice(text: str | None) -> dict[str, str]:
    """Read a choice of sources: one name for every table that has several, or ``prices=...,news=...,fundamentals=...``.

    Returns
    -------
    dict of str to str
        Source by table; a bare name stands under ``""``.
    """
    choice: dict[str, str] = {}
    for part in re.split(r",(?=(?:prices|news|fundamentals)=)", text or ""):
        found = re.match(r"(prices|news|fundamentals)=(.*)$", part.strip())
        if found:
            choice[found[1]] = found[2].strip()
        elif part.strip():
            choice[""] = part.strip()
    return choice
