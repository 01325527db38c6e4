"""Downloads as Dagster runs: what stays in sync when nothing was fetched, and how much a check lists."""

from __future__ import annotations

import json
from datetime import date

import dagster as dg
import pandas as pd
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest

from allocator_pipeline.defs.assets import live as live_assets
from allocator_pipeline.defs.build import build_definitions
from allocator_pipeline.defs.demo import downloads
from allocator_pipeline.defs.home import dagster_home
from allocator_pipeline.defs.runner import Task, run_task
from allocator_pipeline.errors import AllocatorError
from allocator_pipeline.market.live.needs import feeds_of
from allocator_pipeline_tests.vendors.server import Fault
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


def test_a_download_without_any_news_warns_and_a_young_year_has_no_quarter_due(vendors, tmp_path, monkeypatch):
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    for name, value in vendors.env.items():
        monkeypatch.setenv(name, value)
    settings = live_settings(vendors, tmp_path, end=date(2019, 3, 29))
    monkeypatch.setenv("DAGSTER_HOME", str(dagster_home(settings)))
    monkeypatch.setattr("allocator_pipeline.market.calendar.now", lambda: pd.Timestamp("2019-03-30 12:00", tz="UTC"))
    definitions = build_definitions(settings)
    nothing = json.dumps({"news": [], "next_page_token": None}).encode()
    vendors.servers["alpaca"].faults.append(Fault("change", change=lambda body: nothing, match="news"))
    for feed in ("alpaca_news", "edgar_facts"):
        run_task(Task(feed, (feed,), FIRST, LAST), settings, definitions)
    vendors.servers["alpaca"].faults.clear()
    with dg.DagsterInstance.get() as instance:
        news, filings = (
            {
                record.partition_key: record.asset_materialization.metadata
                for record in instance.fetch_materializations(dg.AssetKey(feed), limit=10).records
            }
            for feed in ("alpaca_news", "edgar_facts")
        )
    assert "None of 15 stocks has any article in 2018" in str(news[FIRST]["warnings"].value)
    assert "2019" not in str(news[FIRST]["warnings"].value), "that year is not over"
    assert "warnings" not in filings[LAST]
    assert "S00" in str(filings[FIRST]["coverage"].value)
    assert "S00" not in str(filings[LAST]["coverage"].value)


def test_the_second_source_is_held_against_the_first_in_every_run(vendors, tmp_path, monkeypatch):
    monkeypatch.setattr(live_assets, "RETRY", None)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    for name, value in vendors.env.items():
        monkeypatch.setenv(name, value)
    settings = live_settings(vendors, tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(dagster_home(settings)))

    def last_three(body: bytes) -> bytes:
        page = json.loads(body)
        return json.dumps({**page, "bars": {name: bars[-3:] for name, bars in page["bars"].items()}}).encode()

    assert settings.live is not None
    (bars, *others) = downloads(feeds_of(settings.live), FIRST, LAST)
    assert [task.assets for task in others] == [("alpaca_news",), ("edgar_facts",), ("fred_series",)]
    vendors.servers["alpaca"].faults[:] = [Fault("change", change=last_three, match="bars")]
    try:
        with pytest.raises(AllocatorError, match=r"15 of the symbols of alpaca_bars failed.* sessions that Yahoo has"):
            run_task(bars, settings, build_definitions(settings))
    finally:
        vendors.servers["alpaca"].faults.clear()
    assert list((settings.data_dir / "live" / "raw" / "alpaca").rglob("*.json")) == []
