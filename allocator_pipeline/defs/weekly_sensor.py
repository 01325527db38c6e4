"""From what is due to runs: schedules ask for it at their hour, a sensor for what follows and for what was missed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from typing import Any

import dagster as dg
import pandas as pd
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
    WILL_RETRY_TAG,
)

from allocator_pipeline.config import ALLOCATORS
from allocator_pipeline.defs.damage import Damage
from allocator_pipeline.defs.due import (
    FINETUNING,
    INFERENCE,
    LABELING,
    PAPER,
    PROMOTION,
    Step,
    label_falls_due,
    last_sunday,
    next_step,
    refreshed_for,
)
from allocator_pipeline.defs.partitions import Partitions, range_tags
from allocator_pipeline.defs.resources import StoreResource
from allocator_pipeline.market import calendar

WEEKLY_TAG = "allocator/weekly"
"""Week of the steps that a run makes."""
JUDGED_TAG = "allocator/judged"
"""Asset and partition that a promotion was asked for by."""

STAGES = (LABELING, PAPER, FINETUNING, PROMOTION, INFERENCE)
"""Jobs of an allocator's week, in order."""

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


def before_promotion(
    allocator: str,
    week: str,
    instance: dg.DagsterInstance,
    store: StoreResource,
    now: pd.Timestamp,
    damage: Damage | None = None,
) -> Step | None:
    """Return the first open step, of any allocator, that comes before an allocator's promotion of a week; None if none.

    Promotions count tries in one ledger, whose thresholds depend on their order. That order is this one, whatever
    failed, was killed or was caught up on the way: by Sunday, then by stage, then by allocator. An allocator that is
    damaged cannot come, and is not waited for.

    Raises
    ------
    CorruptArtifactError
        If the allocator itself is damaged.
    """
    damage, steps = damage or Damage(), {allocator: open_step(allocator, instance, store, now)}
    for name in ALLOCATORS:
        if name != allocator:
            steps[name] = damage.ask(name, partial(open_step, name, instance, store, now), (None, False))
    mine, _ = steps[allocator]
    if mine is None or mine.job != PROMOTION:  # else the oldest week that waits counts
        mine = Step(PROMOTION, allocator, week, label_falls_due(week))
    earlier = [
        step
        for step, under_way in steps.values()
        if step is not None
        and _place(step) < _place(mine)
        and (under_way or damage.ask(step.allocator, partial(refreshed_for, step, store), False))
    ]
    return min(earlier, key=_place, default=None)


def open_step(
    allocator: str, instance: dg.DagsterInstance, store: StoreResource, now: pd.Timestamp
) -> tuple[Step | None, bool]:
    """Return the oldest step of an allocator that is due, not done and has not failed this week.

    Returns
    -------
    tuple of (Step or None, bool)
        The step, and whether it is under way. It is to be made alone if a run shared with others has failed: that may
        have been for one of them.
    """
    since, passed_over = last_sunday(now), set[tuple[str, str]]()
    while (step := next_step(allocator, store, now, passed_over)) is not None:
        records = runs_of(instance, step)
        if records and not _has_ended(records[0].dagster_run):
            return step, True
        lately = [record.dagster_run for record in records if record.create_timestamp >= since]
        if not lately:
            return step, False
        failed = lately[0].status == dg.DagsterRunStatus.FAILURE
        if failed and all(len(allocators_of(run.tags)) > 1 for run in lately):
            return replace(step, alone=True), False
        passed_over.add((step.job, step.week))
    return None, False


def _next_wanted(allocator: str, instance: dg.DagsterInstance, store: StoreResource, now: pd.Timestamp) -> Step | None:
    step, under_way = open_step(allocator, instance, store, now)
    if step is None or under_way or step.job == PROMOTION:  # which has a sensor of its own, and is waited for
        return None
    return step


def _place(step: Step) -> tuple[pd.Timestamp, int, int]:
    return step.at, STAGES.index(step.job), ALLOCATORS.index(step.allocator)


def runs_of(instance: dg.DagsterInstance, step: Step) -> list[dg.RunRecord]:
    """Return the runs that were asked for to make a step, the newest first."""
    tags = (
        {JUDGED_TAG: f"paper_evaluations {step.allocator}|{step.week}"}
        if step.job == PROMOTION
        else {WEEKLY_TAG: step.week}
    )
    records = instance.get_run_records(dg.RunsFilter(job_name=step.job, tags=tags))
    return [record for record in records if step.allocator in allocators_of(record.dagster_run.tags)]


def _has_ended(run: dg.DagsterRun) -> bool:
    """Tell whether a run is over and will not be retried."""
    return run.is_finished and (run.is_success or run.tags.get(WILL_RETRY_TAG, "false") != "true")


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


def allocators_of(tags: Mapping[str, str]) -> tuple[str, ...]:
    """Return the allocators whose partitions a run makes."""
    if PARTITION_NAME_TAG in tags:
        return (tags[PARTITION_NAME_TAG].split("|")[0],)
    ends = (
        tags.get(name, "").split("|")[0] for name in (ASSET_PARTITION_RANGE_START_TAG, ASSET_PARTITION_RANGE_END_TAG)
    )
    first, last = (ALLOCATORS.index(name) if name else 0 for name in ends)
    return ALLOCATORS[first : last + 1]
