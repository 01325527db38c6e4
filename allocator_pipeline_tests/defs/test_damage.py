"""One allocator's damage, on a real store: it is named in the tick, and the weeks of the others go on."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pandas as pd
import pytest

from allocator_pipeline.config import CASH, STATE_FORECASTERS, Settings, SimulatedConfig
from allocator_pipeline.defs import sensors
from allocator_pipeline.defs.build import build_definitions
from allocator_pipeline.defs.damage import Damage
from allocator_pipeline.defs.due import INFERENCE, decision_falls_due, label_falls_due
from allocator_pipeline.defs.open_steps import WEEKLY_TAG, before_promotion
from allocator_pipeline.defs.resources import StoreResource
from allocator_pipeline.defs.sensors import promotion_requests
from allocator_pipeline.defs.weekly_report_sensor import weekly_report_requests
from allocator_pipeline.defs.weekly_sensor import weekly_requests
from allocator_pipeline.errors import CorruptArtifactError
from allocator_pipeline.market import calendar
from allocator_pipeline.registry.serving import serving
from allocator_pipeline_tests.account.market import make_decision
from allocator_pipeline_tests.evaluation.conftest import year_of_states
from allocator_pipeline_tests.experience.damage import damage
from allocator_pipeline_tests.registry.conftest import make_ruling

NAMES = ("ppo_lstm", "ppo_patchtst", "sac_lstm")
WEEK = "2016-06-06"
MONDAY = decision_falls_due(WEEK)
SUNDAY = label_falls_due(WEEK)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    market = SimulatedConfig(start=date(2009, 1, 1))
    return Settings(market="simulated", data_dir=tmp_path / "data", min_training_years=3, simulated=market)


@pytest.fixture
def store(settings: Settings) -> StoreResource:
    """Return a store of three allocators with a champion each, whose states reach to the end of 2016."""
    made = StoreResource(root=str(settings.market_dir.absolute()))
    for name in NAMES:
        made.verdicts(name).append(make_ruling(), after=0)
    for forecaster in STATE_FORECASTERS:
        made.assets.write("state_tensors", f"{forecaster}|2016", year_of_states(2016))
    return made


@pytest.fixture
def instance(tmp_path: Path):
    with dg.instance_for_test(temp_dir=str(tmp_path)) as made:
        yield made


def damage_log(store: StoreResource, name: str = "ppo_patchtst") -> tuple[Path, bytes]:
    path = store.verdicts(name).folder / "000001.json"
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"first policy", b"worst policy", 1))
    assert path.read_bytes() != whole
    return path, whole


def damage_row(
    store: StoreResource, name: str = "ppo_lstm", change: str = "decision = replace(decision, 'cash', 'dash')"
) -> None:
    decide(store, name)
    damage(store.experience, change)


def decide(store: StoreResource, name: str) -> None:
    assert name == "ppo_lstm", "whose decisions `make_decision` makes"
    decision = make_decision(WEEK, {CASH: 1.0}, {"source": "cash", "holdings": {CASH: 1.0}})
    store.experience.record_decision(decision)
    store.assets.write("decisions", f"{name}|{WEEK}", {"run_id": decision.run_id})


def asked(requests: list[dg.RunRequest]) -> list[tuple[str | None, str | None]]:
    return [(request.job_name, request.partition_key) for request in requests]


def test_a_damaged_log_stops_nobody_elses_week_and_is_told(store, instance):
    (together,) = weekly_requests(instance, store, MONDAY)
    assert together.partition_key_range == dg.PartitionKeyRange(f"ppo_lstm|{WEEK}", f"sac_lstm|{WEEK}")
    damage_log(store)
    told: list[str] = []
    requests = weekly_requests(instance, store, MONDAY, damage=Damage(told.append))
    assert asked(requests) == [(INFERENCE, f"ppo_lstm|{WEEK}"), (INFERENCE, f"sac_lstm|{WEEK}")]
    (line,) = told
    assert line.startswith("ppo_patchtst is left out: ")
    assert "number 1 cannot be trusted" in line
    assert "What to do" in line


def test_a_log_that_was_cut_stops_nobody_elses_week_and_is_told(store, instance):
    log = store.verdicts("ppo_patchtst")
    told = [asdict(verdict) for verdict in log.history()]
    store.assets.write("promoted_policies", "ppo_patchtst", {"verdicts": told})
    shutil.rmtree(log.folder)
    lines: list[str] = []
    requests = weekly_requests(instance, store, MONDAY, damage=Damage(lines.append))
    assert asked(requests) == [(INFERENCE, f"ppo_lstm|{WEEK}"), (INFERENCE, f"sac_lstm|{WEEK}")]
    (line,) = lines
    assert line.startswith("ppo_patchtst is left out: The verdicts on ppo_patchtst were cut")
    with pytest.raises(CorruptArtifactError, match="were cut"):
        serving(log, store.models, WEEK, "previous")  # as a decision asks


def test_damage_that_nobody_asks_to_be_told_of_is_logged_as_an_error(store, instance, caplog):
    damage_log(store)
    assert len(weekly_requests(instance, store, MONDAY)) == 2
    (record,) = caplog.records
    assert (record.levelname, record.message.split()[0]) == ("ERROR", "ppo_patchtst")


@pytest.mark.parametrize(
    "change",
    [
        "decision = replace(decision, 'cash', 'dash')",
        "week_start = '2016-06-96'",
        "week_start = '2006-06-06'",
        "allocator = 'ppo_lstn'",
        "superseded = '['",
    ],
)
def test_a_damaged_row_of_experience_stops_nobody_elses_week(store, instance, change):
    damage_row(store, change=change)
    assert before_promotion("ppo_patchtst", WEEK, instance, store, SUNDAY).allocator == "ppo_patchtst"
    told: list[str] = []
    (request,) = weekly_requests(instance, store, SUNDAY, damage=Damage(told.append))
    assert request.partition_key_range == dg.PartitionKeyRange("ppo_patchtst|2016-06-13", "sac_lstm|2016-06-13")
    assert [line.split()[0] for line in told] == ["ppo_lstm"]


def damage_states(store: StoreResource, forecaster: str) -> None:
    for path in store.assets.pointer("state_tensors", f"{forecaster}|2016").parent.glob(f"*{forecaster}*.safetensors"):
        path.write_bytes(path.read_bytes()[:-1] + b"?")


@pytest.mark.parametrize("forecaster", STATE_FORECASTERS)
def test_damaged_states_are_refreshed_on_the_next_sunday_or_monday(settings, store, instance, forecaster):
    definitions = build_definitions(settings)
    schedule = definitions.resolve_schedule_def("saturday_market")

    def tick(day: str):
        when = pd.Timestamp(f"{day} 06:00", tz="America/New_York").to_pydatetime()
        with dg.build_schedule_context(
            instance,
            scheduled_execution_time=when,
            resources={"store": store},
            repository_def=definitions.get_repository_def(),
        ) as context:
            return schedule.evaluate_tick(context)

    days = ("2016-06-05", "2016-06-06")
    assert [tick(day).skip_message for day in days] == ["The states of the coming week are there."] * 2
    damage_states(store, forecaster)
    assert [tick(day).run_requests[0].partition_key for day in days] == ["2016"] * 2


def test_damaged_states_stop_only_the_allocators_that_read_them(store, instance):
    damage_states(store, "patchtst")
    told: list[str] = []
    requests = weekly_requests(instance, store, MONDAY, damage=Damage(told.append))
    assert asked(requests) == [(INFERENCE, f"ppo_lstm|{WEEK}"), (INFERENCE, f"sac_lstm|{WEEK}")]
    assert [line.split()[0] for line in told] == ["ppo_patchtst"]


def test_a_promotion_waits_for_nobody_who_is_damaged_and_its_own_damage_is_an_error(store, instance):
    decide(store, "ppo_lstm")
    step = before_promotion("ppo_patchtst", WEEK, instance, store, SUNDAY)
    assert (step.job, step.allocator) == (INFERENCE, "ppo_lstm"), "which it would wait for"
    damage_log(store, "ppo_lstm")
    damage_log(store, "sac_lstm")
    told: list[str] = []
    step = before_promotion("ppo_patchtst", WEEK, instance, store, SUNDAY, Damage(told.append))
    assert step is not None
    assert step.allocator == "ppo_patchtst", "its own decision, which is not made"
    assert [line.split()[0] for line in told] == ["ppo_lstm", "sac_lstm"]
    with pytest.raises(CorruptArtifactError):
        before_promotion("sac_lstm", WEEK, instance, store, SUNDAY)


def test_what_a_damaged_allocator_has_to_judge_waits_until_it_is_mended(store, instance, monkeypatch):
    monkeypatch.setattr(sensors, "BATCH", 2)  # what waits may not keep later batches from being seen

    def evaluate(name: str, year: int) -> None:
        store.assets.write("eval_reports", f"{name}|{year}", {"year": year})
        instance.report_runless_asset_event(dg.AssetMaterialization("eval_reports", partition=f"{name}|{year}"))

    path, whole = damage_log(store)
    told, cursor = list[str](), None
    evaluate("ppo_patchtst", 2014)
    instance.report_runless_asset_event(dg.AssetMaterialization("paper_evaluations", partition=f"ppo_patchtst|{WEEK}"))
    for year in range(2011, 2016):
        evaluate("sac_lstm", year)
        requests, cursor = promotion_requests(instance, cursor, store, damage=Damage(told.append))
        assert [request.partition_key for request in requests] == ["sac_lstm"]
    assert len(told) == 5
    assert {line.split()[0] for line in told} == {"ppo_patchtst"}
    path.write_bytes(whole)
    (request,), cursor = promotion_requests(instance, cursor, store)
    assert (request.partition_key, request.run_key.split("-")[0]) == ("ppo_patchtst", "paper_evaluations")
    assert promotion_requests(instance, cursor, store)[0] == []
    assert set(json.loads(cursor)) == set(sensors.WATCHED)


def test_the_weekly_report_waits_for_nobody_whose_log_is_damaged(store, instance):
    decide(store, "ppo_lstm")
    tags = {WEEKLY_TAG: WEEK, "dagster/partition": f"ppo_lstm|{WEEK}"}
    instance.add_run(dg.DagsterRun(INFERENCE, tags=tags, status=dg.DagsterRunStatus.SUCCESS))
    damage_log(store)
    assert weekly_report_requests(instance, None, store)[0] == [], "sac_lstm has not decided"
    damage_log(store, "sac_lstm")
    (request,), _ = weekly_report_requests(instance, None, store)
    assert request.partition_key == WEEK


def test_what_failed_in_a_run_shared_with_others_is_asked_for_once_more_alone(store, instance, monkeypatch):
    monkeypatch.setattr("dagster._time._mockable_get_current_datetime", lambda: MONDAY.to_pydatetime())
    (shared,) = weekly_requests(instance, store, MONDAY)
    instance.add_run(dg.DagsterRun(INFERENCE, tags=shared.tags, status=dg.DagsterRunStatus.FAILURE))
    requests = weekly_requests(instance, store, MONDAY)
    assert asked(requests) == [(INFERENCE, f"{name}|{WEEK}") for name in NAMES]
    assert len({request.run_key for request in (shared, *requests)}) == 4
    alone = {**requests[1].tags, "dagster/partition": f"ppo_patchtst|{WEEK}"}
    instance.add_run(dg.DagsterRun(INFERENCE, tags=alone, status=dg.DagsterRunStatus.FAILURE))
    instance.add_run(dg.DagsterRun(INFERENCE, tags=shared.tags, status=dg.DagsterRunStatus.FAILURE))  # again by hand
    assert asked(weekly_requests(instance, store, MONDAY)) == [
        (INFERENCE, f"ppo_lstm|{WEEK}"),
        (INFERENCE, f"sac_lstm|{WEEK}"),
    ]


def test_ticks_name_what_is_damaged(settings, store, instance, monkeypatch):
    """Through the definitions: with something to ask for in the log, with nothing to ask for in the reason too."""
    monkeypatch.setattr(calendar, "now", lambda: MONDAY + pd.Timedelta(hours=1))
    for name in NAMES:
        damage_log(store, name)
    definitions = build_definitions(settings)
    repository = definitions.get_repository_def()
    monday = definitions.resolve_schedule_def("monday_inference")
    sunday = definitions.resolve_schedule_def("sunday_labels")
    steps = definitions.resolve_sensor_def("weekly_steps")
    when = MONDAY.to_pydatetime().astimezone(ZoneInfo("Asia/Kolkata"))
    for schedule in (monday, sunday):
        with dg.build_schedule_context(
            instance, scheduled_execution_time=when, resources={"store": store}, repository_def=repository
        ) as context:
            message = schedule.evaluate_tick(context).skip_message
        assert all(f"{name} is left out: " in message for name in NAMES)
    with dg.build_sensor_context(instance, resources={"store": store}, repository_def=repository) as context:
        message = steps.evaluate_tick(context).skip_message
    assert all(f"{name} is left out: " in message for name in NAMES)
