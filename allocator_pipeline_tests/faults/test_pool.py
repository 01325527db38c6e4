"""A run that dies with the slot of a pool in its hands: the next one waits until run monitoring ends it, then runs."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest
from dagster._core.definitions.selector import JobSubsetSelector
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.test_utils import create_run_for_test, create_test_daemon_workspace_context
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon

from allocator_pipeline.defs.home import TEMPLATE
from allocator_pipeline_tests.soak.clock import Clock
from allocator_pipeline_tests.soak.operator import IN_THIS_PROCESS, OUTAGE

COUNTS = [pytest.param(2, id="2"), pytest.param(20, id="20", marks=pytest.mark.slow)]
Status = dg.DagsterRunStatus


@pytest.mark.parametrize("count", COUNTS)
def test_a_slot_whose_holder_was_killed_is_freed(tmp_path: Path, count: int) -> None:
    (tmp_path / "dagster.yaml").write_text(TEMPLATE.read_text() + IN_THIS_PROCESS)
    target = LoadableTargetOrigin(
        executable_path=sys.executable,
        module_name="allocator_pipeline_tests.faults.pooled",
        attribute="defs",
        working_directory=str(Path(__file__).parents[2]),
    )
    load = InProcessWorkspaceLoadTarget(InProcessCodeLocationOrigin(target, location_name="pooled"))
    clock, queue = Clock(pd.Timestamp("2024-01-06 12:00", tz="UTC")), QueuedRunCoordinatorDaemon(interval_seconds=1)
    with (
        clock.injected(),
        dg.DagsterInstance.from_config(str(tmp_path)) as instance,
        create_test_daemon_workspace_context(load, instance) as workspace,
    ):

        def submit() -> str:
            context = workspace.create_request_context()
            (location,) = context.code_locations
            (name,) = (repository.name for repository in location.get_repositories().values())
            job = location.get_job(JobSubsetSelector(location.name, name, "pooled_job", None))
            run = create_run_for_test(
                instance,
                job_name="pooled_job",
                execution_plan_snapshot=location.get_execution_plan(job, {}, None, None).execution_plan_snapshot,
                job_snapshot=job.job_snapshot,
                remote_job_origin=job.get_remote_origin(),
                job_code_origin=job.get_python_origin(),
                status=Status.NOT_STARTED,
            )
            instance.submit_run(run.run_id, context)
            return run.run_id

        def status(run: str) -> dg.DagsterRunStatus:
            return instance.get_run_by_id(run).status

        submit()
        list(queue.run_iteration(workspace))  # Dagster knows a pool from its first run on
        for _ in range(count):
            holder = submit()
            for event in (dg.DagsterEventType.RUN_STARTING, dg.DagsterEventType.RUN_START):  # and is killed here
                instance.report_dagster_event(dg.DagsterEvent(event.value, "pooled_job"), holder)
            waits = submit()
            list(queue.run_iteration(workspace))
            assert (status(holder), status(waits)) == (Status.STARTED, Status.QUEUED)
            clock.advance(OUTAGE)
            list(execute_run_monitoring_iteration(workspace, logging.getLogger("test")))
            list(queue.run_iteration(workspace))
            assert (status(holder), status(waits)) == (Status.FAILURE, Status.SUCCESS)
