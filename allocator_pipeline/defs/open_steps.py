"""Which step of each allocator is open, by what is stored and by the runs there are; and what a promotion waits for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

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
from allocator_pipeline.defs.resources import StoreResource

WEEKLY_TAG = "allocator/weekly"
"""Week of the steps that a run makes."""
JUDGED_TAG = "allocator/judged"
"""Asset and partition that a promotion was asked for by."""

STAGES = (LABELING, PAPER, FINETUNING, PROMOTION, INFERENCE)
"""Jobs of an allocator's week, in order."""


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


def allocators_of(tags: Mapping[str, str]) -> tuple[str, ...]:
    """Return the allocators whose partitions a run makes."""
    if PARTITION_NAME_TAG in tags:
        return (tags[PARTITION_NAME_TAG].split("|")[0],)
    ends = (
        tags.get(name, "").split("|")[0] for name in (ASSET_PARTITION_RANGE_START_TAG, ASSET_PARTITION_RANGE_END_TAG)
    )
    first, last = (ALLOCATORS.index(name) if name else 0 for name in ends)
    return ALLOCATORS[first : last + 1]
