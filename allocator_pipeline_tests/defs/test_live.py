"""The graph of a live market: downloads by vendor upstream of its tables, and other markets as they were."""

from __future__ import annotations

from datetime import date

import dagster as dg
import pytest

from allocator_pipeline.config import LiveConfig, Settings
from allocator_pipeline.defs import demo
from allocator_pipeline.defs.build import build_definitions, partitions_of
from allocator_pipeline.defs.demo import Window, stages
from allocator_pipeline.defs.resources import MarketResource
from allocator_pipeline.errors import ConfigurationError
from allocator_pipeline.market.live.needs import feeds_of
from allocator_pipeline_tests.vendors.together import SECRETS, write_candidates

CIKS = {f"S{number:02d}": f"{number + 1:010d}" for number in range(16)}


def live(folder, **changes) -> Settings:
    config = LiveConfig(write_candidates(folder / "candidates.csv", CIKS), **changes)
    return Settings(market="live", data_dir=folder, live=config, min_training_years=3)


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    definitions = build_definitions(live(tmp_path_factory.mktemp("live")))
    return {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}, definitions


def upstream(spec) -> set[str]:
    return {dep.asset_key.to_user_string() for dep in spec.deps}


def test_downloads_stand_upstream_of_what_is_made_of_them(graph):
    specs, _ = graph
    assert upstream(specs["prices"]) == {"yahoo_bars", "alpaca_bars"}
    assert upstream(specs["alpaca_bars"]) == {"yahoo_bars"}
    assert upstream(specs["sentiment"]) == {"alpaca_news"}
    assert upstream(specs["fundamentals"]) == {"edgar_facts"}
    assert upstream(specs["restatements"]) == {"edgar_facts"}
    assert upstream(specs["macro"]) == {"fred_series"}
    assert upstream(specs["daily_sentiment"]) == {"sentiment"}
    assert upstream(specs["price_doubts"]) == {"prices"}
    downloads = {name for name, spec in specs.items() if spec.group_name == "vendors"}
    assert downloads == {"yahoo_bars", "alpaca_bars", "alpaca_news", "edgar_facts", "fred_series"}
    for name, spec in specs.items():
        assert len(spec.description) > 40, name
        assert spec.owners, name
        assert spec.kinds, name


def test_each_vendor_has_a_pool_and_refusals_are_not_tried_again(graph):
    _, definitions = graph
    pools = {
        asset.key.path[-1]: asset.op.pool for asset in definitions.assets if isinstance(asset, dg.AssetsDefinition)
    }
    assert {pools[name] for name in ("yahoo_bars", "alpaca_bars", "edgar_facts", "fred_series")} == {
        "yahoo",
        "alpaca",
        "edgar",
        "fred",
    }
    assert pools["alpaca_news"] == pools["alpaca_bars"]
    assert pools["prices"] is None


def test_the_saturday_refresh_downloads_first(graph):
    _, definitions = graph
    job = definitions.resolve_job_def("market_job")
    names = {node.name for node in job.graph.nodes}
    wanted = {"prices", "sentiment", "fundamentals", "macro", "daily_sentiment", "price_doubts", "restatements"}
    assert wanted | set(feeds_of(LiveConfig(None))) <= names


def test_checks_warn_where_a_vendor_may_be_wrong(graph):
    _, definitions = graph
    names = {key.name for check in definitions.asset_checks for key in check.check_keys}
    assert {"jumps_are_explained", "history_is_as_first_seen", "volumes_are_told", "second_source_agrees"} <= names


def test_settings_choose_the_vendors(tmp_path):
    confirmed = tmp_path / "confirmed.csv"
    confirmed.write_text("symbol,date\nS00,2015-01-05\n")
    settings = live(tmp_path, fundamentals="alphavantage", second_source=False, macro="off", confirmed=confirmed)
    definitions = build_definitions(settings)
    specs = {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}
    assert upstream(specs["prices"]) == {"yahoo_bars"}
    assert upstream(specs["fundamentals"]) == {"alphavantage_statements"}
    assert "macro" not in specs
    names = {key.name for check in definitions.asset_checks for key in check.check_keys}
    assert "second_source_agrees" not in names
    assert "volumes_are_told" in names
    assert MarketResource.of(settings).settings == settings


def test_other_markets_have_no_downloads(tmp_path):
    definitions = build_definitions(Settings(data_dir=tmp_path))
    groups = {spec.group_name for spec in definitions.resolve_all_asset_specs()}
    assert "vendors" not in groups
    with pytest.raises(ConfigurationError, match="list of candidates"):
        _ = MarketResource.of(Settings(data_dir=tmp_path)).live_market


def test_the_demo_downloads_before_it_reads(tmp_path):
    settings = live(tmp_path, start=date(2010, 1, 1), end=date(2022, 12, 31))
    window = Window.of(partitions_of(settings), feeds_of(settings.live))
    titles = [title for title, _ in stages(window)]
    assert titles[:2] == ["downloads", "market data"]


def test_the_demo_misses_a_key_before_it_asks_anybody(tmp_path, monkeypatch, capsys):
    class Idle:
        """Fails if a run is begun."""

        def __init__(self, *_: object) -> None: ...

        def run(self, tasks: object) -> None:
            raise AssertionError(tasks)

        def close(self) -> None: ...

    monkeypatch.setattr(demo, "Workers", Idle)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(
        demo.Settings, "from_env", lambda: live(tmp_path, start=date(2010, 1, 1), end=date(2022, 12, 31))
    )
    for name in SECRETS:
        monkeypatch.delenv(name, raising=False)
    assert demo.main() == 1
    assert "APCA_API_KEY_ID" in capsys.readouterr().err


def test_screens_are_told_in_reports_in_place_of_their_absence(tmp_path):
    screen = tmp_path / "halal.csv"
    screen.write_text("symbol,from,to\nAAPL,1990-01-01,\n")
    plain, screened = Settings(data_dir=tmp_path), Settings(data_dir=tmp_path, screens=(screen,))
    assert "No halal screen is applied." in MarketResource.of(plain).notes
    notes = MarketResource.of(screened).notes
    assert "No halal screen is applied." not in notes
    assert "Stocks are chosen among those that pass: halal." in notes
    assert MarketResource.of(screened).settings == screened
