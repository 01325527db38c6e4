"""Results as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any


def number(value: float | None, digits: int = 2) -> str:
    """Return a number with so many digits after the point, or a dash for none."""
    return "-" if value is None else f"{round(value, digits) + 0.0:.{digits}f}"  # never -0.00


def markdown(records: Sequence[Mapping[str, Any]], columns: Mapping[str, Callable[[dict[str, Any]], str]]) -> str:
    """Return records as a Markdown table with a column for each function."""
    lines = [[name.strip() for name in columns], ["---"] * len(columns)]
    lines += [[text(dict(row)) for text in columns.values()] for row in records]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
