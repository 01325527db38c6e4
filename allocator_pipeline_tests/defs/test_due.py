"""What is due when, over the calendar; and that missed weeks are asked for once each, oldest first."""

from types import SimpleNamespace

import dagster as dg
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocator_pipeline.config import ALLOCATORS
from allocator_pipeline.defs import due
from allocator_pipeline.defs.due import (
    FINETUNING,
    INFERENCE,
    LABELING,
    PAPER,
    PROMOTION,
    decision_falls_due,
    due_week,
    label_falls_due,
    last_sunday,
    next_step,
)
from allocator_pipeline.defs.open_steps import JUDGED_TAG, WEEKLY_TAG, allocators_of, before_promotion
from allocator_pipeline.defs.weekly_sensor import weekly_requests
from allocator_pipeline.market import calendar

WEEKS = calendar.weeks("2015-01-01", "2030-12-01")


def instant(text, zone="America/New_York"):
    return pd.Timestamp(text, tz=zone).tz_convert("UTC")


def test_every_week_is_decided_after_its_data_and_before_its_execution():
    opens = calendar.exchange().opens
    for week in WEEKS.itertuples():
        at = decision_falls_due(week.week)
        assert week.decision_at < at < opens.loc[week.execution_session.as_unit("ns")]
        assert due_week(at) == str(week.week.date())
        assert due_week(at - pd.Timedelta(seconds=1)) == str(calendar.shift_week(week.week, -1).date())


def test_every_label_falls_due_on_the_sunday_after_its_exit_and_before_the_next_decision():
    for week in WEEKS.itertuples():
        at = label_falls_due(week.week)
        local = at.tz_convert("America/New_York")
        assert (local.day_name(), local.hour) == ("Sunday", 10)
        assert calendar.closes(pd.DatetimeIndex([week.exit_session]))[0] < at
        assert at < decision_falls_due(calendar.shift_week(week.week, 2))
        assert last_sunday(at) == at
        assert last_sunday(at - pd.Timedelta(seconds=1)) < at  # also where a clock was put forward that night
        assert last_sunday(at + pd.Timedelta(days=6, hours=22)) == at


@pytest.mark.parametrize(
    ("now", "week"),
    [
        (instant("2024-01-01 18:00", "Asia/Kolkata"), "2024-01-01"),  # a holiday, decided all the same
        (instant("2023-12-31 23:00"), "2023-12-25"),
        (instant("2024-03-11 18:00", "Asia/Kolkata"), "2024-03-11"),  # New York has put its clocks forward
        (instant("2024-03-11 17:59", "Asia/Kolkata"), "2024-03-04"),
    ],
)
def test_the_week_that_is_due(now, week):
    assert due_week(now) == week


class Store:
    """What is stored, as far as the weeks' steps ask."""

    def __init__(self, champion_from="2023-12-25"):
        self.rows, self.stored, self.through = {name: {} for name in ALLOCATORS}, set(), {}
        self.champion_from, self.refreshed = champion_from, "2100-01-01"
        self.experience = SimpleNamespace(records=self.records)
        self.assets = SimpleNamespace(has=self.has, read=self.read)

    def records(self, name, since):
        return [
            SimpleNamespace(decision=SimpleNamespace(week_start=week), label=label)
            for week, label in sorted(self.rows[name].items())
            if week >= since
        ]

    def has(self, asset, key):
        return asset in ("promoted_policies", "state_tensors") or (asset, key) in self.stored

    def read(self, asset, key):
        if asset == "state_tensors":
            weeks = calendar.weeks_of_year(int(key.split("|")[1]))["week"]
            return SimpleNamespace(weeks=weeks[weeks < self.refreshed].to_numpy().astype("datetime64[D]"))
        return {"judged_through": self.through.get(key)}

    def verdicts(self, name):
        has = name in ("ppo_lstm", "ppo_patchtst", "sac_lstm")
        return SimpleNamespace(champion_at=lambda week: "v1" if has and week >= self.champion_from else None)

    def do(self, job, name, week):
        if job == INFERENCE:
            self.rows[name].setdefault(week, None)
            self.stored.add(("decisions", f"{name}|{week}"))
        elif job == LABELING:
            self.rows[name][week] = "label"
            self.stored.add(("labeled_experience", f"{name}|{week}"))
        elif job == PROMOTION:
            self.through[name] = week
        else:
            self.stored.add(({PAPER: "paper_evaluations", FINETUNING: "finetuned_policies"}[job], f"{name}|{week}"))


def live(store, name, now):
    """Do what is due of an allocator until nothing is; return it."""
    done = []
    while (step := next_step(name, store, now)) is not None:
        assert len(done) < 500
        store.do(step.job, name, step.week)
        done.append((step.job, step.week))
    return done


def test_weeks_lived_through_and_weeks_caught_up_are_the_same_steps_in_the_same_order():
    first, last = instant("2024-01-01 18:00", "Asia/Kolkata"), instant("2024-06-24 18:00", "Asia/Kolkata")
    lived, missed = Store(), Store()
    steps = [step for hour in pd.date_range(first, last, freq="1D") for step in live(lived, "ppo_lstm", hour)]
    steps += live(lived, "ppo_lstm", last)
    caught_up = [*live(missed, "ppo_lstm", first), *live(missed, "ppo_lstm", last)]
    assert caught_up == steps
    assert len(set(steps)) == len(steps)
    assert [week for job, week in steps if job == INFERENCE] == [
        str(day.date()) for day in calendar.weeks("2024-01-01", "2024-06-24")["week"]
    ]
    assert steps[:6] == [
        (INFERENCE, "2024-01-01"),
        (INFERENCE, "2024-01-08"),
        (LABELING, "2024-01-01"),
        (PAPER, "2024-01-01"),
        (FINETUNING, "2024-01-15"),
        (PROMOTION, "2024-01-01"),
    ]


def test_after_half_a_year_without_decisions_only_this_week_is_decided():
    store = Store()
    store.do(INFERENCE, "ppo_lstm", "2024-01-08")
    store.do(LABELING, "ppo_lstm", "2024-01-08")
    steps = live(store, "ppo_lstm", instant("2024-09-09 18:00", "Asia/Kolkata"))
    assert [week for job, week in steps if job == INFERENCE] == ["2024-09-09"]


def test_what_was_never_done_is_asked_for_over_a_year_and_no_longer():
    store = Store()
    live(store, "ppo_lstm", instant("2024-01-08 18:00", "Asia/Kolkata"))
    late, too_late = (instant(f"{day} 12:00") for day in ("2025-01-12", "2025-01-19"))
    failed = {(INFERENCE, due_week(now)) for now in (late, too_late)}
    assert next_step("ppo_lstm", store, late, failed).job == LABELING
    assert next_step("ppo_lstm", store, too_late, failed) is None


def test_nothing_is_due_without_a_champion():
    assert next_step("dpg_lstm", Store(), instant("2024-06-24 18:00")) is None


def test_a_fine_tune_that_could_not_be_scored_from_its_first_week_is_not_made():
    store = Store()
    for week in ("2024-01-08", "2024-01-15", "2024-01-22"):
        for job in (INFERENCE, LABELING, PAPER):
            store.do(job, "ppo_lstm", week)
    steps = live(store, "ppo_lstm", instant("2024-02-05 10:00"))
    assert [week for job, week in steps if job == FINETUNING] == ["2024-01-29", "2024-02-05"]


def test_a_decision_whose_partition_is_not_stored_is_made_up_before_the_label_of_its_week_and_before_later_ones():
    store = Store()
    live(store, "ppo_lstm", instant("2024-01-15 18:00", "Asia/Kolkata"))
    store.stored.discard(("decisions", "ppo_lstm|2024-01-15"))  # the process died when the row was written
    same_day, caught_up = (instant(day, "Asia/Kolkata") for day in ("2024-01-15 19:00", "2024-02-05 18:00"))
    assert next_step("ppo_lstm", store, same_day).week == "2024-01-15"
    steps = live(store, "ppo_lstm", caught_up)
    assert [step for step in steps if step[0] == INFERENCE] == [
        (INFERENCE, week) for week in ("2024-01-15", "2024-01-22", "2024-01-29", "2024-02-05")
    ]
    assert steps[0] == (INFERENCE, "2024-01-15")
    assert steps.index((LABELING, "2024-01-15")) > steps.index((INFERENCE, "2024-01-22"))


def test_a_label_whose_partition_is_not_stored_is_made_up():
    store, week = Store(), "2024-01-08"
    live(store, "ppo_lstm", instant("2024-01-08 18:00", "Asia/Kolkata"))
    now = instant("2024-01-21 11:00")
    live(store, "ppo_lstm", now)
    store.stored.discard(("labeled_experience", f"ppo_lstm|{week}"))  # the process died when the label was written
    assert live(store, "ppo_lstm", now) == [(LABELING, week)]


@pytest.fixture
def instance(tmp_path):
    with dg.instance_for_test(temp_dir=str(tmp_path)) as made:
        yield made


MONDAY = instant("2024-06-24 18:00", "Asia/Kolkata")


def add(instance, request, status, monkeypatch=None, **tags):
    partition = {"dagster/partition": request.partition_key} if request.partition_key else {}
    run = dg.DagsterRun(request.job_name, tags={**request.tags, **partition, **tags}, status=status)
    instance.add_run(run)
    return run


@pytest.fixture
def frozen(monkeypatch):
    monkeypatch.setattr("dagster._time._mockable_get_current_datetime", lambda: MONDAY.to_pydatetime())


def test_neighbours_share_a_run_and_what_is_under_way_is_not_asked_for_again(instance, frozen):
    store = Store()
    (request,) = weekly_requests(instance, store, MONDAY)
    assert request.partition_key_range == dg.PartitionKeyRange("ppo_lstm|2024-06-24", "sac_lstm|2024-06-24")
    assert allocators_of(request.tags) == ("ppo_lstm", "ppo_patchtst", "sac_lstm")
    assert weekly_requests(instance, store, MONDAY)[0].run_key == request.run_key, "a replayed tick asks for the same"
    assert weekly_requests(instance, store, MONDAY, LABELING) == []
    add(instance, request, dg.DagsterRunStatus.STARTED)
    assert weekly_requests(instance, store, MONDAY) == []


def test_what_failed_is_tried_again_after_the_next_sunday_and_does_not_stop_the_decision(instance, frozen):
    store = Store()
    live(store, "ppo_lstm", MONDAY - pd.Timedelta(days=14))
    live(store, "ppo_lstm", MONDAY - pd.Timedelta(days=7))
    store.champion_from = "2024-06-24"  # the others begin this week
    week = "2024-06-10"
    tags = {WEEKLY_TAG: week, "dagster/partition": f"ppo_lstm|{week}"}
    instance.add_run(dg.DagsterRun(LABELING, tags=tags, status=dg.DagsterRunStatus.FAILURE))
    scored = [r for r in weekly_requests(instance, store, MONDAY) if r.job_name == PAPER]
    assert [request.partition_key for request in scored] == [f"ppo_lstm|{week}"]
    later = weekly_requests(instance, store, MONDAY + pd.Timedelta(days=7))
    assert (LABELING, f"ppo_lstm|{week}") in [(request.job_name, request.partition_key) for request in later]


def test_a_run_that_will_be_retried_is_waited_for_and_a_promotion_too(instance, frozen):
    store = Store()
    live(store, "ppo_lstm", MONDAY - pd.Timedelta(days=14))
    live(store, "ppo_lstm", MONDAY - pd.Timedelta(days=7))
    store.champion_from = "2024-06-24"
    week = "2024-06-10"
    label = {WEEKLY_TAG: week, "dagster/partition": f"ppo_lstm|{week}"}
    failed = dg.DagsterRun(LABELING, tags={**label, "dagster/will_retry": "true"}, status=dg.DagsterRunStatus.FAILURE)
    instance.add_run(failed)
    asked = [
        allocators_of({**r.tags, "dagster/partition": r.partition_key or "ppo_patchtst|"})
        for r in weekly_requests(instance, store, MONDAY)
    ]
    assert ("ppo_lstm",) not in asked
    for job, when in ((LABELING, week), (PAPER, week), (FINETUNING, "2024-06-24")):
        store.do(job, "ppo_lstm", when)
    assert next_step("ppo_lstm", store, MONDAY).job == PROMOTION
    assert all("ppo_lstm" not in (r.partition_key or "") for r in weekly_requests(instance, store, MONDAY))
    judged = {JUDGED_TAG: f"paper_evaluations ppo_lstm|{week}", "dagster/partition": "ppo_lstm"}
    instance.add_run(dg.DagsterRun(PROMOTION, tags=judged, status=dg.DagsterRunStatus.FAILURE))
    (request,) = weekly_requests(instance, store, MONDAY)
    assert request.partition_key_range.start == "ppo_lstm|2024-06-24", "a judgement that failed is not waited for"


@settings(deadline=None, max_examples=20)
@given(st.randoms(use_true_random=False), st.sampled_from([0, 1, 30]))
def test_promotions_come_in_one_order_whatever_is_done_first(random, weeks_off):
    """Of three allocators, each Sunday; also where weeks were missed and are caught up."""
    nobody_ran = SimpleNamespace(get_run_records=lambda *_: [])
    store, last, done = Store(), MONDAY + pd.Timedelta(weeks=weeks_off), []
    started = [MONDAY - pd.Timedelta(weeks=2), *([MONDAY] if not weeks_off else []), last]
    for now in started:
        while steps := [step for name in ALLOCATORS if (step := next_step(name, store, now)) is not None]:
            ready = [
                step
                for step in steps
                if step.job != PROMOTION or before_promotion(step.allocator, step.week, nobody_ran, store, now) is None
            ]
            assert ready, "each waits for another"
            step = random.choice(ready)
            store.do(step.job, step.allocator, step.week)
            done += [(step.week, step.allocator)] if step.job == PROMOTION else []
    assert len(done) >= 3
    assert done == sorted(done, key=lambda each: (each[0], ALLOCATORS.index(each[1])))


def test_a_promotion_waits_for_what_is_under_way_and_for_nothing_that_failed_or_cannot_start(instance, frozen):
    store, week = Store(), "2024-06-10"
    for name in ("ppo_lstm", "ppo_patchtst"):
        live(store, name, MONDAY - pd.Timedelta(days=14))
        live(store, name, MONDAY - pd.Timedelta(days=7))
    for job, when in ((LABELING, week), (PAPER, week), (FINETUNING, "2024-06-24")):
        store.do(job, "ppo_patchtst", when)

    def before():
        step = before_promotion("ppo_patchtst", week, instance, store, MONDAY)
        return step and (step.job, step.allocator)

    assert before() == (LABELING, "ppo_lstm")
    for job, when in ((LABELING, week), (PAPER, week)):
        store.do(job, "ppo_lstm", when)
    assert before() == (FINETUNING, "ppo_lstm")
    tags = {WEEKLY_TAG: "2024-06-24", "dagster/partition": "ppo_lstm|2024-06-24"}
    store.refreshed = pd.Timestamp("2024-06-17")
    assert before() is None, "what waits for its data is not waited for"
    instance.add_run(dg.DagsterRun(FINETUNING, tags=tags, status=dg.DagsterRunStatus.STARTED))
    assert before() == (FINETUNING, "ppo_lstm")
    store.refreshed = "2100-01-01"
    instance.add_run(dg.DagsterRun(FINETUNING, tags=tags, status=dg.DagsterRunStatus.FAILURE))
    assert before() == (PROMOTION, "ppo_lstm"), "what failed is passed over, and its own judgement comes first"
    store.do(PROMOTION, "ppo_lstm", week)
    assert before() is None


def test_what_the_refresh_has_not_reached_waits(instance, frozen):
    store = Store()
    store.refreshed = pd.Timestamp("2024-06-24")
    assert weekly_requests(instance, store, MONDAY) == []
    assert due.stale(store, MONDAY)
    store.refreshed = pd.Timestamp("2024-07-01")
    assert weekly_requests(instance, store, MONDAY)
    assert not due.stale(store, MONDAY)
