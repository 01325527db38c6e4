"""Schedules, sensors and what follows what, on a real instance."""

import json
from datetime import datetime
from zoneinfo import ZoneInfo

import dagster as dg
import pandas as pd
import pytest

from allocator_pipeline.config import ALLOCATORS, BASELINES, FORECASTERS, Settings
from allocator_pipeline.defs import promotion
from allocator_pipeline.defs.build import build_definitions
from allocator_pipeline.defs.open_steps import JUDGED_TAG
from allocator_pipeline.defs.resources import StoreResource
from allocator_pipeline.defs.schedules import REFRESH_TAG
from allocator_pipeline.defs.sensors import following, panel_requests, promotion_requests
from allocator_pipeline.market import calendar


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    return build_definitions(Settings(data_dir=tmp_path_factory.mktemp("sample")))


@pytest.fixture(scope="module")
def growing(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated")
    return build_definitions(Settings(market="simulated", data_dir=folder, min_training_years=3)), folder


@pytest.fixture
def instance(tmp_path):
    with dg.instance_for_test(temp_dir=str(tmp_path)) as made:
        yield made


def evaluate(definitions, name, instance, when):
    schedule = definitions.resolve_schedule_def(name)
    resources = {"store": definitions.resources["store"]} if "store" in schedule.required_resource_keys else {}
    with dg.build_schedule_context(
        instance, scheduled_execution_time=when, resources=resources, repository_def=definitions.get_repository_def()
    ) as context:
        return schedule.evaluate_tick(context)


@pytest.mark.parametrize("name", ["saturday_market", "sunday_labels", "monday_inference", "monthly_training"])
def test_a_static_markets_schedules_skip_and_say_why(sample, instance, name):
    tick = evaluate(sample, name, instance, datetime(2026, 1, 5, tzinfo=ZoneInfo("UTC")))
    assert not tick.run_requests
    assert "static" in tick.skip_message


@pytest.mark.parametrize(
    ("day", "first", "years"),
    [
        ((2026, 1, 3), "2025", "2025,2026"),  # the first session of 2026 has closed
        ((2027, 1, 2), "2026", "2026,2027"),  # 2027 has no session yet, but a week to decide
        ((2026, 6, 6), "2026", "2026"),
    ],
)
def test_saturday_refreshes_this_year_and_in_january_last_years_end_before_it(growing, instance, day, first, years):
    definitions, _ = growing
    when = datetime(*day, 6, tzinfo=ZoneInfo("America/New_York"))
    (request,) = evaluate(definitions, "saturday_market", instance, when).run_requests
    assert (request.partition_key, request.tags[REFRESH_TAG]) == (first, years)


def test_monday_skips_while_there_is_no_champion(growing, instance):
    definitions, _ = growing
    tick = evaluate(
        definitions, "monday_inference", instance, datetime(2026, 6, 8, 18, tzinfo=ZoneInfo("Asia/Kolkata"))
    )
    assert "champion" in tick.skip_message


def test_schedules_fire_at_the_hours_of_the_plan(sample):
    monday = sample.resolve_schedule_def("monday_inference")
    assert (monday.cron_schedule, monday.execution_timezone) == ("0 18 * * 1", "Asia/Kolkata")
    assert sample.resolve_schedule_def("sunday_labels").cron_schedule.endswith("* * 0")
    assert sample.resolve_schedule_def("monthly_training").default_status == dg.DefaultScheduleStatus.STOPPED


def test_a_year_that_begins_without_a_session_has_features_and_no_prices(monkeypatch):
    monkeypatch.setattr(calendar, "now", lambda: pd.Timestamp("2027-01-02 12:00", tz="UTC"))
    tags = {REFRESH_TAG: "2026,2027", "dagster/partition": "2026"}
    found = [(request.job_name, request.partition_key) for request in following("market_job", tags, "r1")]
    assert found == [("features_job", "2026"), ("features_job", "2027")]


def test_a_refresh_goes_on_stage_by_stage(monkeypatch):
    tags = {REFRESH_TAG: "2025,2026"}
    monkeypatch.setattr(calendar, "now", lambda: pd.Timestamp("2026-01-03 12:00", tz="UTC"))
    (second,) = following("market_job", {**tags, "dagster/partition": "2025"}, "r1")
    assert (second.job_name, second.partition_key) == ("market_job", "2026")
    features = list(following("market_job", {**second.tags, "dagster/partition": "2026"}, "r2"))
    assert [(r.job_name, r.partition_key) for r in features] == [("features_job", "2025"), ("features_job", "2026")]
    later = list(following("features_job", features[1].tags, "r3"))
    assert [(r.job_name, r.partition_key) for r in later] == [
        *(("forecasts_job", f"{name}|2026") for name in FORECASTERS),
        ("baselines_job", None),
        ("opponents_job", "2026"),
    ]
    assert later[3].partition_key_range == dg.PartitionKeyRange(f"{BASELINES[0]}|2026", f"{BASELINES[-1]}|2026")
    assert list(following("market_job", {}, "by hand")) == []


def test_a_report_judged_is_summed_up_and_compared_and_a_stream_is_not():
    tags = {"dagster/partition": "ppo_lstm", JUDGED_TAG: "eval_reports ppo_lstm|2021"}
    (summary,) = following("promotion_job", tags, "r1")
    assert (summary.job_name, summary.partition_key) == ("summary_job", "ppo_lstm")
    (comparison,) = following("summary_job", {"dagster/partition": "ppo_lstm"}, "r2")
    assert (comparison.job_name, comparison.partition_key) == ("comparison_job", None)
    assert list(following("comparison_job", {}, "r3")) == []
    assert list(following("promotion_job", {**tags, JUDGED_TAG: "paper_evaluations ppo_lstm|2022-01-03"}, "r4")) == []


def test_a_refresh_ends_with_one_panel_of_its_year_and_the_summary(instance):
    tags = {REFRESH_TAG: "2026", "dagster/partition": "2026"}
    stages = [
        dg.DagsterRun(request.job_name, tags=run_tags(request))
        for request in following("features_job", tags, "features")
    ]
    names = (*FORECASTERS, "lightgbm", "toto")
    asked = []
    for run in stages:
        assert asked == []  # not before all of them are there
        instance.add_run(run.with_status(dg.DagsterRunStatus.SUCCESS))
        asked = list(panel_requests(instance, run.tags, names))
    (request,) = asked
    assert (request.job_name, request.tags[REFRESH_TAG]) == ("panel_job", "2026")
    assert request.partition_key_range == dg.PartitionKeyRange("lstm|2026", "toto|2026")
    (again,) = panel_requests(instance, stages[0].tags, names)
    assert again.run_key == request.run_key, "of two that end together, one asks"
    (summary,) = following("panel_job", request.tags, "panel")
    assert (summary.job_name, summary.partition_key) == ("panel_summary_job", None)
    assert list(following("panel_job", {}, "by hand")) == []
    assert list(panel_requests(instance, {}, names)) == []


def test_a_stage_that_failed_leaves_the_panel_waiting_for_its_repetition(instance):
    tags = {REFRESH_TAG: "2026", "dagster/partition": "2026"}
    runs = [
        dg.DagsterRun(request.job_name, tags=run_tags(request))
        for request in following("features_job", tags, "features")
    ]
    for run in runs[1:]:
        instance.add_run(run.with_status(dg.DagsterRunStatus.SUCCESS))
    instance.add_run(runs[0].with_status(dg.DagsterRunStatus.FAILURE))
    assert list(panel_requests(instance, runs[1].tags, FORECASTERS)) == []
    repeated = dg.DagsterRun(runs[0].job_name, tags=runs[0].tags, status=dg.DagsterRunStatus.SUCCESS)
    instance.add_run(repeated)
    assert len(list(panel_requests(instance, repeated.tags, FORECASTERS))) == 1


@pytest.mark.parametrize("name", ["promotion_job", "market_job", "labeling_job", "finetuning_job", "inference_job"])
def test_a_run_of_the_week_that_dies_is_tried_again(sample, name):
    assert sample.resolve_job_def(name).tags["dagster/max_retries"] == "3"


def run_tags(request):
    return {**request.tags, **({"dagster/partition": request.partition_key} if request.partition_key else {})}


class FakeReports:
    """Materialisations of reports whose judgement the test decides."""

    def __init__(self, monkeypatch):
        self.waiting: set[str] = set()
        monkeypatch.setattr(
            "allocator_pipeline.defs.sensors.pending_reports",
            lambda name, store: sorted(key for key in self.waiting if key.startswith(f"{name}|")),
        )

    def materialize(self, instance, partition, asset="eval_reports"):
        self.waiting.add(partition)
        instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=partition))


def test_the_promotion_sensor_asks_once_for_none_one_and_many(instance, monkeypatch, tmp_path):
    reports, store = FakeReports(monkeypatch), StoreResource(root=str(tmp_path))
    requests, cursor = promotion_requests(instance, None, store)
    assert requests == []

    reports.materialize(instance, "ppo_lstm|2015")
    requests, cursor = promotion_requests(instance, cursor, store)
    assert [r.partition_key for r in requests] == ["ppo_lstm"]
    again, _ = promotion_requests(instance, cursor, store)
    assert again == []

    for name in ALLOCATORS:
        reports.materialize(instance, f"{name}|2016")
    reports.materialize(instance, "sac_lstm|2022-12-19", asset="paper_evaluations")
    many, cursor = promotion_requests(instance, cursor, store)
    assert sorted(r.partition_key for r in many) == sorted(ALLOCATORS)
    assert json.loads(cursor)["paper_evaluations"] > 0


def test_a_paper_whose_promotion_must_wait_is_looked_at_again_and_holds_up_nobody_else(instance, monkeypatch, tmp_path):
    reports, store = FakeReports(monkeypatch), StoreResource(root=str(tmp_path))
    for name in ("sac_lstm", "ppo_lstm"):
        reports.materialize(instance, f"{name}|2022-12-12", asset="paper_evaluations")
        reports.materialize(instance, f"{name}|2022-12-19", asset="paper_evaluations")
    waits = {"sac_lstm"}
    first, cursor = promotion_requests(instance, None, store, lambda name, week: name in waits)
    assert [r.run_key.split("-")[0] for r in first] == ["paper_evaluations"]
    assert [r.partition_key for r in first] == ["ppo_lstm"]
    reports.materialize(instance, "sac_lstm|2022", asset="eval_reports")
    second, cursor = promotion_requests(instance, cursor, store, lambda name, week: name in waits)
    assert [r.tags[JUDGED_TAG] for r in second if r.partition_key == "sac_lstm"] == ["eval_reports sac_lstm|2022"]
    third, cursor = promotion_requests(instance, cursor, store)
    assert [r.tags[JUDGED_TAG] for r in third if r.partition_key == "sac_lstm"] == [
        "paper_evaluations sac_lstm|2022-12-19"
    ]
    assert {r.run_key for r in third if r.partition_key == "ppo_lstm"} <= {first[0].run_key}, "which Dagster skips"
    assert promotion_requests(instance, cursor, store)[0] == []


def test_a_replayed_tick_has_the_same_run_keys_and_a_lost_cursor_asks_for_nothing_judged(
    instance, monkeypatch, tmp_path
):
    reports, store = FakeReports(monkeypatch), StoreResource(root=str(tmp_path))
    reports.materialize(instance, "ppo_lstm|2015")
    first, _ = promotion_requests(instance, None, store)
    replayed, _ = promotion_requests(instance, None, store)
    assert [r.run_key for r in first] == [r.run_key for r in replayed]
    reports.waiting.clear()  # the promotion ran
    lost, _ = promotion_requests(instance, None, store)
    assert lost == []


def test_nothing_waits_where_nothing_was_reported(tmp_path):
    assert promotion.pending_reports("ppo_lstm", StoreResource(root=str(tmp_path))) == []
