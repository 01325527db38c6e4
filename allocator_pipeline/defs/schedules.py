"""The week: Saturday refreshes market data, Sunday labels and fine-tunes, Monday decides; monthly full training is off.

A static market (sample, files) has no new weeks: its schedules skip and say so.
"""

from datetime import datetime, timedelta
from functools import partial

import dagster as dg
import pandas as pd

from allocator_pipeline.config import ALLOCATORS
from allocator_pipeline.defs.damage import Damage
from allocator_pipeline.defs.due import INFERENCE, LABELING, MONDAY_ZONE, due_week, stale
from allocator_pipeline.defs.partitions import TIMEZONE, Partitions
from allocator_pipeline.defs.resources import StoreResource
from allocator_pipeline.defs.weekly_sensor import weekly_requests
from allocator_pipeline.market import calendar

REFRESH_TAG = "allocator/refresh_years"
SATURDAY = 5
ENDED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)


def schedules(partitions: Partitions) -> list[dg.ScheduleDefinition]:
    """Return the schedules."""
    running = dg.DefaultScheduleStatus.STOPPED if partitions.static else dg.DefaultScheduleStatus.RUNNING
    skip = dg.SkipReason(
        f"This market is static and ends on {partitions.last}: there is no new week. Launch past partitions by hand."
    )

    @dg.schedule(
        cron_schedule=["0 6 * * 6", "0 6 * * 0", "0 6 * * 1"],
        job_name="market_job",
        execution_timezone=TIMEZONE,
        default_status=running,
        description="Saturday 06:00 New York: refresh this year's market data, before it the years since the last time "
        "and early in January last year's end; a sensor carries it on to states and the forecast panel. Sunday and "
        "Monday again, if the states of the coming week are not there: a refresh failed, or a year has just begun.",
    )
    def saturday_market(context: dg.ScheduleEvaluationContext, store: StoreResource):
        if partitions.static:
            return skip
        now = context.scheduled_execution_time
        if now.weekday() != SATURDAY and not stale(store, pd.Timestamp(now)):
            return dg.SkipReason("The states of the coming week are there.")
        if _under_way(context.instance):
            return dg.SkipReason("A refresh is under way.")
        years = refresh_years(store, now)
        return dg.RunRequest(
            run_key=f"market-{now:%Y-%m-%d}",
            partition_key=years[0],
            tags={REFRESH_TAG: ",".join(years)},
        )

    @dg.schedule(
        cron_schedule="0 10 * * 0",
        job_name=LABELING,
        execution_timezone=TIMEZONE,
        default_status=running,
        description="Sunday 10:00 New York: book and label the oldest decided week whose outcome is known; the sensor "
        "weekly_steps then scores it on paper, fine-tunes for the coming week, and catches up what was missed.",
    )
    def sunday_labels(context: dg.ScheduleEvaluationContext, store: StoreResource):
        if partitions.static:
            return skip
        now, damage = pd.Timestamp(context.scheduled_execution_time), Damage(context.log.error)
        return weekly_requests(context.instance, store, now, LABELING, damage) or damage.skip(
            "No week is to be labelled now: none is due, or the week's refresh or an earlier step comes first."
        )

    @dg.schedule(
        cron_schedule="0 18 * * 1",
        job_name=INFERENCE,
        execution_timezone=MONDAY_ZONE,
        default_status=running,
        description="Monday 18:00 Asia/Kolkata, before the US open: this week's target weights of every allocator that "
        "has a champion. Where earlier steps are missing, the sensor weekly_steps makes these first.",
    )
    def monday_inference(context: dg.ScheduleEvaluationContext, store: StoreResource):
        if partitions.static:
            return skip
        now, damage = pd.Timestamp(context.scheduled_execution_time), Damage(context.log.error)
        week = due_week(now)

        def has_champion(name: str) -> bool:
            return store.verdicts(name).champion_at(week) is not None

        if not any(damage.ask(name, partial(has_champion, name), False) for name in ALLOCATORS):
            return damage.skip(f"No allocator has a champion for the week of {week}; train and judge one first.")
        return weekly_requests(context.instance, store, now, INFERENCE, damage) or damage.skip(
            f"The week of {week} is decided already, or the week's refresh or an earlier step comes first."
        )

    @dg.schedule(
        cron_schedule="0 2 1 * *",
        job_name="training_job",
        execution_timezone=TIMEZONE,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description="First of the month 02:00 New York, off by default: full training of every allocator on the weeks "
        "through last year.",
    )
    def monthly_training(context: dg.ScheduleEvaluationContext):
        if partitions.static:
            return skip
        now = context.scheduled_execution_time
        return [
            dg.RunRequest(run_key=f"train-{name}-{now:%Y-%m}", partition_key=f"{name}|{now.year - 1}")
            for name in ALLOCATORS
        ]

    return [saturday_market, sunday_labels, monday_inference, monthly_training]


def refresh_years(store: StoreResource, now: datetime) -> list[str]:
    """Return the years to refresh: this one, that of two weeks ago, and those from the last one stored on."""
    stored = [int(year) for year in store.assets.keys("prices")]
    first = min([(now - timedelta(days=14)).year, *stored[-1:]])
    return [str(year) for year in range(first, now.year + 1)]


def has_closed(year: str, now: datetime | pd.Timestamp) -> bool:
    """Tell whether a session of a year has closed: before that it has no prices, only weeks to decide."""
    days = calendar.sessions(f"{year}-01-01", f"{year}-01-10")
    return bool(calendar.closes(days)[0] < pd.Timestamp(now))


def _under_way(instance: dg.DagsterInstance) -> bool:
    """Tell whether a run of a refresh is queued or running."""
    unfinished = [status for status in dg.DagsterRunStatus if status not in ENDED]
    runs = instance.get_runs(dg.RunsFilter(statuses=unfinished))
    return any(REFRESH_TAG in run.tags for run in runs)
