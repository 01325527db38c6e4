"""``make live-demo``: the live market from downloads to the report, against vendors on this machine.

It needs neither keys nor a network. The vendors speak the wire formats of the real ones, and hold a generated market:
with real keys the same will happen, but for addresses, the number of stocks and years, and what the numbers are.
"""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from datetime import date
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "yes")
warnings.filterwarnings("ignore", category=UserWarning, module="dagster")

from allocator_pipeline.config import BASELINES, Settings, SimulatedConfig  # noqa: E402 (the environment comes first)
from allocator_pipeline.defs.demo import Progress, downloads, todo  # noqa: E402
from allocator_pipeline.defs.home import dagster_home  # noqa: E402
from allocator_pipeline.defs.report import FILE  # noqa: E402
from allocator_pipeline.defs.resources import StoreResource  # noqa: E402
from allocator_pipeline.defs.runner import Task, Workers, spans  # noqa: E402
from allocator_pipeline.errors import AllocatorError  # noqa: E402
from allocator_pipeline.market.live.needs import feeds_of  # noqa: E402
from allocator_pipeline.market.simulated import SimulatedMarket  # noqa: E402
from allocator_pipeline_tests.vendors.together import Vendors, write_candidates  # noqa: E402
from allocator_pipeline_tests.vendors.truth import truth_of  # noqa: E402

FIRST, LAST = 2012, 2021
STOCKS = 18
ALLOCATOR = "dpg_lstm"
FEATURES, POLICY, REPORT = FIRST + 5, LAST - 1, LAST
"""Five years of prices come before the first forecast; four years train the policy, the last one judges it."""


def main() -> int:
    """Run the demo in the folder given, or in a new one; return the exit status."""
    folder = Path(sys.argv[1]).absolute() if len(sys.argv) > 1 else Path(tempfile.mkdtemp(prefix="live-demo-"))
    config = SimulatedConfig(
        start=date(FIRST, 1, 1), end=date(LAST, 12, 31), n_symbols=STOCKS, weekly_ic=0.2, persistence=0.9
    )
    try:
        with Vendors(truth_of(SimulatedMarket(config), range(FIRST, LAST + 1))) as vendors:
            os.environ.update(environment(vendors, folder))
            asked = run(vendors, folder)
            again = run(vendors, folder)
    except (AllocatorError, OSError) as error:
        print(f"\nThe demo stopped: {error}", file=sys.stderr)
        return 1
    print(f"\nThe first run asked the vendors {asked} times, the second {again} times.")
    print(f"Report: {folder / 'live' / FILE}\nRaw answers: {folder / 'live' / 'raw'}")
    print("With your own keys: docs/live-data.md, and `make check-vendors`.")
    return 0 if again == 0 else 1


def environment(vendors: Vendors, folder: Path) -> dict[str, str]:
    """Return the variables that a user would set, and those that lead to the vendors here."""
    return {
        **vendors.env,
        "ALLOCATOR_MARKET": "live",
        "ALLOCATOR_DATA_DIR": str(folder),
        "ALLOCATOR_LIVE_CANDIDATES": str(write_candidates(folder / "candidates.csv", vendors.ciks)),
        "ALLOCATOR_LIVE_START": f"{FIRST}-01-01",
        "ALLOCATOR_LIVE_END": f"{LAST}-12-31",
        "ALLOCATOR_SCORER": "vader",
        "ALLOCATOR_MIN_TRAINING_YEARS": "3",
    }


def stages(settings: Settings) -> Iterator[tuple[str, list[Task]]]:
    """Yield the stages in order; the tasks of one stage do not depend on one another."""
    assert settings.live is not None
    years, states = (str(FIRST), str(LAST)), (str(FEATURES), str(LAST))
    yield "downloads", downloads(feeds_of(settings.live), *years)
    tables = ("prices", "sentiment", "fundamentals", "macro", "daily_sentiment", "price_doubts", "restatements")
    yield "tables", [Task("from raw answers to tables", tables, *years)]
    yield "features", [Task("features", ("universe", "signals", "outcomes", "price_windows"), *states)]
    forecasts = [
        Task("forecasts and states", ("forecasts", "state_tensors"), f"lstm|{a}", f"lstm|{b}")
        for a, b in spans(map(str, range(FEATURES, LAST + 1)), 2)
    ]
    baselines = Task("baselines", ("baseline_weights",), f"{BASELINES[0]}|{REPORT}", f"{BASELINES[-1]}|{REPORT}")
    yield "forecasts and states", [*forecasts, baselines]
    yield "policy", [Task("one policy", ("trained_policies",), *[f"{ALLOCATOR}|{POLICY}"] * 2)]
    yield "evaluation", [Task("its report", ("eval_reports",), *[f"{ALLOCATOR}|{REPORT}"] * 2)]
    yield "promotion", [Task("verdict", ("promoted_policies", "promotion_history"), ALLOCATOR, ALLOCATOR)]
    yield "page", [Task("report", ("allocation_report",))]


def run(vendors: Vendors, folder: Path) -> int:
    """Run every download, which ask for what is missing, and what else is not done; return the number of requests."""
    import dagster as dg

    settings = Settings.from_env()
    dagster_home(settings)
    dg.DagsterInstance.get().dispose()  # creates the database before two processes would at once
    store = StoreResource(root=str(settings.market_dir.absolute())).assets
    before, progress, workers = vendors.asked, Progress(), Workers(settings, 2)
    try:
        for title, tasks in stages(settings):
            waiting = tasks if title == "downloads" else todo(tasks, store)
            for task, seconds in workers.run(waiting):
                progress.say(f"{title}: {task.title} {task.first or ''} .. {task.last or ''} ({seconds:.0f} s)")
    finally:
        workers.close()
    return vendors.asked - before


if __name__ == "__main__":
    sys.exit(main())
