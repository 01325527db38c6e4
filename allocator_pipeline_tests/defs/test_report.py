"""The report through the store: what it gathers, what it says in the UI, and what it does without."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from allocator_pipeline.atomic import sha256
from allocator_pipeline.config import Settings
from allocator_pipeline.defs.assets.report import report_assets
from allocator_pipeline.defs.report import FILE, latest_inputs
from allocator_pipeline.defs.resources import MarketResource, StoreResource
from allocator_pipeline.errors import MissingPartitionError
from allocator_pipeline_tests.evaluation.summaries import MadeUpSummaries
from allocator_pipeline_tests.registry.conftest import make_ruling

ALLOCATOR = "sac_patchtst"
YEARS = range(2016, 2018)


@pytest.fixture(scope="module")
def made():
    return MadeUpSummaries([ALLOCATOR], YEARS)


@pytest.fixture
def store(tmp_path, made):
    """Return a store with the report of one allocator and a verdict on it."""
    store = StoreResource(root=str(tmp_path))
    for year in YEARS:
        store.assets.write("eval_reports", f"{ALLOCATOR}|{year}", made.report(ALLOCATOR, year))
    badge = {"verdict": "not_proven", "try": 1, "sequence": 1, "position": 1, "proof": None, "against": {}}
    store.verdicts(ALLOCATOR).append(make_ruling("2017", "2018-01-08", evidence={"badge": badge}), after=0)
    return store


def test_the_latest_of_everything_is_read_and_what_is_missing_is_none(store, made):
    inputs = latest_inputs(store)
    assert inputs.reports[ALLOCATOR]["year"] == YEARS[-1]
    assert (inputs.summaries, inputs.comparison, inputs.forecasts, inputs.decisions) == ({}, None, None, {})
    store.assets.write("allocator_summary", ALLOCATOR, made.summaries[ALLOCATOR])
    store.assets.write("evaluation_summary", "all", made.comparison())
    inputs = latest_inputs(store)
    assert inputs.summaries == made.summaries
    assert inputs.comparison == made.comparison()


def test_a_summary_of_policies_before_a_new_training_is_not_shown_beside_the_report_of_the_new_ones(store, made):
    summary = made.summaries[ALLOCATOR]
    store.assets.write("allocator_summary", ALLOCATOR, {**summary, "versions": {**summary["versions"], "2016": "v1"}})
    assert latest_inputs(store).summaries == {}


def test_a_comparison_of_another_version_is_not_shown(store, made):
    store.assets.write("evaluation_summary", "all", {**made.comparison(), "format": 1})
    assert latest_inputs(store).comparison is None


def test_without_any_report_it_says_what_to_do(tmp_path):
    with pytest.raises(MissingPartitionError, match="materialise eval_reports"):
        latest_inputs(StoreResource(root=str(tmp_path)))


def test_the_asset_writes_one_file_and_shows_words_and_table(store):
    (asset,) = report_assets()
    result = dg.materialize(
        [asset],
        resources={
            "market": MarketResource.of(Settings(data_dir=Path(store.root))),
            "store": store,
            "io_manager": dg.mem_io_manager,
        },
    )
    written = (Path(store.root) / FILE).read_bytes()
    assert result.output_for_node("allocation_report") == {"all": {"file": FILE, "sha256": sha256(written)}}
    (event,) = result.asset_materializations_for_node("allocation_report")
    words = event.metadata["words"].value
    place = "its own: try 1, 1 of 60 places used in sequence 1"
    assert f"- {ALLOCATOR}: champion v2015-12-28-2017, not proven after 1 try ({place})." in words
    assert "Against equal weight:" in words
    table = event.metadata["summary"].value
    for words in ("Sharpe [95 %]", "equal weight", "HRP", "Policies after 1 try; ", "Champions proven (of 1): none."):
        assert words in table
    assert max(map(len, table.splitlines())) <= 140
    assert b"materialise <code>allocator_summary</code>" in written
