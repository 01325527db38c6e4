"""The demo's plan, the runner, and what blocking checks stop."""

import re
import socket
from contextlib import nullcontext
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pandas as pd
import pytest

from allocator_pipeline.config import (
    ALLOCATORS,
    BASELINES,
    FORECASTERS,
    OPPONENTS,
    PRINCIPAL_BASELINES,
    GateConfig,
    Settings,
    SimulatedConfig,
)
from allocator_pipeline.defs import demo
from allocator_pipeline.defs.build import build_definitions, partitions_of
from allocator_pipeline.defs.dev import HOST, free_port
from allocator_pipeline.defs.home import dagster_home
from allocator_pipeline.defs.resources import MarketResource
from allocator_pipeline.defs.runner import Task, run_task, spans
from allocator_pipeline.defs.storage import AssetStore
from allocator_pipeline.errors import AllocatorError, ConfigurationError, CorruptArtifactError, StorageError
from allocator_pipeline.market.simulated import SimulatedMarket


@pytest.fixture(scope="module")
def window(tmp_path_factory):
    return demo.Window.of(partitions_of(Settings(data_dir=tmp_path_factory.mktemp("data"))))


def test_the_demo_covers_what_it_promises_on_the_sample(window):
    assert (window.market_years[0], window.market_years[-1]) == (1990, 2022)
    assert (window.state_years[0], window.state_years[-1]) == (1995, 2022)
    assert window.policy_years == list(range(2014, 2022))
    assert window.report_years == list(range(2015, 2023))
    assert window.decision_weeks[-1] == "2022-12-26"
    assert window.label_weeks[-1] == "2022-12-19"
    assert (len(window.decision_weeks), len(window.label_weeks)) == (9, 8)


def test_the_plan_names_every_partition_once(window):
    policies = [
        key
        for _, tasks in demo.stages(window)
        for task in tasks
        if task.assets == ("trained_policies",)
        for key in demo._keys(task)
    ]
    assert sorted(policies) == sorted(f"{name}|{year}" for name in ALLOCATORS for year in range(2014, 2022))


def test_one_allocator_is_trained_from_other_seeds_in_every_judged_year(window):
    tasks = [task for _, tasks in demo.stages(window) for task in tasks if task.assets == ("seed_policies",)]
    assert [key for task in tasks for key in demo._keys(task)] == [f"dpg_lstm|{year}" for year in window.policy_years]


def test_the_demo_makes_the_baselines_that_the_panel_and_the_reports_read(window):
    keys = [
        key
        for _, tasks in demo.stages(window)
        for task in tasks
        if task.assets == ("baseline_weights",)
        for key in demo._keys(task)
    ]
    panel = {f"{name}|{year}" for name in PRINCIPAL_BASELINES for year in window.state_years}
    reports = {f"{name}|{year}" for name in BASELINES for year in window.report_years}
    assert len(keys) == len(set(keys))
    assert set(keys) == panel | reports


def test_the_pages_are_made_last_of_the_summaries_and_they_of_every_allocator(window):
    stages = [[(task.assets, task.first) for task in tasks] for tasks in demo.closing_tasks(window)]
    assert {key for assets, key in stages[0] if assets == ("allocator_summary",)} == set(ALLOCATORS)
    assert stages[1:] == [
        [(("evaluation_summary",), None)],
        [(("allocation_report",), None), (("weekly_report", "experience_export"), "2022-12-26")],
    ]


def test_weeks_are_decided_before_they_are_labelled_and_fine_tuned_once(window):
    tasks = list(demo.weekly_tasks(window))
    assert sum(task.assets == ("finetuned_policies",) for task in tasks) == 1
    decided = [task.first for task in tasks if "decisions" in task.assets]
    assert decided == sorted(decided)


def test_the_panel_judges_every_forecaster_and_the_users_table_anew(window):
    def panels(of):
        return [task for _, tasks in demo.stages(of) for task in tasks if task.assets == ("forecast_panel",)]

    judged = {key for task in panels(window) for key in demo._keys(task)}
    names = (*FORECASTERS, *OPPONENTS)
    assert judged == {f"{name}|{year}" for name in names for year in range(1995, 2023)}
    external = [task for task in panels(replace(window, external=("toto",))) if task.again]
    assert [task.first for task in external] == ["toto|1995"]


def test_what_is_stored_is_not_run_again(tmp_path):
    store = AssetStore(tmp_path)
    task = Task("t", ("prices",), "2014", "2015")
    assert demo.todo([task], store) == [task]
    for year in ("2014", "2015"):
        store.write("prices", year, {"year": year})
    assert demo.todo([task], store) == []
    again = replace(task, again=True)
    assert demo.todo([again], store) == [again]


def test_reports_go_one_by_one_in_the_order_of_the_allocators(window):
    """Each is a try in the one ledger."""
    stages = [tasks for _, tasks in demo.stages(window) if any("eval_reports" in task.assets for task in tasks)]
    assert [[demo._keys(task) for task in tasks] for tasks in stages] == [
        [[f"{name}|{year}" for year in window.report_years]] for name in ALLOCATORS
    ]


def test_promotions_go_one_by_one_in_the_order_of_the_allocators(monkeypatch):
    """They share the ledger of tries, whose order must not depend on which process is quicker."""
    requests = [dg.RunRequest(partition_key=name) for name in ("dpg_lstm", "ppo_lstm", "sac_patchtst")]
    monkeypatch.setattr("allocator_pipeline.defs.sensors.promotion_requests", lambda *_: (requests, "{}"))
    monkeypatch.setattr(dg.DagsterInstance, "get", nullcontext)
    batches = []
    workers = SimpleNamespace(run=lambda tasks: batches.append(tasks) or [(task, 0.0) for task in tasks])
    assert demo._promote(workers, None, SimpleNamespace(say=lambda text: None)) == 3
    assert [[task.first for task in batch] for batch in batches] == [["ppo_lstm"], ["sac_patchtst"], ["dpg_lstm"]]
    assert {task.assets for batch in batches for task in batch} == {("promoted_policies", "promotion_history")}


def test_a_market_too_short_to_judge_says_what_to_do(tmp_path):
    short = Settings(
        market="simulated", data_dir=tmp_path, simulated=SimulatedConfig(start=date(2015, 1, 1), end=date(2020, 12, 31))
    )
    with pytest.raises(ConfigurationError, match="ALLOCATOR_MIN_TRAINING_YEARS"):
        demo.Window.of(partitions_of(short))


def test_spans_cut_in_order():
    assert spans("abcde", 2) == [("a", "c"), ("d", "e")]
    assert spans("a", 2) == [("a", "a")]
    assert spans("", 2) == []


def test_weights_are_shown_with_cash_last():
    text = demo.weights_table({"ppo_lstm": {"CASH": 0.02, "AAPL": 0.98}, "sac_lstm": {"CASH": 0.5, "AAPL": 0.5}})
    assert text.splitlines()[1].split() == ["AAPL", "98.00%", "50.00%"]
    assert text.splitlines()[-1].split()[0] == "CASH"


def test_a_taken_port_is_passed_over():
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port(port) > port


def test_the_market_resource_carries_the_settings_through_dagster():
    settings = Settings(
        market="simulated",
        universe="fixed",
        min_training_years=4,
        simulated=SimulatedConfig(end=date(2020, 1, 31)),
        external_forecasts=Path("t.parquet"),
        state_forecasts=(("lstm", "toto"),),
        gate=GateConfig(proof_to_promote=True),
    )
    assert MarketResource.of(settings).settings == settings


@pytest.fixture
def broken_market(tmp_path, monkeypatch):
    """A files market one of whose sessions lacks a stock."""
    market = SimulatedMarket(SimulatedConfig(start=date(2013, 1, 1), end=date(2014, 12, 31), n_symbols=16))
    prices = pd.concat([market.prices(year) for year in (2013, 2014)], ignore_index=True)
    gap = (prices["symbol"] == "SIM03") & (prices["date"] == pd.Timestamp("2014-06-11"))
    (tmp_path / "files").mkdir()
    prices[~gap].to_parquet(tmp_path / "files" / "prices.parquet")
    settings = Settings(market="files", files_dir=tmp_path / "files", data_dir=tmp_path / "data", min_training_years=3)
    dagster_home(settings)
    yield settings
    monkeypatch.delenv("DAGSTER_HOME", raising=False)


def test_prices_alone_are_enough_for_signals(tmp_path, monkeypatch):
    market = SimulatedMarket(SimulatedConfig(start=date(2013, 1, 1), end=date(2018, 2, 28), n_symbols=16))
    (tmp_path / "files").mkdir()
    bars = pd.concat([market.prices(year) for year in range(2013, 2019)], ignore_index=True)
    bars.to_parquet(tmp_path / "files" / "prices.parquet")
    settings = Settings(market="files", files_dir=tmp_path / "files", data_dir=tmp_path / "data", min_training_years=3)
    dagster_home(settings)
    definitions = build_definitions(settings)
    run_task(Task("raw", ("prices", "sentiment", "fundamentals"), "2013", "2018"), settings, definitions)
    features = ("universe", "signals", "outcomes", "price_windows")
    run_task(Task("features", features, "2018", "2018"), settings, definitions)
    signals = AssetStore(settings.market_dir / "assets").read("signals", "2018")
    assert signals["news_sentiment"].isna().all()
    assert (signals["fundamental_age"] == 4.0).all()
    monkeypatch.delenv("DAGSTER_HOME", raising=False)


def test_a_data_folder_that_cannot_be_written_to_is_said_to_be_so(tmp_path, monkeypatch, capsys):
    (tmp_path / "taken").write_text("a file")
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    with pytest.raises(StorageError, match=r"Nothing can be written to .*taken.*ALLOCATOR_DATA_DIR"):
        dagster_home(Settings(data_dir=tmp_path / "taken"))
    monkeypatch.setenv("ALLOCATOR_DATA_DIR", str(tmp_path / "taken"))
    assert demo.main() == 1
    assert "What to do: set ALLOCATOR_DATA_DIR" in capsys.readouterr().err


@pytest.mark.parametrize("typed", [True, False])
def test_a_failed_run_tells_the_error_that_says_what_to_do_or_else_the_first_cause(tmp_path, monkeypatch, typed):
    @dg.asset
    def log():
        try:
            raise ValueError("it fails its seal")
        except ValueError as error:
            if typed:
                raise CorruptArtifactError(
                    "Verdict 1 is damaged.", todo="restore it from a backup.", source="000001.json"
                ) from error
            raise RuntimeError("no log") from error

    settings = Settings(data_dir=tmp_path)
    dagster_home(settings)
    with pytest.raises(AllocatorError) as caught:
        run_task(Task("read", ("log",)), settings, dg.Definitions([log]))
    told = r"is damaged\. \[source=000001\.json\] What to do: restore it" if typed else "ValueError: it fails its seal"
    assert re.search(told, str(caught.value))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)


def test_a_missing_session_is_caught_by_a_blocking_check(broken_market):
    definitions = build_definitions(broken_market)
    run_task(Task("whole year", ("prices",), "2013", "2013"), broken_market, definitions)
    with pytest.raises(AllocatorError, match="sessions_are_complete"):
        run_task(Task("year with a gap", ("prices",), "2014", "2014"), broken_market, definitions)
    assert demo.failed_checks() == {"prices"}  # so that the demo makes them again
