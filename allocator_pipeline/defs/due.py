"""What is due next of an allocator's weeks, by what is stored and what time it is; nothing is remembered elsewhere.

A week is decided on its Monday at 18:00 Asia/Kolkata. On the Sunday after its exit session it is booked and labelled,
scored on paper, and followed by a fine-tune for the coming week and by a judgement of the papers. In that order weeks
are caught up too, one step after the other: so a decision that can only be made late is made as of its own decision
time, from what was known then, by the champion that the judgements before it had made.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import pandas as pd

from allocator_pipeline.config import STATE_FORECASTERS, WEEKS_PER_YEAR, forecaster_of
from allocator_pipeline.defs.resources import StoreResource
from allocator_pipeline.errors import CorruptArtifactError
from allocator_pipeline.experience.records import Experience
from allocator_pipeline.market import calendar
from allocator_pipeline.market.source import NEW_YORK

INFERENCE, LABELING, PAPER, FINETUNING, PROMOTION = (
    "inference_job",
    "labeling_job",
    "paper_job",
    "finetuning_job",
    "promotion_job",
)

MONDAY_HOUR, MONDAY_ZONE = 18, "Asia/Kolkata"
SUNDAY_HOUR, SUNDAY_ZONE = 10, NEW_YORK

DECISIONS, LABELS, PAPERS = "decisions", "labeled_experience", "paper_evaluations"

HORIZON = WEEKS_PER_YEAR // 2
"""Weeks without a decision after which a paper account starts anew, and nothing in between is caught up."""

LOOK_BACK = WEEKS_PER_YEAR
"""Weeks after which what was never done of a decided week is not asked for any more: sensors ask every few seconds."""


@dataclass(frozen=True)
class Step:
    """One job for one allocator and week.

    Parameters
    ----------
    job : str
    allocator : str
    week : str
        Monday of its partition: of the week decided, labelled or scored, or of that which a fine-tune is made for; for
        a promotion the newest week scored.
    at : Timestamp
        When it falls due.
    alone : bool
        Whether it is made in a run of its own, and not with those of other allocators.
    """

    job: str
    allocator: str
    week: str
    at: pd.Timestamp
    alone: bool = False

    @property
    def partition(self) -> str:
        """Partition key of the job."""
        return self.allocator if self.job == PROMOTION else f"{self.allocator}|{self.week}"


def decision_falls_due(week: str | pd.Timestamp) -> pd.Timestamp:
    """Return when a week is decided: its Monday 18:00 Asia/Kolkata, holiday or not, before the US open."""
    return (pd.Timestamp(week) + pd.Timedelta(hours=MONDAY_HOUR)).tz_localize(MONDAY_ZONE).tz_convert("UTC")


def label_falls_due(week: str | pd.Timestamp) -> pd.Timestamp:
    """Return when a week is labelled: Sunday 10:00 New York of the week of its exit session."""
    sunday = calendar.monday_of(calendar.week(week)["exit_session"]) + pd.Timedelta(days=6)
    return (sunday + pd.Timedelta(hours=SUNDAY_HOUR)).tz_localize(SUNDAY_ZONE).tz_convert("UTC")


def last_sunday(now: pd.Timestamp) -> pd.Timestamp:
    """Return the latest Sunday 10:00 New York up to an instant."""
    here = now.tz_convert(SUNDAY_ZONE).tz_localize(None) - pd.Timedelta(hours=SUNDAY_HOUR)  # by the clock on the wall
    day = here.normalize() - pd.Timedelta(days=(here.day_of_week + 1) % 7)
    return (day + pd.Timedelta(hours=SUNDAY_HOUR)).tz_localize(SUNDAY_ZONE).tz_convert("UTC")


def due_week(now: pd.Timestamp) -> str:
    """Return the latest week whose decision has fallen due."""
    week = calendar.week_at(now)["week"]
    return str((week if decision_falls_due(week) <= now else calendar.shift_week(week, -1)).date())


def next_step(
    allocator: str, store: StoreResource, now: pd.Timestamp, passed_over: Collection[tuple[str, str]] = ()
) -> Step | None:
    """Return the oldest step of an allocator that is due and not done.

    Parameters
    ----------
    allocator : str
    store : StoreResource
    now : Timestamp
        With a time zone.
    passed_over : collection of (str, str)
        Job and week of steps that are not waited for; those that cannot do without them fail and say so.

    Returns
    -------
    Step or None
        None where nothing is due: all is done, or there is no champion yet.
    """
    since = str(calendar.shift_week(due_week(now), -LOOK_BACK).date())
    records = store.experience.records(allocator, since)
    waiting = [
        step
        for step in (*_sundays(allocator, records, store), *_mondays(allocator, records, store, now))
        if step.at <= now and (step.job, step.week) not in passed_over
    ]
    return min(waiting, key=lambda step: step.at, default=None)  # of one Sunday the first, as they are in order


def refreshed_for(step: Step, store: StoreResource) -> bool:
    """Tell whether market data and states have been refreshed as far as a step reads them."""
    return holds(forecaster_of(step.allocator), str(calendar.week_at(step.at)["week"].date()), store)


def stale(store: StoreResource, now: pd.Timestamp) -> bool:
    """Tell whether the stored states lack the week that is decided next, or are damaged, which a refresh mends."""
    coming = str(calendar.week_at(now)["week"].date())
    try:
        return not all(holds(forecaster, coming, store) for forecaster in STATE_FORECASTERS)
    except CorruptArtifactError:
        return True


def holds(forecaster: str, week: str, store: StoreResource) -> bool:
    """Tell whether the stored states of a forecaster hold a week."""
    key = f"{forecaster}|{calendar.week(week)['year']}"
    if not store.assets.has("state_tensors", key):
        return False
    return pd.Timestamp(week) in pd.DatetimeIndex(store.assets.read("state_tensors", key).weeks)


def _sundays(allocator: str, records: list[Experience], store: StoreResource) -> Iterator[Step]:
    """Yield what is not done of the Sundays of decided weeks, in order.

    A label is recorded after the partition of its booking is stored and before its own is; made again, it is found as
    recorded.
    """
    if not records:
        return
    judged = _judged_through(allocator, store)
    last = calendar.shift_week(records[-1].decision.week_start, 2)
    mondays = [str(day.date()) for day in calendar.weeks(records[0].decision.week_start, last)["week"]]
    in_two_weeks = dict(zip(mondays, mondays[2:], strict=False))
    for row in records:
        week = row.decision.week_start
        coming = in_two_weeks[week]
        # once its first week is scored without it, a challenger comes too late
        tuned = any(store.assets.has(name, f"{allocator}|{coming}") for name in ("finetuned_policies", PAPERS))
        labelled = row.label is not None and store.assets.has(LABELS, f"{allocator}|{week}")
        missing = (
            (LABELING, week, not labelled),
            (PAPER, week, not store.assets.has(PAPERS, f"{allocator}|{week}")),
            (FINETUNING, coming, not tuned),
            (PROMOTION, week, week > judged),
        )
        for job, monday, due in missing:
            if due:
                yield Step(job, allocator, monday, label_falls_due(week))


def _mondays(allocator: str, records: list[Experience], store: StoreResource, now: pd.Timestamp) -> Iterator[Step]:
    """Yield the decisions that are recorded and not finished, then those not made: after the last one, or this week's.

    A decision is recorded before its partition is stored; made again, it is found as recorded.
    """
    for row in records:
        if not store.assets.has(DECISIONS, f"{allocator}|{row.decision.week_start}"):
            yield Step(INFERENCE, allocator, row.decision.week_start, decision_falls_due(row.decision.week_start))
    week, log = due_week(now), store.verdicts(allocator)
    last = records[-1].decision.week_start if records else ""
    if last < str(calendar.shift_week(week, -HORIZON).date()):
        missing = [week]
    else:
        missing = [str(day.date()) for day in calendar.weeks(last, week)["week"] if str(day.date()) > last]
    for week in missing:
        if log.champion_at(week) is not None:
            yield Step(INFERENCE, allocator, week, decision_falls_due(week))


def _judged_through(allocator: str, store: StoreResource) -> str:
    """Return the newest week whose paper evaluation the last promotion has read."""
    if not store.assets.has("promoted_policies", allocator):
        return ""
    return str(store.assets.read("promoted_policies", allocator).get("judged_through") or "")
