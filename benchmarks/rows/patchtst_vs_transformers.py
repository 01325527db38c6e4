"""PatchTST: dense targets against transformers' network of the same sizes. Skipped where it is not installed."""

from __future__ import annotations

from typing import Any

from benchmarks.outsider_rows import transformers_row
from benchmarks.row import Row, Skipped


def row(**smaller: Any) -> Row | Skipped:
    return transformers_row(**smaller)
