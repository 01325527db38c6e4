"""PatchTST: dense targets against a loop over windows of the same network."""

from __future__ import annotations

from typing import Any

from benchmarks.row import Row
from benchmarks.window_loop import loop_row


def row(**smaller: Any) -> Row:
    return loop_row("patchtst", **smaller)
