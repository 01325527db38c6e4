"""The artefact store: what goes in comes out, once, verified, or not at all."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from allocator_pipeline.errors import (
    ConflictError,
    CorruptArtifactError,
    MissingPartitionError,
    UnsafeNameError,
)
from allocator_pipeline.registry import artifacts as module
from allocator_pipeline.registry.artifacts import ArtifactStore
from allocator_pipeline_tests.registry.conftest import make_artifact


def test_round_trip(artifacts: ArtifactStore) -> None:
    artifact = make_artifact()
    folder = artifacts.save(artifact)
    loaded = artifacts.load(artifact.name, artifact.version)
    assert loaded.files == artifact.files
    assert loaded.manifest == artifact.manifest()
    assert (loaded.name, loaded.version, loaded.cutoff, loaded.parent) == (
        "ppo_lstm",
        artifact.version,
        "2015-12-28",
        None,
    )
    assert folder == artifacts.root / "ppo_lstm" / artifact.version


def test_the_manifest_lists_the_sha256_of_every_file(artifacts: ArtifactStore) -> None:
    artifact = make_artifact()
    manifest = json.loads((artifacts.save(artifact) / "manifest.json").read_bytes())
    assert set(manifest["files"]) == set(artifact.files)
    assert all(len(entry["sha256"]) == 64 for entry in manifest["files"].values())


def test_saving_again_changes_nothing(artifacts: ArtifactStore) -> None:
    artifact = make_artifact()
    folder = artifacts.save(artifact)
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    artifacts.save(artifact)
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()} == before


def test_has_and_versions(artifacts: ArtifactStore) -> None:
    old, new = make_artifact("2014-12-29"), make_artifact("2015-12-28")
    assert not artifacts.has(old.identity)
    assert artifacts.versions("ppo_lstm") == []
    artifacts.save(new)
    artifacts.save(old)
    assert artifacts.has(old.identity)
    assert artifacts.versions("ppo_lstm") == [old.version, new.version]
    assert artifacts.versions("sac_lstm") == []


def test_a_missing_version_is_a_typed_error(artifacts: ArtifactStore) -> None:
    with pytest.raises(MissingPartitionError, match="v2015-12-28-abcdef"):
        artifacts.load("ppo_lstm", "v2015-12-28-abcdef")


@pytest.mark.parametrize("part", ["_unseal", "_check_file"])
def test_a_version_pruned_while_it_is_read_is_missing_not_damaged(artifacts: ArtifactStore, monkeypatch, part) -> None:
    artifact = make_artifact()
    folder, real = artifacts.save(artifact), getattr(module, part)

    def prune_and_go_on(*arguments):
        if folder.exists():
            folder.rename(folder.with_name(".aside"))
        return real(*arguments)

    monkeypatch.setattr(module, part, prune_and_go_on)
    with pytest.raises(MissingPartitionError, match="is not stored"):
        artifacts.load(artifact.name, artifact.version)


def test_another_model_under_the_same_version_is_refused(
    artifacts: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = make_artifact(seed=1), make_artifact(seed=2)
    version = first.version
    monkeypatch.setattr("allocator_pipeline.artifact.Identity.version", property(lambda self: version))
    artifacts.save(first)
    with pytest.raises(ConflictError, match="another model"):
        artifacts.save(second)
    with pytest.raises(ConflictError, match="another model"):
        artifacts.has(second.identity)


def test_the_same_model_with_other_bytes_is_refused(artifacts: ArtifactStore) -> None:
    artifact = make_artifact()
    artifacts.save(artifact)
    other = replace(artifact, files={**artifact.files, "policy.json": b'{"slots":[2]}'})
    with pytest.raises(ConflictError, match="other bytes"):
        artifacts.save(other)
    assert artifacts.load(artifact.name, artifact.version).files == artifact.files


@pytest.mark.parametrize("name", ["../x", "/etc", "a/b", "", "..", "x\n", "x" * 101])
def test_names_stay_inside_the_store(artifacts: ArtifactStore, name: str) -> None:
    with pytest.raises(UnsafeNameError):
        artifacts.load(name, "v1")
    with pytest.raises(UnsafeNameError):
        artifacts.load("ppo_lstm", name)
    with pytest.raises(UnsafeNameError):
        artifacts.versions(name)


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("policy.pt", b"x"),
        ("policy.pkl", b"x"),
        ("policy.npy", b"x"),
        ("policy", b"x"),
        ("manifest.json", b"{}"),
        ("../policy.json", b"{}"),
        ("policy.json", b"not json"),
        ("policy.json", b"[" * 100_000),
        ("policy.json", b" " * (module.MAX_JSON_BYTES + 1)),
        ("policy.safetensors", b""),
        ("policy.safetensors", b"\x80\x04K\x01."),
        ("policy.safetensors", (2**63).to_bytes(8, "little") + b"{}"),
        ("policy.safetensors", (2).to_bytes(8, "little") + b"{]"),
    ],
)
def test_refused_files_are_never_stored(artifacts: ArtifactStore, name: str, payload: bytes) -> None:
    with pytest.raises(CorruptArtifactError):
        artifacts.save(replace(make_artifact(), files={name: payload}))
    assert artifacts.versions("ppo_lstm") == []


def test_too_many_files_are_refused(artifacts: ArtifactStore) -> None:
    with pytest.raises(CorruptArtifactError, match="64 files"):
        artifacts.save(replace(make_artifact(), files={f"{i}.json": b"{}" for i in range(64)}))


def test_saving_over_a_damaged_version_is_refused(artifacts: ArtifactStore) -> None:
    artifact = make_artifact()
    (artifacts.save(artifact) / "policy.json").write_bytes(b"{}")
    with pytest.raises(CorruptArtifactError, match="sha256"):
        artifacts.save(artifact)
    with pytest.raises(CorruptArtifactError, match="sha256"):
        artifacts.has(artifact.identity)
