"""When the report of a week is asked for: once all are through, again when one comes later, never twice alike."""

from __future__ import annotations

from dataclasses import replace

import dagster as dg
import pytest

from allocator_pipeline.config import CASH, Settings
from allocator_pipeline.defs.build import build_definitions
from allocator_pipeline.defs.open_steps import WEEKLY_TAG
from allocator_pipeline.defs.resources import StoreResource
from allocator_pipeline.defs.weekly_report_sensor import (
    WILL_RETRY_TAG,
    weekly_report_requests,
    weekly_report_sensor,
)
from allocator_pipeline.experience.records import run_id
from allocator_pipeline_tests.account.market import make_decision
from allocator_pipeline_tests.registry.conftest import make_ruling

WEEK = "2018-11-26"
LED = ("ppo_lstm", "sac_lstm")
Status = dg.DagsterRunStatus


@pytest.fixture
def instance(tmp_path):
    with dg.instance_for_test(temp_dir=str(tmp_path)) as made:
        yield made


@pytest.fixture
def store(tmp_path):
    """Return a store in which two allocators have a champion."""
    store = StoreResource(root=str(tmp_path / "market"))
    for name in LED:
        store.verdicts(name).append(make_ruling("2017", "2018-01-08"), after=0)
    return store


def run(instance, name, status=Status.SUCCESS, week=WEEK, **more):
    tags = {WEEKLY_TAG: week, "dagster/partition": f"{name}|{week}", **more.pop("tags", {})}
    return instance.add_run(dg.DagsterRun("inference_job", tags=tags, status=status, **more))


def decide(store, name, week=WEEK):
    decision = make_decision(week, {"SIM00": 0.1, CASH: 0.9}, {"source": "cash", "holdings": {CASH: 1.0}})
    store.experience.record_decision(replace(decision, allocator=name, run_id=run_id(week, name)))


def asked(instance, store, cursor=None):
    requests, cursor = weekly_report_requests(instance, cursor, store)
    return [(request.partition_key, request.run_key) for request in requests], cursor


def test_it_waits_for_every_allocator_with_a_champion_and_asks_once(instance, store):
    assert asked(instance, store)[0] == []
    run(instance, LED[0])
    decide(store, LED[0])
    assert asked(instance, store)[0] == []  # the other is still to be launched
    run(instance, LED[1], Status.STARTED)
    assert asked(instance, store)[0] == []
    instance.report_run_failed(instance.get_runs(dg.RunsFilter(statuses=[Status.STARTED]))[0])
    only, cursor = asked(instance, store)
    assert only == [(WEEK, f"weekly_report-{WEEK}-ppo_lstm")]
    assert asked(instance, store, cursor)[0] == []
    assert asked(instance, store)[0] == only, "a lost cursor asks with the same key, which Dagster has seen"


def test_the_sensor_asks_for_a_partition_that_there_is_and_carries_its_cursor(instance, store, tmp_path):
    settings = Settings(market="simulated", data_dir=tmp_path / "data", min_training_years=3)
    repository = build_definitions(settings).get_repository_def()
    for name in LED:
        run(instance, name)
        decide(store, name)

    def tick(cursor=None):
        with dg.build_sensor_context(
            instance=instance, cursor=cursor, resources={"store": store}, repository_def=repository
        ) as context:
            return weekly_report_sensor.evaluate_tick(context)

    first = tick()
    assert [request.partition_key for request in first.run_requests] == [WEEK]
    assert "No week" in tick(first.cursor).skip_message


def test_it_asks_again_when_a_failed_allocator_decides_after_all(instance, store):
    run(instance, LED[0])
    run(instance, LED[1], Status.FAILURE)
    decide(store, LED[0])
    _, cursor = asked(instance, store)
    run(instance, LED[1])
    decide(store, LED[1])
    assert asked(instance, store, cursor)[0] == [(WEEK, f"weekly_report-{WEEK}-ppo_lstm+sac_lstm")]


def test_it_waits_for_the_repetition_of_a_run(instance, store):
    run(instance, LED[0])
    decide(store, LED[0])
    failed = run(instance, LED[1], Status.FAILURE, tags={WILL_RETRY_TAG: "true"})
    assert asked(instance, store)[0] == []
    run(instance, LED[1], root_run_id=failed.run_id, parent_run_id=failed.run_id)
    decide(store, LED[1])
    assert len(asked(instance, store)[0]) == 1


def test_weeks_caught_up_have_a_report_each_in_order_and_runs_by_hand_none(instance, store):
    for week in ("2018-12-03", WEEK):
        for name in LED:
            run(instance, name, week=week)
            decide(store, name, week)
    instance.add_run(
        dg.DagsterRun("inference_job", tags={"dagster/partition": "ppo_lstm|2018-12-10"}, status=Status.SUCCESS)
    )
    assert [week for week, _ in asked(instance, store)[0]] == [WEEK, "2018-12-03"]
