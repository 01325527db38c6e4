"""The shipped dagster.yaml is a valid instance configuration and says what the documents promise."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from dagster import DagsterInstance

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DagsterInstance]:
    home = tmp_path_factory.mktemp("home")
    shutil.copy(ROOT / "allocator_pipeline" / "defs" / "dagster.yaml", home)
    with DagsterInstance.from_config(str(home)) as loaded:
        yield loaded


def test_nothing_is_sent_and_no_window_covers_the_page(instance):
    assert not instance.telemetry_enabled
    assert not instance.nux_enabled


def test_runs_queue_and_pools_are_limited(instance):
    config = instance.get_concurrency_config()
    assert config.run_queue_config.max_concurrent_runs == 2
    assert config.pool_config.default_pool_limit == 1
    assert config.pool_config.pool_granularity.value == "run"


def test_a_hanging_run_ends_and_its_slots_are_freed(instance):
    assert instance.run_monitoring_enabled
    assert instance.run_monitoring_max_runtime_seconds == 2 * 3600
    assert instance.run_monitoring_settings["free_slots_after_run_end_seconds"] == 60


def test_one_code_location_name_everywhere():
    workspace = yaml.safe_load((ROOT / "workspace.yaml").read_text())
    module = workspace["load_from"][0]["python_module"]
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    names = {
        module["location_name"],
        tool["dg"]["project"]["code_location_name"],
        tool["dagster"]["code_location_name"],
    }
    assert names == {"allocator_pipeline"}
    modules = {
        module["module_name"],
        tool["dg"]["project"]["code_location_target_module"],
        tool["dagster"]["module_name"],
    }
    assert modules == {"allocator_pipeline.definitions"}
