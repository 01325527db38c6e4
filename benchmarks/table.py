"""Print the results kept as the table of docs/benchmarks.md: ``python -m benchmarks.table``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from allocator_pipeline.config import Settings
from benchmarks.row import number

HEAD = ("row", "ours", "reference", "unit", "ratio, median (min to max)", "captured")


def table(results: Iterable[Mapping[str, Any]]) -> str:
    """Return results as a Markdown table, a row each."""
    rows = [HEAD, ("---",) * len(HEAD), *map(_cells, results)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)


def _cells(result: Mapping[str, Any]) -> tuple[str, ...]:
    facts = result.get("facts", {})
    captured = [f"{value:.2f}" for fact, value in facts.items() if fact.endswith("captured") and value is not None]
    spread = f"({number(result['min'])} to {number(result['max'])})"
    return (
        f"`{result['name']}`",
        number(result["ours"]) + (f" {spread}" if result["reference"] is None else ""),
        "" if result["reference"] is None else number(result["reference"]),
        result["unit"],
        "" if result["reference"] is None else f"{number(result['ratio'])} {spread}{_beside(facts)}",
        ", ".join(captured),
    )


def _beside(facts: Mapping[str, Any]) -> str:
    """Return the other ratio of a row that has two."""
    of_cpu, at_best = facts.get("ratio of CPU seconds"), facts.get("ratio at the loop's best batch")
    if of_cpu is not None:
        return f" of wall time; {number(of_cpu)} of CPU time"
    return "" if at_best is None else f"; {number(at_best)} at the loop's best batch"


if __name__ == "__main__":
    print(table(json.loads((Settings.from_env().data_dir / "results" / "bench.json").read_bytes())))
