"""A back-fill that fails on the way: what it has published is stored, and Dagster knows."""

from __future__ import annotations

from datetime import date

import dagster as dg
import pytest

from allocator_pipeline.config import Settings, SimulatedConfig
from allocator_pipeline.defs.build import build_definitions
from allocator_pipeline.defs.home import dagster_home
from allocator_pipeline.defs.partitions import range_tags
from allocator_pipeline.defs.published import on_record
from allocator_pipeline.defs.runner import Task, run_task
from allocator_pipeline.defs.storage import AssetStore
from allocator_pipeline.errors import AllocatorError

YEARS = dg.StaticPartitionsDefinition(["2013", "2014", "2015"])


def recorded(instance: dg.DagsterInstance, asset: str) -> list[str]:
    found = instance.fetch_materializations(dg.AssetKey(asset), limit=100, ascending=True).records
    return sorted(str(record.partition_key) for record in found)


@pytest.mark.parametrize("fails", [False, True])
def test_every_published_partition_is_recorded_once_however_the_step_ends(fails, tmp_path):
    @dg.asset(partitions_def=YEARS, backfill_policy=dg.BackfillPolicy.single_run())
    def table(context) -> None:
        with on_record(context) as published:
            for key in context.partition_keys:
                if fails and key == "2015":
                    raise RuntimeError
                published[key] = {"rows": 1}
                context.add_asset_metadata(published[key], partition_key=key)

    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        result = dg.materialize(
            [table], instance=instance, tags=range_tags(*YEARS.get_partition_keys()[::2]), raise_on_error=False
        )
        assert result.success != fails
        assert recorded(instance, "table") == ["2013", "2014", "2015"][: 2 if fails else 3]
        event = instance.get_latest_materialization_event(dg.AssetKey("table"))
        assert event.asset_materialization.metadata["rows"].value == 1


def test_forecasts_of_the_years_before_a_failure_are_stored_and_recorded(tmp_path, monkeypatch):
    market = SimulatedConfig(seed=3, start=date(2009, 1, 1), end=date(2015, 12, 31), n_symbols=17, weekly_ic=0.0)
    settings = Settings(market="simulated", data_dir=tmp_path, min_training_years=3, simulated=market)
    definitions = build_definitions(settings)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    dagster_home(settings)

    def run(*assets, span, **config):
        run_task(Task("test", assets, *span, config=config), settings, definitions)

    run("prices", span=("2009", "2015"))
    run("universe", "price_windows", span=("2014", "2015"))

    from allocator_pipeline.forecasters import walk_forward

    whole = walk_forward.forecast_year

    def broken(model, year, *rest):
        if year == 2015:
            raise AllocatorError("This year is broken.", todo="mend it.")
        return whole(model, year, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(walk_forward, "forecast_year", broken)
        with pytest.raises(AllocatorError, match="This year is broken"):
            run("forecasts", span=("ridge|2014", "ridge|2015"), forecasts={"processes": 1})
    assert AssetStore(settings.market_dir / "assets").keys("forecasts") == ["ridge|2014"]
    with dg.DagsterInstance.get() as instance:
        assert recorded(instance, "price_windows") == ["2014", "2015"]
        assert recorded(instance, "forecasts") == ["ridge|2014"]
        run("forecasts", span=("ridge|2014", "ridge|2015"), forecasts={"processes": 1})
        assert recorded(instance, "forecasts") == ["ridge|2014", "ridge|2014", "ridge|2015"]
