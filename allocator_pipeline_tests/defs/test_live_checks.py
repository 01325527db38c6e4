"""Warnings of a live market as Dagster records them: about every stored year, and what vendors have nothing of."""

from __future__ import annotations

from dataclasses import replace

import dagster as dg
import pandas as pd
import pytest

from allocator_pipeline.defs.build import build_definitions
from allocator_pipeline.defs.home import dagster_home
from allocator_pipeline.defs.live_checks import DOUBTS
from allocator_pipeline.defs.resources import StoreResource
from allocator_pipeline.defs.runner import Task, run_task
from allocator_pipeline.market.quality import DISAGREES, JUMPS, LACKS, REWRITTEN, VOLUMES
from allocator_pipeline_tests.vendors.small import SYMBOLS, live_settings, made_up
from allocator_pipeline_tests.vendors.together import Vendors

TABLES = ("prices", "sentiment", "fundamentals", "macro", "price_doubts")
FEEDS = ("yahoo_bars", "alpaca_bars", "alpaca_news", "edgar_facts", "fred_series")


@pytest.fixture(scope="module")
def vendors():
    """In 2018 the second source doubts S04, and S05 has no volume; S03 is never written about, S02 stops filing."""
    truth = made_up(7, [])
    second = truth.bars.assign(close=truth.bars["adj_close"])[["date", "symbol", "close"]]
    second.loc[(second["symbol"] == "S04") & (second["date"] >= "2018-05-10"), "close"] *= 1.02
    silent = (truth.bars["symbol"] == "S05") & (truth.bars["date"] < "2019-01-01")
    truth = replace(
        truth,
        bars=truth.bars.assign(volume=truth.bars["volume"].where(~silent, 0.0)),
        news=truth.news[truth.news["symbol"] != "S03"].reset_index(drop=True),
        quarters=truth.quarters[(truth.quarters["symbol"] != "S02") | (truth.quarters["period_end"] < "2018-12-31")],
    )
    with Vendors(truth, second) as started:
        yield started


@pytest.fixture
def market(vendors, tmp_path, monkeypatch):
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    for name, value in vendors.env.items():
        monkeypatch.setenv(name, value)
    settings = live_settings(vendors, tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(dagster_home(settings)))
    return settings, build_definitions(settings)


def latest(asset: str, name: str) -> dg.AssetCheckEvaluation:
    key = dg.AssetCheckKey(dg.AssetKey(asset), name)
    with dg.DagsterInstance.get() as instance:
        found = instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key].evaluation
    assert found.severity is dg.AssetCheckSeverity.WARN
    return found


def counts(found: dg.AssetCheckEvaluation) -> list[list[str]]:
    lines = found.metadata["by_partition"].value.splitlines()
    return [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines[2:]]


def problems(asset: str, name: str) -> list[str]:
    return latest(asset, name).metadata["problems"].value.splitlines()


def test_every_kind_of_doubt_has_a_check():
    assert sorted(kind for kind, _ in DOUBTS.values()) == sorted((DISAGREES, JUMPS, LACKS, REWRITTEN, VOLUMES))


def test_a_warning_is_about_every_stored_year_and_so_never_taken_back_by_another(market):
    settings, definitions = market
    for feed in FEEDS:
        run_task(Task(feed, (feed,), "2018", "2019"), settings, definitions)
        assert latest(feed, "due_is_there").passed or feed == "edgar_facts"
    assert (
        problems("edgar_facts", "due_is_there")[1]
        == "- 2019: S02 lacks 4 of 4 due from 2019-01-01 to 2019-12-31 (facts)."
    )
    universe = pd.DataFrame({"symbol": SYMBOLS})
    StoreResource(root=str(settings.market_dir)).assets.write("universe", "2019", universe)
    for year in ("2018", "2019"):
        run_task(Task("tables", TABLES, year, year), settings, definitions)
        doubts = latest("price_doubts", "second_source_agrees")
        assert not doubts.passed
        assert "2018: S04 2018-05-10" in doubts.description
        assert doubts.metadata["found"].value == 1
        assert problems("price_doubts", "volumes_are_told")[0].startswith("- 2018: S05: the price moves, but no share")
        assert latest("price_doubts", "jumps_are_explained").passed
    assert counts(doubts) == [["2019", "0"], ["2018", "1"]], "those of the run come first"
    assert doubts.metadata["partitions"].value == "2019, 2018"

    assert problems("sentiment", "stocks_are_in_the_news") == ["- 2019: S03 has no article."]
    assert problems("fundamentals", "candidates_have_quarters") == ["- 2019: No quarter of S02 became known."]
    assert latest("macro", "series_have_values").passed
