"""What a check says about partitions: the run's can block, others that failed before are named until mended."""

from collections.abc import Iterator

import dagster as dg
import pytest
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from allocator_pipeline.defs.check_results import check_result
from allocator_pipeline.defs.storage import AssetStore
from allocator_pipeline.errors import CorruptArtifactError

YEARS = dg.StaticPartitionsDefinition(["2017", "2018", "2019", "2020"])
VALUES = {"2017": "good", "2018": "good", "2019": "good", "2020": "good"}


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def run(instance, tmp_path):
    """Return a function that makes years with values, and gives the check's result and whether it blocked."""
    store, values = AssetStore(tmp_path / "assets"), dict(VALUES)

    @dg.asset(partitions_def=YEARS, backfill_policy=dg.BackfillPolicy.single_run())
    def table(context: dg.AssetExecutionContext) -> None:
        for key in context.partition_keys:
            store.write("table", key, {"value": values[key]})

    @dg.asset_check(asset=table, blocking=True)
    def values_are_good(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        return check_result(context, store, "table", YEARS, lambda key: told(store.read("table", key)["value"]))

    @dg.asset(partitions_def=YEARS, deps=[table], backfill_policy=dg.BackfillPolicy.single_run())
    def after() -> None:
        pass

    definitions = dg.Definitions(
        assets=[table, after],
        asset_checks=[values_are_good],
        jobs=[dg.define_asset_job("make"), dg.define_asset_job("look", dg.AssetSelection.checks(values_are_good))],
    )

    def run(*years: str, job: str = "make", **changed: str) -> tuple[dg.AssetCheckEvaluation, bool]:
        values.update({name.removeprefix("of_"): value for name, value in changed.items()})
        span = {}
        if years:
            span = {ASSET_PARTITION_RANGE_START_TAG: years[0], ASSET_PARTITION_RANGE_END_TAG: years[-1]}
        result = definitions.resolve_job_def(job).execute_in_process(instance=instance, raise_on_error=False, tags=span)
        (found,) = result.get_asset_check_evaluations()
        return found, not result.success

    return run


def told(value: str) -> list[str]:
    if value == "damaged":
        raise CorruptArtifactError("It fails its checksum.", todo="materialise it again.")
    return [] if value == "good" else [f"is {value}"]


@pytest.mark.parametrize("value", ["bad", "damaged"])
def test_another_year_neither_takes_a_failure_back_nor_is_blocked_by_it(run, value):
    found, blocked = run("2018", of_2018=value)
    assert not found.passed
    assert blocked
    assert found.severity is dg.AssetCheckSeverity.ERROR
    for year in ("2019", "2020"):
        found, blocked = run(year)
        assert not found.passed, "2018 is still stored as it was"
        assert found.severity is dg.AssetCheckSeverity.WARN
        assert "2018: " in found.description
        assert found.metadata["partitions"].value == f"{year}, 2018"
        assert not blocked
    found, blocked = run("2018", of_2018="good")
    assert found.passed
    assert not blocked
    assert run("2019")[0].passed


def test_runs_of_several_years_count_together(run):
    found, blocked = run("2017", "2018", "2019", of_2017="odd", of_2019="bad")
    assert blocked
    assert found.metadata["failing"].value == ["2017", "2019"]
    found, blocked = run("2019", "2020", of_2019="good")
    assert found.description == "2017: is odd"
    assert not blocked


def test_a_check_that_is_run_by_itself_judges_all(run):
    run("2017", "2018", "2019", "2020", of_2018="bad")
    found, _ = run(job="look")
    assert found.metadata["partitions"].value == "2017, 2018, 2019, 2020"
    assert found.severity is dg.AssetCheckSeverity.ERROR
    assert found.metadata["failing"].value == ["2018"]
