"""Ticks replayed, daemons killed between two requests, runs that die and runs launched many times over: one result."""

from __future__ import annotations

import random
from unittest.mock import patch

import dagster as dg
import pandas as pd
import pytest
from dagster._core.storage.tags import PARTITION_NAME_TAG, RUN_KEY_TAG, WILL_RETRY_TAG

from allocator_pipeline.defs.due import INFERENCE, PAPER, PROMOTION, decision_falls_due
from allocator_pipeline.defs.open_steps import JUDGED_TAG, WEEKLY_TAG, allocators_of
from allocator_pipeline.defs.weekly_sensor import weekly_requests
from allocator_pipeline.market import calendar
from allocator_pipeline_tests.defs.test_due import Store, live

COUNTS = [pytest.param(10, id="10"), pytest.param(100, id="100", marks=pytest.mark.slow)]
LED = ("ppo_lstm", "ppo_patchtst", "sac_lstm")
FIRST, LAST = "2024-01-01", "2024-01-22"


class Machine:
    """A daemon and its launcher, over the real instance and the real requests."""

    def __init__(self, instance: dg.DagsterInstance, rng: random.Random, trouble: float) -> None:
        self.instance, self.rng, self.trouble = instance, rng, trouble
        self.store, self.queue = Store(FIRST), list[dg.DagsterRun]()
        self.done = {name: list[tuple[str, str]]() for name in LED}
        """Steps of runs that succeeded."""

    def troubled(self) -> bool:
        return self.rng.random() < self.trouble

    def tick(self, now: pd.Timestamp) -> bool:
        """Let the sensor ask, then let what is queued run; tell whether there was nothing to do."""
        with patch("dagster._time._mockable_get_current_datetime", lambda: now.to_pydatetime()):
            return self.ask_and_run(now)

    def ask_and_run(self, now: pd.Timestamp) -> bool:
        requests = weekly_requests(self.instance, self.store, now)
        if self.troubled():  # killed before all it asked for was submitted
            requests = requests[: self.rng.randrange(len(requests) + 1)]
        for request in requests * (2 if self.troubled() else 1):  # replayed
            self.submit(request)
        waiting, self.queue = self.queue, []
        for run in waiting:
            self.execute(run)
        return not waiting

    def submit(self, request: dg.RunRequest) -> None:
        """Submit a request once, by its run key, as the daemon does."""
        key = {RUN_KEY_TAG: str(request.run_key)}
        if not self.instance.get_runs(dg.RunsFilter(tags=key)):
            partition = {PARTITION_NAME_TAG: request.partition_key} if request.partition_key else {}
            self.add(str(request.job_name), {**request.tags, **partition, **key})

    def add(self, job: str, tags: dict[str, str]) -> None:
        self.queue.append(self.instance.add_run(dg.DagsterRun(job, tags=tags, status=dg.DagsterRunStatus.NOT_STARTED)))

    def execute(self, run: dg.DagsterRun) -> None:
        """Let a run do its work, or die before, in the midst of it, or after, and be retried."""
        names = allocators_of(run.tags)
        dies = self.troubled()
        for name in names[: self.rng.randrange(len(names) + 1)] if dies else names:
            for _ in range(self.rng.randint(2, 8) if self.troubled() else 1):  # launched by hand as well
                self.store.do(run.job_name, name, week_of(run))
        event = dg.DagsterEventType.RUN_FAILURE if dies else dg.DagsterEventType.RUN_SUCCESS
        self.instance.report_dagster_event(dg.DagsterEvent(event.value, run.job_name), run.run_id)
        if dies:
            self.instance.add_run_tags(run.run_id, {WILL_RETRY_TAG: "true"})
            self.add(run.job_name, dict(run.tags))
            return
        for name in names:
            self.done[name].append((run.job_name, week_of(run)))
            if run.job_name == PAPER:  # the promotion sensor
                judged = f"paper_evaluations {name}|{week_of(run)}"
                self.add(PROMOTION, {JUDGED_TAG: judged, PARTITION_NAME_TAG: name})


def week_of(run: dg.DagsterRun) -> str:
    return run.tags[WEEKLY_TAG] if WEEKLY_TAG in run.tags else run.tags[JUDGED_TAG].split("|")[1]


@pytest.mark.parametrize("count", COUNTS)
def test_no_week_is_dropped_or_doubled(count: int) -> None:
    weeks = [str(day.date()) for day in calendar.weeks(FIRST, LAST)["week"]]
    instants = [
        monday + pd.Timedelta(hours=hours)
        for monday in map(decision_falls_due, weeks)
        for hours in (-20, -19, -18, 1, 2)
    ]  # Sunday's steps, one a tick, and Monday's decision
    undisturbed = Store(FIRST)
    wanted = {name: [step for now in instants for step in live(undisturbed, name, now)] for name in LED}
    assert [week for job, week in wanted[LED[0]] if job == INFERENCE] == weeks
    for seed in range(count):
        with dg.DagsterInstance.ephemeral() as instance:
            machine = Machine(instance, random.Random(seed), trouble=0.2)
            for now in instants:
                machine.tick(now)
            machine.trouble, quiet = 0.0, False
            while not quiet:
                quiet = machine.tick(instants[-1])
            for name in LED:
                assert sorted(machine.done[name]) == sorted(wanted[name]), f"seed {seed}"
