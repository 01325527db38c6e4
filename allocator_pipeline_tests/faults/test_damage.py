"""Bit flips, truncations, swaps and losses in stored files: refused before use, every time."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from allocator_pipeline import atomic
from allocator_pipeline.errors import CorruptArtifactError, MissingPartitionError
from allocator_pipeline.registry.artifacts import ArtifactStore
from allocator_pipeline.registry.verdicts import VerdictLog
from allocator_pipeline_tests.registry.conftest import make_artifact, make_ruling

COUNTS = [pytest.param(200, id="200"), pytest.param(2500, id="2500", marks=pytest.mark.slow)]


def flip(path: Path, others: list[Path], rng: random.Random) -> None:
    """Flip one bit."""
    payload = bytearray(path.read_bytes())
    payload[rng.randrange(len(payload))] ^= 1 << rng.randrange(8)
    path.write_bytes(payload)


def truncate(path: Path, others: list[Path], rng: random.Random) -> None:
    """Cut off the end."""
    payload = path.read_bytes()
    path.write_bytes(payload[: rng.randrange(len(payload))])


def extend(path: Path, others: list[Path], rng: random.Random) -> None:
    """Append some bytes."""
    path.write_bytes(path.read_bytes() + rng.randbytes(rng.randrange(1, 9)))


def swap(path: Path, others: list[Path], rng: random.Random) -> None:
    """Exchange two files."""
    other = rng.choice(others)
    mine, theirs = path.read_bytes(), other.read_bytes()
    path.write_bytes(theirs)
    other.write_bytes(mine)


def lose(path: Path, others: list[Path], rng: random.Random) -> None:
    """Remove the file."""
    path.unlink()


DAMAGES = (flip, flip, flip, flip, truncate, extend, swap, lose)


def damage_many(count: int, folder: Path, read: Callable[[], object]) -> None:
    """Damage the files of a folder in many ways, one at a time; each time reading must be refused."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    whole = {path: path.read_bytes() for path in files}
    read()
    for number in range(count):
        rng = random.Random(number)
        path, damage = rng.choice(files), rng.choice(DAMAGES)
        damage(path, [other for other in files if other != path], rng)
        try:
            read()
        except (CorruptArtifactError, MissingPartitionError):
            pass
        else:
            pytest.fail(f"{damage.__doc__} {path.name} (seed {number}) went unseen")
        for restored, content in whole.items():
            restored.write_bytes(content)
    read()


@pytest.mark.parametrize("count", COUNTS)
def test_artifacts(tmp_path: Path, count: int) -> None:
    store, artifact = ArtifactStore(tmp_path), make_artifact()
    store.save(artifact)
    damage_many(count, tmp_path, lambda: store.load("ppo_lstm", artifact.version))


@pytest.mark.parametrize("count", COUNTS)
def test_published_tables(tmp_path: Path, count: int) -> None:
    pointer = tmp_path / "2015.json"
    table = pd.DataFrame({"symbol": ["A", "B"] * 50, "close": np.arange(100.0)})
    atomic.publish(pointer, atomic.table_bytes(table), ".parquet", {"rows": 100})
    damage_many(count, tmp_path, lambda: atomic.read_published(pointer))


@pytest.mark.parametrize("count", COUNTS)
def test_verdicts(tmp_path: Path, count: int) -> None:
    log = VerdictLog(tmp_path, "ppo_lstm")
    for number in range(4):
        log.append(make_ruling(f"s{number}", f"201{number}-01-04", prior="v2015-12-28-s0"), after=number)

    def read() -> None:
        if not (log.folder / "head.json").exists():  # it counts; losing it alone loses nothing
            raise MissingPartitionError("lost", todo="")
        log.history()

    damage_many(count, tmp_path, read)


def test_versions_swapped_whole(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    first, second = (store.save(make_artifact(seed=seed)) for seed in (1, 2))
    shutil.move(first, tmp_path / "aside")
    shutil.move(second, first)
    shutil.move(tmp_path / "aside", second)
    for folder in (first, second):
        with pytest.raises(CorruptArtifactError, match="it is ppo_lstm"):
            store.load("ppo_lstm", folder.name)


def test_a_version_of_another_allocator(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    folder = store.save(make_artifact())
    shutil.copytree(folder, tmp_path / "sac_lstm" / folder.name)
    with pytest.raises(CorruptArtifactError, match="it is ppo_lstm"):
        store.load("sac_lstm", folder.name)
