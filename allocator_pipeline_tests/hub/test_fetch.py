"""Downloads into another machine's empty data folder: verified before anything is stored."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import pytest

from allocator_pipeline.atomic import sha256
from allocator_pipeline.errors import AllocatorError, ConflictError, CorruptArtifactError, HubError, UnsafeNameError
from allocator_pipeline.hub.fetch import fetch
from allocator_pipeline.registry import artifacts as registry
from allocator_pipeline.registry.artifacts import ArtifactStore
from allocator_pipeline_tests.faults.test_hostile import Planted
from allocator_pipeline_tests.hub.conftest import NAME, REPO
from allocator_pipeline_tests.registry.conftest import make_artifact


@pytest.fixture
def elsewhere(tmp_path):
    """The store of another machine."""
    return ArtifactStore(tmp_path / "elsewhere" / "models")


@pytest.fixture
def damage(fake_hub):
    """Replace files of a branch, as somebody who may write there could."""

    def replace(version, **files):
        repo = fake_hub.repos[REPO]
        repo.add(version, {**repo.tree(version), **{name.replace("__", "."): value for name, value in files.items()}})

    return replace


def contents(store, version):
    folder = store.root / NAME / version
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_version_arrives_byte_for_byte(hub, share, stored, models, elsewhere):
    first, second = stored(0), stored(1)
    share(first)
    share(second, champion=True)
    assert fetch(hub, REPO, elsewhere, NAME, first).version == first
    assert fetch(hub, REPO, elsewhere, NAME).version == second
    for version in (first, second):
        assert contents(elsewhere, version) == contents(models, version)
        assert elsewhere.load(NAME, version).files == models.load(NAME, version).files


def test_fetching_again_changes_nothing(hub, share, stored, models, elsewhere):
    version = stored()
    share(version)
    before = fetch(hub, REPO, elsewhere, NAME, version)
    assert fetch(hub, REPO, elsewhere, NAME, version) == before


def test_other_bytes_under_a_stored_version_are_a_conflict(hub, share, stored, elsewhere):
    version = stored()
    share(version)
    model = make_artifact()
    assert model.version == version
    elsewhere.save(replace(model, files={**model.files, "policy.json": b"{}"}))
    before = contents(elsewhere, version)
    with pytest.raises(ConflictError, match="other bytes"):
        fetch(hub, REPO, elsewhere, NAME, version)
    assert contents(elsewhere, version) == before


def test_a_public_repository_needs_no_token(fake_hub, session, share, stored, elsewhere):
    share(stored())
    fake_hub.requests.clear()
    with pytest.raises(HubError, match="refuses the token, or wants one"):
        fetch(session(None), REPO, elsewhere, NAME)
    assert not any("authorization" in {name.lower() for name in headers} for _, headers in fake_hub.requests)


@pytest.mark.parametrize("fault", ["cut_answer", "lost", "status"])
@pytest.mark.parametrize("where", ["/refs", "resolve/.*/manifest.json", "resolve/.*/policy.safetensors", "/cdn/"])
def test_a_passing_failure_is_overcome(fake_hub, hub, share, stored, models, elsewhere, where, fault):
    version = stored()
    share(version)
    fake_hub.fail(where, fault, times=2)
    fetch(hub, REPO, elsewhere, NAME, version)
    assert contents(elsewhere, version) == contents(models, version)


@pytest.mark.parametrize("where", ["/refs", "resolve/.*/manifest.json", "/cdn/"])
def test_what_stays_cut_stores_nothing(fake_hub, hub, share, stored, elsewhere, where):
    share(stored())
    fake_hub.fail(where, "cut_answer", times=-1)
    with pytest.raises(HubError, match="broke off"):
        fetch(hub, REPO, elsewhere, NAME)
    assert not elsewhere.root.exists()


@pytest.mark.parametrize(
    "files",
    [
        {"policy__safetensors": b"short"},
        {"policy__safetensors": None},
        {"policy__json": b'{"slots": [3, 4]}'},
        {"manifest__json": b"{}"},
        {"manifest__json": b"null"},
        {"manifest__json": b"<html>"},
        {"manifest__json": b"[" * 100_000},
        {"manifest__json": b""},
    ],
)
def test_damage_is_noticed_and_nothing_stored(hub, share, stored, elsewhere, damage, fake_hub, files):
    version = stored()
    share(version)
    there = fake_hub.repos[REPO].tree(version)["policy.safetensors"]
    flipped = {
        name: value or bytes([there[0] ^ 1, *there[1:]]) if value != b"" else value for name, value in files.items()
    }
    damage(version, **flipped)
    with pytest.raises(CorruptArtifactError, match=REPO):
        fetch(hub, REPO, elsewhere, NAME, version)
    assert not elsewhere.root.exists()


def resealed(manifest: bytes, **changes: object) -> bytes:
    """Return a manifest that somebody changed, with a seal of his own."""
    read = json.loads(manifest)
    del read["manifest_sha256"]
    return registry._seal(read | changes)


@pytest.mark.parametrize(
    "name", ["policy.pkl", "policy.pth", "../../evil.json", "/etc/passwd", "run.py", "a/b.json", "x\n.json"]
)
def test_files_that_may_not_travel_are_not_even_asked_for(
    hub, share, stored, elsewhere, damage, fake_hub, tmp_path, name
):
    version = stored()
    share(version)
    payload = pickle.dumps(Planted(tmp_path / "planted"))
    manifest = fake_hub.repos[REPO].tree(version)["manifest.json"]
    listed = {name: {"sha256": sha256(payload), "bytes": len(payload)}}
    damage(version, manifest__json=resealed(manifest, files=listed), **{name.replace(".", "__"): payload})
    fake_hub.requests.clear()
    with pytest.raises(UnsafeNameError):
        fetch(hub, REPO, elsewhere, NAME, version)
    assert fake_hub.asked("resolve") == 1
    assert not elsewhere.root.exists()
    assert not (tmp_path / "planted").exists()


def test_a_pickle_in_disguise_is_refused(hub, share, stored, elsewhere, damage, fake_hub, tmp_path):
    version = stored()
    share(version)
    payload = pickle.dumps(Planted(tmp_path / "planted"))
    listed = {"policy.safetensors": {"sha256": sha256(payload), "bytes": len(payload)}}
    manifest = resealed(fake_hub.repos[REPO].tree(version)["manifest.json"], files=listed)
    damage(version, manifest__json=manifest, policy__safetensors=payload)
    with pytest.raises(CorruptArtifactError, match="refused"):
        fetch(hub, REPO, elsewhere, NAME, version)
    assert not elsewhere.root.exists()
    assert not (tmp_path / "planted").exists()


@pytest.mark.parametrize("size", [2**27, -1, True, "12", None])
def test_sizes_are_checked_before_anything_is_asked_for(hub, share, stored, elsewhere, damage, fake_hub, size):
    version = stored()
    share(version)
    manifest = fake_hub.repos[REPO].tree(version)["manifest.json"]
    listed = {"policy.safetensors": {"sha256": "0" * 64, "bytes": size}}
    damage(version, manifest__json=resealed(manifest, files=listed))
    fake_hub.requests.clear()
    with pytest.raises(CorruptArtifactError):
        fetch(hub, REPO, elsewhere, NAME, version)
    assert fake_hub.asked("resolve") == 1


def test_a_branch_with_another_version_or_allocator_is_refused(hub, share, stored, elsewhere, fake_hub, models):
    first, second = stored(0), stored(1)
    share(first)
    share(second)
    repo = fake_hub.repos[REPO]
    repo.branches[second] = repo.branches[first]
    with pytest.raises(CorruptArtifactError, match="holds"):
        fetch(hub, REPO, elsewhere, NAME, second)
    with pytest.raises(CorruptArtifactError, match="refused"):
        fetch(hub, REPO, elsewhere, "sac_lstm", first)
    assert not elsewhere.root.exists()


def test_another_model_in_the_store_stays(hub, share, stored, elsewhere, models):
    version = stored()
    share(version)
    folder = elsewhere.root / NAME / version
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_bytes(b"{}")
    with pytest.raises((ConflictError, CorruptArtifactError)):
        fetch(hub, REPO, elsewhere, NAME, version)
    assert (folder / "manifest.json").read_bytes() == b"{}"


@pytest.mark.parametrize(
    "version", ["../x", "refs/pr/1", "main", "v2015-12-28-zzzzzz", "a" * 300, "x\0", "'; drop table"]
)
def test_bad_versions_are_refused_unasked(fake_hub, hub, elsewhere, version):
    with pytest.raises(UnsafeNameError):
        fetch(hub, REPO, elsewhere, NAME, version)
    assert fake_hub.requests == []


def test_an_absent_repository_or_branch_is_one_clear_error(hub, share, stored, elsewhere):
    with pytest.raises(AllocatorError, match=REPO):
        fetch(hub, REPO, elsewhere, NAME)
    share(stored())
    with pytest.raises(HubError, match="no branch"):
        fetch(hub, REPO, elsewhere, NAME, "v2015-12-28-000000")
