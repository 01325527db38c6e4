"""Whichever write, fsync, rename or link fails: the old state or the new one, valid, and running again completes."""

from __future__ import annotations

from pathlib import Path

import pytest

from allocator_pipeline import atomic
from allocator_pipeline.errors import StorageError
from allocator_pipeline.registry.artifacts import ArtifactStore
from allocator_pipeline.registry.verdicts import VerdictLog
from allocator_pipeline_tests.faults.conftest import Failing
from allocator_pipeline_tests.registry.conftest import make_artifact, make_ruling


def count_calls(failing: Failing, action) -> int:
    with failing.nth(0):
        action()
        return failing.count


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*.tmp")]


def test_write_bytes(failing: Failing, tmp_path: Path) -> None:
    calls = count_calls(failing, lambda: atomic.write_bytes(tmp_path / "probe", b"new" * 99))
    assert calls == 4  # write, fsync, rename, fsync of the folder
    for number in range(1, calls + 1):
        path = tmp_path / str(number)
        atomic.write_bytes(path, b"old")
        with failing.nth(number), pytest.raises(StorageError, match="No space left"):
            atomic.write_bytes(path, b"new" * 99)
        assert path.read_bytes() in (b"old", b"new" * 99)
        assert leftovers(tmp_path) == []
        atomic.write_bytes(path, b"new" * 99)
        assert path.read_bytes() == b"new" * 99


def test_create_bytes(failing: Failing, tmp_path: Path) -> None:
    calls = count_calls(failing, lambda: atomic.create_bytes(tmp_path / "probe", b"new" * 99))
    assert calls == 4
    for number in range(1, calls + 1):
        path = tmp_path / str(number)
        with failing.nth(number), pytest.raises(StorageError):
            atomic.create_bytes(path, b"new" * 99)
        assert leftovers(tmp_path) == []
        there = path.exists()
        assert atomic.create_bytes(path, b"new" * 99) is not there
        assert path.read_bytes() == b"new" * 99


def test_publish(failing: Failing, tmp_path: Path) -> None:
    calls = count_calls(failing, lambda: atomic.publish(tmp_path / "probe.json", b"new" * 99, ".bin", {"n": 1}))
    assert calls == 8
    for number in range(1, calls + 1):
        pointer = tmp_path / f"{number}.json"
        atomic.publish(pointer, b"old", ".bin", {"n": 0})
        with failing.nth(number), pytest.raises(StorageError):
            atomic.publish(pointer, b"new" * 99, ".bin", {"n": 1})
        assert atomic.read_published(pointer) in ((b"old", {"n": 0}), (b"new" * 99, {"n": 1}))
        assert leftovers(tmp_path) == []
        atomic.publish(pointer, b"new" * 99, ".bin", {"n": 1})
        assert atomic.read_published(pointer) == (b"new" * 99, {"n": 1})


def test_saving_an_artifact(failing: Failing, tmp_path: Path) -> None:
    artifact = make_artifact()
    calls = count_calls(failing, lambda: ArtifactStore(tmp_path / "probe").save(artifact))
    assert calls == 3 * 2 + 3  # three files; folder, rename, parent
    for number in range(1, calls + 1):
        store = ArtifactStore(tmp_path / str(number))
        with failing.nth(number), pytest.raises(StorageError):
            store.save(artifact)
        assert leftovers(tmp_path) == []
        if store.versions("ppo_lstm"):
            assert store.load("ppo_lstm", artifact.version).files == artifact.files
        else:
            assert not store.has(artifact.identity)
        store.save(artifact)
        assert store.load("ppo_lstm", artifact.version).files == artifact.files


def test_appending_a_verdict(failing: Failing, tmp_path: Path) -> None:
    def second(log: VerdictLog) -> None:
        log.rule("b", lambda history: make_ruling("b", "2017-01-09", prior="v2015-12-28-a"))

    probe = VerdictLog(tmp_path / "probe", "ppo_lstm")
    probe.append(make_ruling("a"), after=0)
    calls = count_calls(failing, lambda: second(probe))
    assert calls == 8
    for number in range(1, calls + 1):
        log = VerdictLog(tmp_path / str(number), "ppo_lstm")
        log.append(make_ruling("a"), after=0)
        with failing.nth(number), pytest.raises(StorageError):
            second(log)
        assert [verdict.source_sha256 for verdict in log.history()] in (["a"], ["a", "b"])
        assert log.champion_at("2018-01-08") is not None
        second(log)
        log.append(make_ruling("c", "2018-01-08", prior="v2015-12-28-b"), after=2)
        assert [verdict.source_sha256 for verdict in log.history()] == ["a", "b", "c"]
        assert leftovers(tmp_path) == []
