"""The registry's jobs in the UI: real runs of each, and what they show."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from allocator_pipeline.defs.registry import registry_jobs
from allocator_pipeline.defs.resources import StoreResource
from allocator_pipeline.errors import ConfigurationError
from allocator_pipeline.registry import pruning
from allocator_pipeline_tests.registry.conftest import make_artifact, make_ruling

NAME = "ppo_lstm"


@pytest.fixture
def store(tmp_path: Path) -> StoreResource:
    return StoreResource(root=str(tmp_path))


@pytest.fixture
def years(store) -> list[str]:
    made = [make_artifact(f"20{number}-12-28", seed=number) for number in range(10, 14)]
    for artifact in made:
        store.models.save(artifact)
    assert store.verdicts(NAME).append(make_ruling("a", candidate=made[1].version), after=0)
    return [artifact.version for artifact in made]


@pytest.fixture
def run(store):
    jobs = {job.name: job for job in registry_jobs()}

    def execute(job: str, **config: object) -> dg.ExecuteInProcessResult:
        op = job.removesuffix("_job")
        with dg.DagsterInstance.ephemeral() as instance:
            return jobs[job].execute_in_process(
                run_config={"ops": {op: {"config": config}}} if config else {},
                resources={"store": store},
                instance=instance,
                raise_on_error=False,
            )

    return execute


def shown(done: dg.ExecuteInProcessResult) -> dict[str, object]:
    assert done.success
    outputs = [event for event in done.all_node_events if event.event_type_value == "STEP_OUTPUT"]
    return {name: value.value for name, value in outputs[0].step_output_data.metadata.items()}


def test_listing_showing_and_comparing(run, years) -> None:
    listed = shown(run("list_versions_job"))
    assert all(version in str(listed[NAME]) for version in years)
    assert "config.seed" in str(shown(run("show_version_job", allocator=NAME, version=years[0]))["version"])
    compared = shown(run("compare_versions_job", allocator=NAME, version=years[0], other=years[1]))
    assert "config.seed" in str(compared["differences"])


def test_listing_shows_the_others_where_a_log_is_damaged(run, years, store) -> None:
    path = store.verdicts(NAME).folder / "000001.json"
    path.write_bytes(path.read_bytes().replace(b"first policy", b"worst policy", 1))
    other = make_artifact(name="sac_lstm")
    store.models.save(other)
    listed = shown(run("list_versions_job"))
    assert other.version in str(listed["sac_lstm"])
    assert "What to do" in str(listed[NAME])


def test_pruning_is_a_dry_run_unless_told_otherwise(run, years, store, monkeypatch) -> None:
    monkeypatch.setattr(pruning, "MIN_JUDGED_WEEKS", 1)
    monkeypatch.setattr(pruning, "SETTLING_DAYS", 0)
    planned = shown(run("prune_versions_job", allocator=NAME, keep=1))
    assert years[0] in str(planned["would_remove"])
    assert years[1] in str(planned["would_keep"])
    assert store.models.versions(NAME) == years
    assert shown(run("prune_versions_job", allocator=NAME, keep=1, apply=True))["removed"] == 2
    assert store.models.versions(NAME) == [years[1], years[3]]
    assert shown(run("prune_versions_job", allocator=NAME, keep=1, apply=True))["removed"] == 0


def test_verifying_fails_if_anything_is_damaged(run, years, store) -> None:
    assert shown(run("verify_registry_job"))["verified"] > 0
    (store.models.root / NAME / years[1] / "policy.json").write_bytes(b"{}")
    assert not run("verify_registry_job").success
    assert not run("prune_versions_job", allocator=NAME, apply=True).success


def test_an_order_names_one_version_and_a_week(store) -> None:
    from allocator_pipeline.defs.promotion import follow_order

    court = store.court(NAME)
    assert follow_order(court, rollback_to=None, promote_to=None, effective_week=None, reason="") is None
    for order in (
        {"rollback_to": "v1", "promote_to": None, "effective_week": None},
        {"rollback_to": "v1", "promote_to": "v2", "effective_week": "2016-01-11"},
    ):
        with pytest.raises(ConfigurationError, match="needs one version"):
            follow_order(court, **order, reason="a test")
