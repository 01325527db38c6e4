"""From what is due to runs: schedules ask for it at their hour, a sensor for what follows and for what was missed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import groupby
from typing import Any

import dagster as dg
import pandas as pd

from allocator_pipeline.config import ALLOCATORS
from allocator_pipeline.defs.damage import Damage
from allocator_pipeline.defs.due import (
    FINETUNING,
    INFERENCE,
    LABELING,
    PAPER,
    PROMOTION,
    Step,
    last_sunday,
    refreshed_for,
)
from allocator_pipeline.defs.open_steps import WEEKLY_TAG, open_step
from allocator_pipeline.defs.partitions import Partitions, range_tags
from allocator_pipeline.defs.resources import StoreResource
from allocator_pipeline.market import calendar

GRACE = pd.Timedelta(minutes=5)
"""Sunday's and Monday's schedules come first; the sensor sees what is due this much later."""


def weekly_sensor(jobs: Sequence[Any], partitions: Partitions) -> dg.SensorDefinition:
    """Return the sensor; it requests runs of the jobs given."""

    @dg.sensor(
        jobs=[job for job in jobs if job.name in (INFERENCE, LABELING, PAPER, FINETUNING)],
        minimum_interval_seconds=15,
        default_status=dg.DefaultSensorStatus.STOPPED if partitions.static else dg.DefaultSensorStatus.RUNNING,
        description="Carries each allocator's weeks on, one step after the other: label, paper evaluation, fine-tune, "
        "and on its Monday the decision; missed weeks in the same order. What failed is passed over and asked for "
        "again on the next Sunday. An allocator that is damaged is named, and the others go on.",
    )
    def weekly_steps(context: dg.SensorEvaluationContext, store: StoreResource):
        if partitions.static:
            return dg.SkipReason(f"This market is static and ends on {partitions.last}: no new week falls due.")
        damage = Damage(context.log.error)
        requests = weekly_requests(context.instance, store, calendar.now() - GRACE, damage=damage)
        return requests or damage.skip("Nothing is due, or what is due is under way or waits for its data.")

    return weekly_steps


def weekly_requests(
    instance: dg.DagsterInstance,
    store: StoreResource,
    now: pd.Timestamp,
    job: str | None = None,
    damage: Damage | None = None,
) -> list[dg.RunRequest]:
    """Return requests for what is due next of each allocator, if it is neither under way nor has failed this week.

    Parameters
    ----------
    instance : DagsterInstance
        Knows the runs.
    store : StoreResource
    now : Timestamp
        With a time zone.
    job : str, optional
        Ask for runs of this job only.
    damage : Damage, optional
        Told of allocators that are damaged; nothing is asked for of these.

    Returns
    -------
    list of RunRequest
        Allocators at the same job and week share a run where they are neighbours. Run keys name job, week and the
        Sunday since which it is asked for.
    """
    since, damage = last_sunday(now), damage or Damage()
    wanted = [
        step
        for name in ALLOCATORS
        if (step := damage.ask(name, partial(_next_wanted, name, instance, store, now), None)) is not None
        and (job is None or step.job == job)
        and damage.ask(name, partial(refreshed_for, step, store), False)
    ]
    return as_requests(wanted, since)


def _next_wanted(allocator: str, instance: dg.DagsterInstance, store: StoreResource, now: pd.Timestamp) -> Step | None:
    step, under_way = open_step(allocator, instance, store, now)
    if step is None or under_way or step.job == PROMOTION:  # which has a sensor of its own, and is waited for
        return None
    return step


def as_requests(steps: Iterable[Step], since: pd.Timestamp) -> list[dg.RunRequest]:
    """Return run requests: one for each step to be made alone, else for each job, week and row of neighbours."""
    place = ALLOCATORS.index
    ordered = sorted(steps, key=lambda step: (step.job, step.week, place(step.allocator)))
    rows = groupby(
        enumerate(ordered),
        key=lambda item: (
            item[1].job,
            item[1].week,
            place(item[1].allocator) - item[0],
            item[1].allocator if item[1].alone else "",
        ),
    )
    requests = []
    for (job, week, *_), row in rows:
        keys = [step.partition for _, step in row]
        requests.append(
            dg.RunRequest(
                job_name=job,
                run_key=f"{job}-{keys[0]}-{keys[-1]}-{since:%Y-%m-%d}",
                partition_key=keys[0] if len(keys) == 1 else None,
                tags={WEEKLY_TAG: week, **(range_tags(keys[0], keys[-1]) if len(keys) > 1 else {})},
            )
        )
    return requests
