"""The process that is killed: Dagster's daemons over simulated weeks, one beside the other, with a clock of our own.

The schedules, sensors, queue, retries and run monitoring are Dagster's own iterations over a real instance with the
shipped dagster.yaml, apart from the launcher and the capture of what runs print: runs are executed in this process, so
that a week does not cost dozens of interpreters, and so that a kill hits whatever is under way.

``python -m allocator_pipeline_tests.soak.operator <last instant> <failing share> <seed>``; the rest is in the
environment.
"""

from __future__ import annotations

import gc
import logging
import os
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
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

from allocator_pipeline.config import Settings
from allocator_pipeline.defs.home import TEMPLATE, dagster_home
from allocator_pipeline.defs.runner import end_with
from allocator_pipeline.errors import MarketDataError
from allocator_pipeline.evaluation import lightgbm_opponent
from allocator_pipeline.market import calendar
from allocator_pipeline.market.simulated import SimulatedMarket
from allocator_pipeline_tests.soak.clock import Clock
from allocator_pipeline_tests.soak.database import impatient
from allocator_pipeline_tests.soak.world import World

IN_THIS_PROCESS = """
run_launcher:
  module: dagster._core.launcher.sync_in_memory_run_launcher
  class: SyncInMemoryRunLauncher
compute_logs: # to keep what a run prints takes four processes a run
  module: dagster._core.storage.noop_compute_log_manager
  class: NoOpComputeLogManager
"""
TICK = pd.Timedelta(seconds=61)  # longer than every sensor's interval
LATER = pd.Timedelta(minutes=6)  # by then the sensor, which lets schedules go first, sees what is due as well
OUTAGE = pd.Timedelta(hours=3)  # longer than the run monitoring's limit
EVENTS = ((5, "06:00", "America/New_York"), (6, "10:00", "America/New_York"), (0, "18:00", "Asia/Kolkata"))
ENDED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
WAITING = (dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED)
READS = ("prices", "sentiment", "fundamentals")


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
def failing(share: float, rng: random.Random, log: Callable[[str], object]) -> Iterator[None]:
    """Let a share of the market source's reads raise or time out, and log which."""

    def flaky(read: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(self: SimulatedMarket, year: int) -> Any:
            if rng.random() < share:
                log(f"{calendar.now():%Y-%m-%d %H:%M} {read.__name__} of {year}")
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
    world : World
        Notes the time before each iteration, so that it does not go back after a kill.
    """

    def __init__(self, clock: Clock, workspace: Any, world: World) -> None:
        self.world = world
        self.clock, self.workspace, self.instance = clock, workspace, workspace.instance
        self.logger = logging.getLogger("soak")
        self.queue = QueuedRunCoordinatorDaemon(interval_seconds=1)
        self.retries = EventLogConsumerDaemon()
        self.times: dict[str, Any] = {}

    def iterate(self) -> bool:
        """Let each daemon do one iteration; tell whether there is still something to do."""
        self.world.note(self.clock.now())
        before = self.instance.get_runs_count(), self.cursors()
        list(
            launch_scheduled_runs(
                self.workspace, self.logger, self.clock.now().to_pydatetime(), iteration_times=self.times
            )
        )
        list(execute_sensor_iteration(self.workspace, self.logger, None, None))
        list(self.retries.run_iteration(self.workspace))
        list(execute_run_monitoring_iteration(self.workspace, self.logger))
        busy = (self.instance.get_runs_count(), self.cursors()) != before or bool(self.unfinished())
        list(self.queue.run_iteration(self.workspace))
        self.clock.advance(TICK)
        return busy

    def unfinished(self) -> list[dg.DagsterRun]:
        """Return the runs that are queued, running, or lost."""
        statuses = [status for status in dg.DagsterRunStatus if status not in ENDED]
        return list(self.instance.get_runs(dg.RunsFilter(statuses=statuses)))

    def cursors(self) -> list[str | None]:
        """Return how far each sensor has read; a run status sensor reads one event a tick."""
        states = self.instance.all_instigator_state(instigator_type=InstigatorType.SENSOR)
        return [state.instigator_data.cursor for state in states if state.instigator_data is not None]

    def settle(self) -> None:
        """Iterate until nothing happens any more."""
        while self.iterate():
            pass


def operate(world: World, clock: Clock, until: pd.Timestamp) -> None:
    """Live through the weeks from where the clock stands until an instant."""
    home = dagster_home(world.settings)
    (home / "dagster.yaml").write_text(TEMPLATE.read_text() + IN_THIS_PROCESS)
    target = LoadableTargetOrigin(
        executable_path=sys.executable,
        module_name="allocator_pipeline_tests.soak.location",
        attribute="defs",
        working_directory=str(Path(__file__).parents[2]),
    )
    origin = InProcessCodeLocationOrigin(target, location_name="allocator_pipeline")
    with (
        impatient(),
        dg.DagsterInstance.get() as instance,
        create_test_daemon_workspace_context(InProcessWorkspaceLoadTarget(origin), instance) as workspace,
    ):
        gc.freeze()  # what is loaded by now stays; to look through it again and again took a tenth of the time
        gc.set_threshold(50_000)
        operator = Operator(clock, workspace, world)
        if lost := [run.job_name for run in operator.unfinished() if run.status not in WAITING]:
            world.log("interrupted", f"{clock.now():%Y-%m-%d %H:%M} {', '.join(lost)}")
        if operator.unfinished():  # killed: this is how long the machine was down
            clock.advance(OUTAGE)
        operator.settle()
        while (event := next_event(clock.now())) <= until:
            clock.instant = event + LATER
            operator.settle()


def main() -> int:
    """Run the operator."""
    warnings.filterwarnings("ignore", category=UserWarning, module="dagster")
    logging.disable(logging.WARNING)
    Thread(target=end_with, args=(os.getppid(),), daemon=True).start()
    world = World(Settings.from_env().data_dir)
    until, share, clock = pd.Timestamp(sys.argv[1]), float(sys.argv[2]), Clock(world.now)
    rng = random.Random(f"{sys.argv[3]} {clock.now()}")  # after a kill others fail
    with (
        clock.injected(),
        failing(share, rng, lambda line: world.log("failed_reads", line)),
        patch.object(lightgbm_opponent, "installed", lambda: False),  # an extra, judged and never used
    ):
        operate(world, clock, until)
    return 0


if __name__ == "__main__":
    sys.exit(main())
