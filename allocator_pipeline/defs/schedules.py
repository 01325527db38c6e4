"""The week: Saturday refreshes market data, Sunday labels and fine-tunes, Monday decides; monthly full training is off.

A static market (sample, files) has no new weeks: its schedules skip and say so.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

import dagster as dg
import pandas as pd

from allocator_pipeline.config import ALLOCATORS
from allocator_pipeline.defs.partitions import TIMEZONE, Partitions
from allocator_pipeline.defs.resources import StoreResource
from allocator_pipeline.market import calendar

REFRESH_TAG = "allocator/refresh_years"
WEEKLY_TAG = "allocator/weekly"


def schedules(partitions: Partitions) -> list[dg.ScheduleDefinition]:
    """Return the schedules."""
    running = dg.DefaultScheduleStatus.STOPPED if partitions.static else dg.DefaultScheduleStatus.RUNNING
    skip = dg.SkipReason(
        f"This market is static and ends on {partitions.last}: there is no new week. Launch past partitions by hand."
    )

    @dg.schedule(
        cron_schedule="0 6 * * 6",
        job_name="market_job",
        execution_timezone=TIMEZONE,
        default_status=running,
        description="Saturday 06:00 New York: refresh this year's market data, early in January the end of last year's "
        "before it; a sensor carries it on to states and the forecast panel.",
    )
    def saturday_market(context: dg.ScheduleEvaluationContext):
        if partitions.static:
            return skip
        now = context.scheduled_execution_time
        years = [year for year in sorted({(now - timedelta(days=14)).year, now.year}) if _has_closed(year, now)]
        return dg.RunRequest(
            run_key=f"market-{now:%Y-%m-%d}",
            partition_key=str(years[0]),
            tags={REFRESH_TAG: ",".join(map(str, years))},
        )

    @dg.schedule(
        cron_schedule="0 10 * * 0",
        job_name="labeling_job",
        execution_timezone=TIMEZONE,
        default_status=running,
        description="Sunday 10:00 New York: label every decided week whose outcome is known, oldest first; a "
        "sensor then scores it on paper and fine-tunes for the coming week.",
    )
    def sunday_labels(context: dg.ScheduleEvaluationContext, store: StoreResource):
        if partitions.static:
            return skip
        requests = list(_labels_due(store, context.scheduled_execution_time))
        return requests or dg.SkipReason("No decided week is waiting for its label.")

    @dg.schedule(
        cron_schedule="0 18 * * 1",
        job_name="inference_job",
        execution_timezone="Asia/Kolkata",
        default_status=running,
        description="Monday 18:00 Asia/Kolkata, before the US open: this week's target weights of every "
        "allocator that has a champion.",
    )
    def monday_inference(context: dg.ScheduleEvaluationContext, store: StoreResource):
        if partitions.static:
            return skip
        week = str(calendar.monday_of(context.scheduled_execution_time.date()).date())
        requests = [
            dg.RunRequest(run_key=f"decide-{name}-{week}", partition_key=f"{name}|{week}", tags={WEEKLY_TAG: week})
            for name in ALLOCATORS
            if store.verdicts(name).champion_at(week) is not None
        ]
        return requests or dg.SkipReason(
            f"No allocator has a champion for the week of {week}; train and judge one first."
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


def _has_closed(year: int, now: datetime) -> bool:
    """Tell whether a session of a year has closed: before that there is nothing to refresh."""
    days = calendar.sessions(f"{year}-01-01", f"{year}-01-10")
    return bool(calendar.closes(days)[0] < pd.Timestamp(now))


def _labels_due(store: StoreResource, now: datetime) -> Iterator[dg.RunRequest]:
    """Yield a request for each decided week without a label whose exit session has closed."""
    for name in ALLOCATORS:
        for week in store.experience.unlabeled_weeks(name):
            exit_close = calendar.closes(pd.DatetimeIndex([calendar.week(week)["exit_session"]]))[0]
            if exit_close < pd.Timestamp(now):
                yield dg.RunRequest(
                    run_key=f"label-{name}-{week}", partition_key=f"{name}|{week}", tags={WEEKLY_TAG: week}
                )
