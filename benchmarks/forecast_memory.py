"""Memory of fitting a year's networks from a table of whole bars: ``python -m benchmarks.forecast_memory 500 2``.

A program of its own, by stocks and processes: it prints by how much the memory of all its processes peaks over what
the first held before. With few stocks that is what the libraries of the other processes take. Linux only.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

FIRST, LAST = 2012, 2022
"""A table serves a chain: five years, and the six before each."""


class Stored(Mapping[str, "pd.DataFrame"]):
    """The table, read anew whenever it is asked for, as price windows are."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __getitem__(self, key: str) -> pd.DataFrame:
        from allocator_pipeline.atomic import table_from_bytes

        return table_from_bytes(self._path.read_bytes())

    def __iter__(self) -> Iterator[str]:
        return iter(("window",))

    def __len__(self) -> int:
        return 1


def write(path: str, stocks: str) -> None:
    """Write the table of so many simulated stocks."""
    from datetime import date

    import pandas as pd

    from allocator_pipeline.atomic import table_bytes
    from allocator_pipeline.config import SimulatedConfig
    from allocator_pipeline.market.simulated import SimulatedMarket

    market = SimulatedMarket(SimulatedConfig(n_symbols=int(stocks), start=date(FIRST, 1, 1), end=date(LAST, 12, 31)))
    bars = pd.concat([market.prices(year) for year in range(FIRST, LAST + 1)], ignore_index=True)
    Path(path).write_bytes(table_bytes(bars))


def main(stocks: str, processes: str) -> None:
    from allocator_pipeline.config import STATE_FORECASTERS
    from allocator_pipeline.forecasters.workers import ChainTask, fit_in_processes
    from benchmarks.memory import PeakMemory

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "prices"
        subprocess.run([sys.executable, "-m", __spec__.name, "write", str(path), stocks], check=True)
        tasks = [ChainTask(name, (LAST - 1,), "window", has_open=True, has_volume=True) for name in STATE_FORECASTERS]
        with PeakMemory() as before:
            pass
        with PeakMemory() as peak:
            for _ in fit_in_processes(tasks, Stored(path), {}, int(processes), lambda line: None):
                pass
        print(f"{peak.mebibytes - before.mebibytes:.0f} MiB over {before.mebibytes:.0f}")


if __name__ == "__main__":
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = "1"  # before numpy is imported
    write(*sys.argv[2:]) if sys.argv[1] == "write" else main(*sys.argv[1:])
