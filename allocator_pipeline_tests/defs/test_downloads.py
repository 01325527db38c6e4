"""Downloads as Dagster runs: what stays in sync when nothing was fetched, and how much a check lists."""

from __future__ import annotations

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest

from allocator_pipeline.defs.build import build_definitions
from allocator_pipeline.defs.home import dagster_home
from allocator_pipeline.defs.runner import Task, run_task
from allocator_pipeline_tests.vendors.small import YEARS, live_settings, made_up
from allocator_pipeline_tests.vendors.together import Vendors

FIRST, LAST = str(YEARS[0]), str(YEARS[-1])


@pytest.fixture(scope="module")
def vendors():
    with Vendors(made_up(3, [])) as started:
        yield started


def test_a_download_that_fetches_nothing_leaves_prices_in_sync(vendors, tmp_path, monkeypatch):
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    for name, value in vendors.env.items():
        monkeypatch.setenv(name, value)
    settings = live_settings(vendors, tmp_path, second_source=False)
    monkeypatch.setenv("DAGSTER_HOME", str(dagster_home(settings)))
    definitions = build_definitions(settings)

    def run(asset: str, first: str = FIRST) -> None:
        run_task(Task(asset, (asset,), first, LAST), settings, definitions)

    def status(year: str) -> StaleStatus:
        graph = definitions.resolve_asset_graph()
        with dg.DagsterInstance.get() as instance:
            resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
            return resolver.get_status(dg.AssetKey("prices"), year)

    run("yahoo_bars")
    run("prices")
    assert status(LAST) is StaleStatus.FRESH
    asked = vendors.asked
    run("yahoo_bars")
    run("yahoo_bars", LAST)
    assert vendors.asked == asked
    assert status(FIRST) is StaleStatus.FRESH
    assert status(LAST) is StaleStatus.FRESH

    next((settings.data_dir / "live" / "raw").rglob("S03/*.json")).unlink()
    run("yahoo_bars", LAST)
    assert vendors.asked > asked
    assert status(LAST) is StaleStatus.STALE
