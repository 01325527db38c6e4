"""The forecast panel and forecasts from elsewhere through Dagster, on a small generated market."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from datetime import date
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from allocator_pipeline.config import N_STOCKS, QUANTILES, Settings, SimulatedConfig
from allocator_pipeline.defs.build import build_definitions, partitions_of
from allocator_pipeline.defs.forecasts import FORECAST_PAGE
from allocator_pipeline.defs.home import dagster_home
from allocator_pipeline.defs.partitions import range_tags
from allocator_pipeline.defs.resources import MarketResource
from allocator_pipeline.defs.runner import Task, run_task
from allocator_pipeline.defs.storage import AssetStore
from allocator_pipeline.errors import AllocatorError, ConfigurationError, MarketDataError
from allocator_pipeline.market import calendar
from allocator_pipeline.market.simulated import SimulatedMarket

YEAR = "2015"
MARKET = SimulatedConfig(seed=3, start=date(2009, 1, 1), end=date(2015, 12, 31), n_symbols=17, weekly_ic=0.0)


def write_table(path: Path, gap: str | None = None) -> Path:
    """Write forecasts that are a trivial model's: a small part of last week's return, reversed."""
    market = SimulatedMarket(MARKET)
    closes = pd.concat([market.prices(year) for year in (2014, 2015)]).pivot(
        index="date", columns="symbol", values="adj_close"
    )
    weeks = calendar.weeks("2014-12-29", "2015-12-28")
    said = -0.05 * np.log(closes).diff(5)
    table = pd.DataFrame(
        [
            {"forecaster": "toto", "symbol": symbol, "week": row.week, "known_at": row.decision_at - pd.Timedelta("1s")}
            | {"forecast": said.loc[row.decision_session, symbol]}
            for row in weeks.itertuples()
            for symbol in closes.columns
        ]
    )
    table[table["week"] != pd.Timestamp(gap)].to_parquet(path)
    return path


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Materialise the panel of lstm, lightgbm and a table, with the table's forecasts in the states of lstm."""
    folder = tmp_path_factory.mktemp("panel")
    settings = Settings(
        market="simulated",
        data_dir=folder / "data",
        min_training_years=3,
        simulated=MARKET,
        external_forecasts=write_table(folder / "table.parquet"),
        state_forecasts=(("lstm", "toto"),),
    )
    definitions = build_definitions(settings)

    def run(*assets, span=(YEAR, YEAR)):
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("DAGSTER_HOME", raising=False)
            dagster_home(settings)
            run_task(Task("test", assets, *span), settings, definitions)

    run("prices", "sentiment", "fundamentals", span=("2009", YEAR))
    run("universe", "signals", "outcomes", "price_windows", "external_forecasts")
    run("forecasts", "state_tensors", span=(f"lstm|{YEAR}",) * 2)
    run("baseline_weights", span=(f"equal_weight|{YEAR}", f"hrp|{YEAR}"))
    run("opponent_forecasts")
    for name in ("lstm", "lightgbm", "toto"):
        run("forecast_panel", span=(f"{name}|{YEAR}",) * 2)
    run("forecast_summary", span=(None, None))
    return settings, AssetStore(settings.market_dir / "assets"), run


def test_forecasters_of_the_table_are_partitions(ran):
    settings, _, _ = ran
    keys = partitions_of(settings).panel_years.get_partition_keys()
    assert {key.split("|")[0] for key in keys} == {"lstm", "patchtst", "ridge", "lightgbm", "toto"}


def test_states_hold_the_tables_forecasts_in_place_of_ours(ran):
    _, store, _ = ran
    states = store.read("state_tensors", "lstm|2015")
    external = store.read("external_forecasts", "2015")
    assert states.forecasts.tolist() == external["forecast"].to_numpy().reshape(-1, N_STOCKS).tolist()
    ours = store.read("forecasts", "lstm|2015")["forecast"].to_numpy().reshape(-1, N_STOCKS)
    assert not np.array_equal(states.forecasts, ours)


def test_reports_say_whose_forecasts_the_states_hold(ran):
    settings, _, _ = ran
    told = "The states of lstm hold the forecasts of toto (table.parquet), which were made elsewhere."
    assert MarketResource.of(settings).context["notes"][-1] == told
    assert told not in MarketResource.of(replace(settings, state_forecasts=())).context["notes"]


def test_the_panel_judges_ours_and_theirs_over_the_same_weeks(ran):
    _, store, _ = ran
    lstm, toto = (store.read("forecast_panel", f"{name}|2015") for name in ("lstm", "toto"))
    assert lstm["week"].tolist() == toto["week"].tolist()
    assert lstm["squared_error_of_zero"].tolist() == pytest.approx(toto["squared_error_of_zero"].tolist())
    assert (lstm["with_quantiles"] == N_STOCKS).all()
    assert (toto["with_quantiles"] == 0).all()
    assert (toto["missing"] == 0).all()


def test_the_summary_speaks_and_the_page_is_there(ran):
    settings, store, _ = ran
    summary = store.read("forecast_summary", "all")
    assert {"lstm", "toto"} <= set(summary["forecasters"])
    installed = importlib.util.find_spec("lightgbm") is not None
    assert ("lightgbm" in summary["forecasters"]) == installed
    assert ("lightgbm" in summary["absent"]) != installed
    assert "comparisons at 95 %" in summary["words"][-1]["says"][0]
    assert "Forecast panel" in (settings.market_dir / FORECAST_PAGE).read_text()


def test_the_same_again_is_the_same_bytes(ran):
    _, store, run = ran
    keys = [("forecast_panel", "lstm|2015"), ("external_forecasts", "2015")]
    before = [store.digest(*key) for key in keys]
    run("external_forecasts")
    run("forecast_panel", span=("lstm|2015", "lstm|2015"))
    assert [store.digest(*key) for key in keys] == before


def test_without_lightgbm_its_rows_are_empty_and_the_summary_says_so(ran, monkeypatch):
    from allocator_pipeline.evaluation import lightgbm_opponent

    _, store, run = ran
    monkeypatch.setattr(lightgbm_opponent, "installed", lambda: False)
    run("opponent_forecasts")
    run("forecast_panel", span=("lightgbm|2015",) * 2)
    run("forecast_summary", span=(None, None))
    summary = store.read("forecast_summary", "all")
    assert len(store.read("forecast_panel", "lightgbm|2015")) == 0
    assert "not installed" in summary["absent"]["lightgbm"]
    assert any("lightgbm was not judged" in line for line in summary["words"][-1]["says"])

    monkeypatch.setattr(lightgbm_opponent, "installed", lambda: True)  # since then
    run("forecast_summary", span=(None, None))
    assert "was not installed when" in store.read("forecast_summary", "all")["absent"]["lightgbm"]


def test_a_panel_that_nobody_has_made_is_said_to_be_absent(ran):
    _, store, _ = ran
    summary = store.read("forecast_summary", "all")
    assert summary["absent"]["patchtst"] == "its forecast_panel has not been materialised for any year."


def test_the_chain_of_a_refresh_can_run_the_panel_of_all_forecasters_and_the_summary(ran, monkeypatch):
    settings, store, run = ran
    run("forecasts", span=(f"patchtst|{YEAR}", f"ridge|{YEAR}"))
    definitions = build_definitions(settings)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    dagster_home(settings)
    with dg.DagsterInstance.get() as instance:
        for name, tags in (("panel_job", range_tags(f"lstm|{YEAR}", f"toto|{YEAR}")), ("panel_summary_job", {})):
            assert definitions.resolve_job_def(name).execute_in_process(instance=instance, tags=tags).success
    assert set(store.read("forecast_summary", "all")["forecasters"]) >= {"lstm", "patchtst", "ridge", "toto"}


def test_a_week_missing_in_the_table_is_masked_in_the_panel_and_an_error_in_a_state(ran, tmp_path):
    settings, store, run = ran
    write_table(Path(settings.external_forecasts), gap="2015-03-02")
    run("external_forecasts")
    run("forecast_panel", span=("toto|2015", "toto|2015"))
    panel = store.read("forecast_panel", "toto|2015").set_index("week")
    assert panel["missing"].sum() == panel.loc["2015-03-02", "missing"] == N_STOCKS
    with pytest.raises(AllocatorError, match=r"(?s)said nothing in time.*week=2015-03-02.*never filled in"):
        run("state_tensors", span=("lstm|2015", "lstm|2015"))
    write_table(Path(settings.external_forecasts))


def test_symbols_of_the_table_that_the_market_lacks_are_shown(ran):
    settings, _, run = ran
    path = write_table(Path(settings.external_forecasts))
    table = pd.read_parquet(path)
    stranger = table[table["symbol"] == "SIM03"].assign(symbol="sim03", **dict.fromkeys(QUANTILES, 0.9))
    pd.concat([table, stranger]).to_parquet(path)
    run("external_forecasts")
    with dg.DagsterInstance.get() as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey("external_forecasts"))
        logs = [entry.user_message for entry in instance.all_logs(event.run_id)]
    in_year = int((stranger["week"].dt.year == int(YEAR)).sum())
    assert event.asset_materialization.metadata["unknown_symbols"].value == {"sim03": in_year}
    assert any(f"{len(stranger)} rows are not used" in line and "sim03" in line for line in logs)
    outside = (
        f"{len(stranger)} forecasts lie outside their own outer quantiles, the first of them that of toto for sim03"
    )
    assert any(outside in line for line in logs)
    write_table(path)


def test_a_data_folder_of_injected_states_is_not_used_with_others(ran):
    settings, _, _ = ran
    with pytest.raises(ConfigurationError, match="state_forecasts"):
        build_definitions(replace(settings, state_forecasts=()))


def test_a_forecaster_that_the_table_lacks_is_named(ran, tmp_path):
    settings, _, _ = ran
    other = replace(settings, data_dir=tmp_path, state_forecasts=(("lstm", "kronos"),))
    with pytest.raises(ConfigurationError, match=r"kronos.*toto"):
        build_definitions(other)
    with pytest.raises(MarketDataError, match="no such table"):
        build_definitions(replace(other, external_forecasts=tmp_path / "absent.parquet"))
