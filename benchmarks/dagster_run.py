"""CPU seconds of a forecaster's back-fill as one Dagster run: ``python -m benchmarks.dagster_run ridge 1998 2022``.

A program of its own, in a data folder that is thrown away; the assets it reads are materialised first and not counted.
"""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from pathlib import Path


def main(name: str, first: str, last: str) -> None:
    os.environ["DAGSTER_DISABLE_TELEMETRY"] = "yes"
    os.environ.pop("DAGSTER_HOME", None)
    warnings.simplefilter("ignore")
    from allocator_pipeline.config import Settings
    from allocator_pipeline.defs.home import dagster_home
    from allocator_pipeline.defs.runner import Task, run_task
    from allocator_pipeline.market.sample import SampleMarket
    from benchmarks.clock import cpu_seconds

    years = [str(year) for year in SampleMarket().coverage().years if year <= int(last)]
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder))
        dagster_home(settings)
        run_task(Task("prices", ("prices",), years[0], years[-1]), settings)
        run_task(Task("what the forecasts read", ("universe", "price_windows"), first, last), settings)
        here = {"forecasts": {"processes": 1}}  # CPU seconds of this process are all there are
        task = Task("forecasts", ("forecasts",), f"{name}|{first}", f"{name}|{last}", config=here)
        print(cpu_seconds(lambda: run_task(task, settings)))


if __name__ == "__main__":
    main(*sys.argv[1:])
