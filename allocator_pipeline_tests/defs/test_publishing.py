"""Publishing and fetching through Dagster: real runs, a hub on loopback, and nothing secret anywhere."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import dagster as dg
import pytest

from allocator_pipeline.atomic import canonical_json
from allocator_pipeline.config import ALLOCATORS, Settings
from allocator_pipeline.defs.build import build_definitions
from allocator_pipeline.defs.publishing import NOT_PUBLISHED
from allocator_pipeline.defs.publishing_sensor import publishing_requests
from allocator_pipeline.defs.resources import StoreResource
from allocator_pipeline.errors import HubError
from allocator_pipeline_tests.hub.conftest import NAME, QUICK, REPO, fake_hub
from allocator_pipeline_tests.hub.fake_hub import TOKEN
from allocator_pipeline_tests.registry.conftest import make_artifact, make_ruling

__all__ = ["fake_hub"]


class Machine:
    """A data folder with its graph and Dagster instance."""

    def __init__(self, folder: Path, instance: dg.DagsterInstance) -> None:
        settings = Settings(data_dir=folder)
        self.definitions, self.instance = build_definitions(settings), instance
        self.store = StoreResource(root=str(settings.market_dir.absolute()))

    def save(self, seed: int = 0) -> str:
        artifact = make_artifact(seed=seed)
        self.store.models.save(artifact)
        return artifact.version

    def promote(self, version: str) -> None:
        log = self.store.verdicts(NAME)
        number = len(log.history())
        assert log.append(make_ruling(version, candidate=version, week=f"2016-01-{4 + 7 * number:02d}"), number)

    def publish(self, **config: object) -> tuple[dict, dg.AssetCheckEvaluation]:
        done = self.definitions.resolve_job_def("publish_job").execute_in_process(
            partition_key=NAME,
            instance=self.instance,
            run_config={"ops": {"published_models": {"config": config}}},
        )
        assert done.success
        return self.store.assets.read("published_models", NAME), done.get_asset_check_evaluations()[0]

    def fetch(self, **config: object) -> dg.ExecuteInProcessResult:
        return self.definitions.resolve_job_def("fetch_model_job").execute_in_process(
            instance=self.instance,
            run_config={"ops": {"fetch_model": {"config": {"allocator": NAME, **config}}}},
            raise_on_error=False,
        )


@pytest.fixture
def instance(tmp_path):
    with dg.instance_for_test(temp_dir=str(tmp_path)) as made:
        yield made


@pytest.fixture
def machine(tmp_path, instance):
    return Machine(tmp_path / "data", instance)


@pytest.fixture
def shared(monkeypatch, fake_hub):
    """The environment of somebody who shares models."""
    monkeypatch.setenv("STORAGE_BACKEND", "hf")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("HF_ENDPOINT", fake_hub.endpoint)
    monkeypatch.setenv("HF_PPO_LSTM_MODEL_REPO", REPO)
    monkeypatch.setattr("allocator_pipeline.hub.client.Patience", lambda: QUICK)
    return fake_hub


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch):
    for name in list(os.environ):
        if name.startswith("HF_") or name == "STORAGE_BACKEND":
            monkeypatch.delenv(name)


def test_by_default_nothing_is_published_and_that_is_no_warning(machine, fake_hub):
    machine.save()
    record, check = machine.publish()
    assert record["state"] == NOT_PUBLISHED
    assert check.passed
    assert fake_hub.requests == []


def test_versions_and_the_champion_are_published_once(machine, shared):
    first, second = machine.save(0), machine.save(1)
    machine.promote(second)
    record, check = machine.publish()
    assert check.passed
    assert (record["state"], record["main"], record["waiting"]) == ("published", second, [])
    assert set(record["published"]) == {first, second}
    repo = shared.repos[REPO]
    assert set(repo.branches) == {"main", first, second}
    assert json.loads(repo.tree("main")["manifest.json"])["version"] == second
    assert "It is the first policy judged." in repo.tree(second)["README.md"].decode()

    commits, asked = shared.commits(REPO), len(shared.requests)
    assert machine.publish()[0] == record
    assert len(shared.requests) == asked
    assert machine.publish(anew=True)[0] == record
    assert len(shared.requests) > asked
    assert shared.commits(REPO) == commits

    machine.promote(first)
    assert machine.publish()[0]["main"] == first
    assert json.loads(repo.tree("main")["manifest.json"])["version"] == first


def test_a_record_that_is_damaged_is_made_again_from_the_hub(machine, shared):
    version = machine.save()
    record, _ = machine.publish()
    next((machine.store.assets.root / "published_models").glob("*.payload.json")).write_bytes(b"{}")
    commits = shared.commits(REPO)
    again, check = machine.publish()
    assert check.passed
    assert again == record
    assert version in again["published"]
    assert shared.commits(REPO) == commits


def test_a_log_that_was_cut_moves_no_main(machine, shared):
    first, second = machine.save(0), machine.save(1)
    machine.promote(first)
    machine.promote(second)
    log = machine.store.verdicts(NAME)
    history = log.history()
    told = {"verdicts": [asdict(verdict) for verdict in history]}
    machine.store.assets.write("promoted_policies", NAME, told)
    assert machine.publish()[0]["main"] == second
    (log.folder / "000002.json").unlink()
    (log.folder / "head.json").write_bytes(canonical_json({"count": 1, "sha256": history[0].sha256}))
    record, check = machine.publish()
    assert (record["main"], record["state"], check.passed) == (second, "failed", False)
    assert "names number 2" in record["failure"]
    assert json.loads(shared.repos[REPO].tree("main")["manifest.json"])["version"] == second


@pytest.mark.parametrize(
    "fault", [{"status": 401}, {"status": 500}, {"status": 429, "headers": {"retry-after": "999"}}]
)
def test_a_failure_is_a_warning_and_what_waits_is_published_later(machine, shared, fault):
    first, second = machine.save(0), machine.save(1)
    shared.fail(f"commit/{second}|commit/{first}", times=-1, skip=1, **fault)
    record, check = machine.publish()
    assert not check.passed
    assert check.severity == dg.AssetCheckSeverity.WARN
    assert record["state"] == "failed"
    assert "HubError" in record["failure"]
    assert len(record["published"]) == len(record["waiting"]) == 1

    shared.faults.clear()
    record, check = machine.publish()
    assert check.passed
    assert (len(record["published"]), record["waiting"], record["failure"]) == (2, [], None)


@pytest.mark.parametrize(
    ("name", "value"),
    [("HF_TOKEN", ""), ("HF_PPO_LSTM_MODEL_REPO", "../x"), ("HF_PPO_LSTM_MODEL_REPO", ""), ("STORAGE_BACKEND", "s3")],
)
def test_a_bad_setting_is_a_warning_that_names_it(machine, shared, monkeypatch, name, value):
    machine.save()
    monkeypatch.setenv(name, value)
    record, check = machine.publish()
    assert not check.passed
    assert name in record["failure"]


def test_one_broken_version_does_not_keep_the_others_back(machine, shared):
    first, second = machine.save(0), machine.save(1)
    broken = machine.store.models.root / NAME / first / "policy.json"
    broken.write_bytes(b"{}")
    record, check = machine.publish()
    assert not check.passed
    assert (set(record["published"]), record["waiting"]) == ({second}, [first])
    assert first in record["failure"]


def test_another_machine_fetches_what_was_published(machine, shared, tmp_path, instance):
    version = machine.save()
    machine.publish()
    other = Machine(tmp_path / "other", instance)
    done = other.fetch()
    assert done.success
    assert other.store.models.versions(NAME) == [version]
    assert other.store.models.load(NAME, version).files == machine.store.models.load(NAME, version).files
    assert other.store.verdicts(NAME).champion() is None


def test_a_fetch_that_fails_stores_nothing(machine, shared):
    assert not machine.fetch(version="v2015-12-28-000000").success
    assert not machine.store.models.root.exists()


def test_the_sensor_asks_once_for_each_allocator_with_something_new(instance):
    assert publishing_requests(instance, None)[0] == []
    for asset, key in [("trained_policies", f"{NAME}|2015"), ("finetuned_policies", f"{NAME}|2016-01-04")]:
        instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=key))
    requests, cursor = publishing_requests(instance, None)
    assert [request.partition_key for request in requests] == [NAME]
    assert publishing_requests(instance, cursor)[0] == []
    assert publishing_requests(instance, None)[0][0].run_key == requests[0].run_key
    for name in ALLOCATORS:
        instance.report_runless_asset_event(dg.AssetMaterialization("promoted_policies", partition=name))
    assert len(publishing_requests(instance, cursor)[0]) == len(ALLOCATORS)


@pytest.mark.parametrize(
    ("backend", "said"), [("", NOT_PUBLISHED), ("s3", "STORAGE_BACKEND"), ("hf", "No new version")]
)
def test_the_sensor_skips_and_says_why(machine, monkeypatch, backend, said):
    monkeypatch.setenv("STORAGE_BACKEND", backend)
    sensor = machine.definitions.resolve_sensor_def("publishing_sensor")
    with dg.build_sensor_context(instance=machine.instance) as context:
        tick = sensor.evaluate_tick(context)
    assert said in tick.skip_message
    assert not tick.run_requests


@pytest.mark.parametrize(("where", "status"), [("/refs", 401), ("/commit/", 400), ("/commit/", 500), ("PUT", 403)])
def test_the_token_is_in_no_log_database_record_or_upload(machine, shared, tmp_path, caplog, capfd, status, where):
    """The hub repeats what it was sent in every header and body of its errors."""
    caplog.set_level("DEBUG")
    machine.save()
    echo = {"x-error-message": f"refused: Bearer {TOKEN}", "x-request-id": TOKEN, "x-error-code": TOKEN}
    shared.fail(where, status=status, headers=echo, body=json.dumps({"error": f"bad {TOKEN}"}).encode(), times=-1)
    assert not machine.publish()[1].passed
    shared.faults.clear()
    shared.fail("resolve", status=status, headers=echo, body=TOKEN.encode(), times=-1)
    machine.publish()
    assert not machine.fetch().success
    stored = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" for path in stored)
    leaks = [path for path in stored if TOKEN.encode() in path.read_bytes()]
    uploads = [
        name
        for repo in shared.repos.values()
        for tree in repo.commits.values()
        for name in tree
        if TOKEN.encode() in tree[name]
    ]
    out = capfd.readouterr()
    assert (leaks, uploads) == ([], [])
    for secret in (TOKEN, "secret-signature"):
        assert secret not in caplog.text + out.out + out.err


def test_the_error_itself_is_typed(shared):
    shared.fail("/refs", status=401, times=-1)
    from allocator_pipeline.hub.client import Hub
    from allocator_pipeline.hub.settings import HubSettings

    with pytest.raises(HubError, match=r"127\.0\.0\.1 refuses"):
        Hub(HubSettings.from_env()).heads(REPO)
