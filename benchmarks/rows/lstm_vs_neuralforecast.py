"""LSTM: dense targets against neuralforecast's network of the same sizes. Skipped where it is not installed."""

from __future__ import annotations

from typing import Any

from benchmarks.outsider_rows import neuralforecast_row
from benchmarks.row import Row, Skipped


def row(**smaller: Any) -> Row | Skipped:
    return neuralforecast_row("lstm", **smaller)
