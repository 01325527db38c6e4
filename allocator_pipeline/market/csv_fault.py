"""Where a CSV file cannot be read: looked for once reading it has failed, for the reader does not say."""

from __future__ import annotations

import csv
import io
from pathlib import Path


def csv_fault(path: Path) -> str | None:
    """Return what is wrong with the first row that cannot be read, in words; None if none is found.

    Parameters
    ----------
    path : Path

    Returns
    -------
    str or None
        It names the row (from 1, the header not counted) and the line of the file: bytes that are not UTF-8, more
        values than the header has names, a quotation mark that is never closed.
    """
    payload = path.read_bytes()
    try:
        text = payload.decode()
    except UnicodeDecodeError as error:
        before = payload[: error.start].decode() + "?"
        return f"{_place(_rows(before) - 1, before.count(chr(10)) + 1)} is not UTF-8"
    records = csv.reader(_lines(text), strict=True)
    names = row = 0
    line = 1
    try:
        for row, record in enumerate(records):
            names = names or len(record)
            if len(record) > names:
                return f"{_place(row, line)} has {len(record)} values, but the header has {names} names"
            line = records.line_num + 1
    except csv.Error as error:
        reason = "a quotation mark is never closed" if "end of data" in str(error) else str(error)
        return f"{_place(row + 1 if names else 0, line)}: {reason}"
    return None


def _rows(text: str) -> int:
    """Return how many rows a text has, a cut one and the header included."""
    try:
        return sum(1 for _ in csv.reader(_lines(text)))
    except csv.Error:
        return text.count("\n") + 1


def _lines(text: str) -> io.StringIO:
    return io.StringIO(text.removeprefix("\ufeff"), newline="")


def _place(row: int, line: int) -> str:
    return f"row {row} (line {line})" if row else f"the header (line {line})"
