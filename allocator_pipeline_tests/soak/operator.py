"""The process that is killed: Dagster's daemons over simulated weeks, one beside the other, with a clock of our own.

The schedules, sensors, queue, retries and run monitoring are Dagster's own iterations over a real instance with the
shipped dagster.yaml, apart from the launcher: runs are executed in this process, so that a week does not cost a dozen
interpreters, and so that a kill hits whatever is under way.

``python -m allocator_pipeline_tests.soak.operator <last instant> <failing share> <seed>``; the rest is in the
environment.
"""

from __future__ import annotations

import logging
import os
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import dagster as dg
import pandas as pd
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.scheduler.instigation import InstigatorType
from dagster._core.test_utils import create_test_daemon_workspace_context
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
from dagster._daemon.auto_run_reexecution.event_log_consumer import EventLogConsumerDaemon
from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon
from dagster._daemon.sensor import execute_sensor_iteration
from dagster._scheduler.scheduler import launch_scheduled_runs

from allocator_pipeline.atomic import write_bytes
from allocator_pipeline.config import Settings
from allocator_pipeline.defs.home import TEMPLATE, dagster_home
from allocator_pipeline.errors import MarketDataError
from allocator_pipeline.market.simulated import SimulatedMarket
from allocator_pipeline_tests.soak.clock import Clock
from allocator_pipeline_tests.soak.database import impatient

LAUNCHER = """
run_launcher:
  module: dagster._core.launcher.sync_in_memory_run_launcher
  class: SyncInMemoryRunLauncher
"""
TICK = pd.Timedelta(seconds=61)  # longer than every sensor's interval
OUTAGE = pd.Timedelta(hours=3)  # longer than the run monitoring's limit
EVENTS = ((5, "06:00", "America/New_York"), (6, "10:00", "America/New_York"), (0, "18:00", "Asia/Kolkata"))
READS = ("prices", "sentiment", "fundamentals")


def clock_file(settings: Settings) -> Path:
    """Return where the operator notes the time; it lies beside what is compared."""
    return settings.data_dir / "clock"


def next_event(now: pd.Timestamp) -> pd.Timestamp:
    """Return the next instant at which a schedule fires."""
    instants = []
    for weekday, time, zone in EVENTS:
        local = now.tz_convert(zone).tz_localize(None)
        day = local.normalize() + pd.Timedelta(days=(weekday - local.day_of_week) % 7)
        found = [day + pd.Timedelta(f"{time}:00") + pd.Timedelta(days=days) for days in (0, 7)]
        instants += [stamp.tz_localize(zone).tz_convert("UTC") for stamp in found]
    return min(stamp for stamp in instants if stamp > now)


@contextmanager
def failing(share: float, rng: random.Random) -> Iterator[None]:
    """Let a share of the market source's reads raise or time out."""

    def flaky(read: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(self: SimulatedMarket, year: int) -> Any:
            if rng.random() < share:
                if rng.random() < 0.5:
                    raise TimeoutError("the source did not answer in time")
                raise MarketDataError("The source answered with an error.", todo="try again.", source="simulated")
            return read(self, year)

        return wrapped

    patches = [patch.object(SimulatedMarket, name, flaky(getattr(SimulatedMarket, name))) for name in READS]
    for each in patches:
        each.start()
    try:
        yield
    finally:
        for each in patches:
            each.stop()


class Operator:
    """Dagster's daemons over an instance.

    Parameters
    ----------
    clock : Clock
    workspace : WorkspaceProcessContext
    note : Path
        Where the time is noted before each iteration, so that it does not go back after a kill.
    """

    def __init__(self, clock: Clock, workspace: Any, note: Path) -> None:
        self.note = note
        self.clock, self.workspace, self.instance = clock, workspace, workspace.instance
        self.logger = logging.getLogger("soak")
        self.queue = QueuedRunCoordinatorDaemon(interval_seconds=1)
        self.retries = EventLogConsumerDaemon()
        self.times: dict[str, Any] = {}

    def iterate(self) -> bool:
        """Let each daemon do one iteration; tell whether there is still something to do."""
        write_bytes(self.note, str(self.clock.now()).encode())
        before = self.instance.get_runs_count(), self.cursors()
        list(
            launch_scheduled_runs(
                self.workspace, self.logger, self.clock.now().to_pydatetime(), iteration_times=self.times
            )
        )
        list(execute_sensor_iteration(self.workspace, self.logger, None, None))
        list(self.retries.run_iteration(self.workspace))
        list(execute_run_monitoring_iteration(self.workspace, self.logger))
        busy = (self.instance.get_runs_count(), self.cursors()) != before or self.unfinished()
        list(self.queue.run_iteration(self.workspace))
        self.clock.advance(TICK)
        return busy

    def unfinished(self) -> bool:
        """Tell whether a run is queued, running, or lost."""
        ended = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
        statuses = [status for status in dg.DagsterRunStatus if status not in ended]
        return bool(self.instance.get_runs(dg.RunsFilter(statuses=statuses), limit=1))

    def cursors(self) -> list[str | None]:
        """Return how far each sensor has read; a run status sensor reads one event a tick."""
        states = self.instance.all_instigator_state(instigator_type=InstigatorType.SENSOR)
        return [state.instigator_data.cursor for state in states if state.instigator_data is not None]

    def settle(self) -> None:
        """Iterate until nothing happens any more."""
        while self.iterate():
            pass


def operate(settings: Settings, until: pd.Timestamp) -> None:
    """Live through the weeks from where the clock file stands until an instant."""
    note = clock_file(settings)
    clock = Clock(pd.Timestamp(note.read_text()))
    home = dagster_home(settings)
    (home / "dagster.yaml").write_text(TEMPLATE.read_text() + LAUNCHER)
    target = LoadableTargetOrigin(
        executable_path=sys.executable,
        module_name="allocator_pipeline_tests.soak.location",
        attribute="defs",
        working_directory=str(Path(__file__).parents[2]),
    )
    origin = InProcessCodeLocationOrigin(target, location_name="allocator_pipeline")
    with (
        clock.injected(),
        impatient(),
        dg.DagsterInstance.get() as instance,
        create_test_daemon_workspace_context(InProcessWorkspaceLoadTarget(origin), instance) as workspace,
    ):
        operator = Operator(clock, workspace, note)
        if operator.unfinished():  # killed: this is how long the machine was down
            clock.advance(OUTAGE)
        operator.settle()
        while (event := next_event(clock.now())) <= until:
            clock.instant = event
            operator.settle()
            clock.instant = max(clock.now(), event + pd.Timedelta(minutes=6))  # the sensor lets schedules go first
            operator.settle()
            print(f"{clock.now():%Y-%m-%d %H:%M}", flush=True)


def main() -> int:
    """Run the operator."""
    warnings.filterwarnings("ignore", category=UserWarning, module="dagster")
    logging.disable(logging.WARNING)
    until, share, seed = pd.Timestamp(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
    with failing(share, random.Random(f"{seed}-{os.getpid()}")):
        operate(Settings.from_env(), until)
    return 0


if __name__ == "__main__":
    sys.exit(main())
