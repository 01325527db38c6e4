"""The whole back-fill of the forecasts: every forecaster, 25 years of the sample market, one seed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from allocator_pipeline.config import FORECASTERS, N_STOCKS
from benchmarks.clock import cpu_seconds
from benchmarks.forecasting import backfill, sample_years
from benchmarks.row import Row

ROOT = Path(__file__).resolve().parents[2]

YEARS = 25

PROGRAM = "import time, {}; print(time.process_time())"

IMPORTED = {
    "not counted, imports of a process": "allocator_pipeline.forecasters.walk_forward",
    "not counted, loading the definitions of a Dagster process": "allocator_pipeline.definitions",
}
"""CPU seconds of importing a module, by what is told of it."""


def row(years: int = YEARS, forecasters: Sequence[str] = FORECASTERS, repeats: int = 3, beside: bool = True) -> Row:
    torch.set_num_threads(1)
    market = sample_years(years)
    spent: dict[str, list[float]] = {name: [] for name in forecasters}
    made: dict[str, int] = {}

    def whole(name: str) -> None:
        made[name] = backfill(name, market)

    def ours() -> float:
        for name in forecasters:
            spent[name].append(cpu_seconds(lambda name=name: whole(name)))
        return sum(seconds[-1] for seconds in spent.values())

    def dagster_work() -> dict[str, float]:
        name = min(spent, key=lambda name: min(spent[name]))  # of the cheapest, so that a difference says something
        run = _printed("-m", "benchmarks.dagster_run", name, str(market[0].year), str(market[-1].year))
        return {f"not counted, what a Dagster run of {name} adds (events, tables, pictures)": run - min(spent[name])}

    def facts() -> dict[str, Any]:
        forecasts = {"forecasts": ", ".join(f"{name} {count:,}" for name, count in made.items())}
        imports = {told: _printed("-c", PROGRAM.format(module)) for told, module in IMPORTED.items() if beside}
        return forecasts | imports | (dagster_work() if beside else {})

    return Row(
        recipe=f"{', '.join(forecasters)}: fit and forecast {market[0].year} to {market[-1].year} on the sample "
        f"market, {N_STOCKS} stocks, one seed, one process; imports and Dagster not counted",
        unit="CPU seconds (less is better)",
        ours=ours,
        breakdown=lambda: {f"CPU seconds of {name}": min(seconds) for name, seconds in spent.items()},
        repeats=repeats,
        warm_up=False,
        facts=facts,
    )


def _printed(*arguments: str) -> float:
    """Return the CPU seconds that a fresh Python prints."""
    command = [sys.executable, "-W", "ignore", *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    return float(done.stdout.split()[-1])
