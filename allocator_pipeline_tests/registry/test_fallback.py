"""A damaged champion: refused, or, where it is allowed, replaced by the one before it, saying so."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from allocator_pipeline.errors import ConflictError, CorruptArtifactError, MissingPartitionError, NoChampionError
from allocator_pipeline.registry.serving import served_again, serving
from allocator_pipeline_tests.registry.conftest import make_ruling

WEEK = "2018-06-04"


@pytest.fixture
def reigns(log, stored) -> list[str]:
    """Three champions one after another, and a fourth that takes effect after the week."""
    versions = [stored(seed=seed) for seed in range(4)]
    effects = ("2016-01-11", "2017-01-09", "2018-01-08", "2018-06-11")
    for number, (version, week) in enumerate(zip(versions, effects, strict=True)):
        prior = versions[number - 1] if number else None
        assert log.append(make_ruling(str(number), week, candidate=version, prior=prior), after=number)
    return versions


def damage(artifacts, version: str, how: str) -> None:
    folder: Path = artifacts.root / "ppo_lstm" / version
    if how == "flip":
        payload = bytearray((folder / "policy.safetensors").read_bytes())
        payload[-1] ^= 1
        (folder / "policy.safetensors").write_bytes(payload)
    elif how == "file":
        (folder / "policy.json").unlink()
    else:
        shutil.rmtree(folder)


@pytest.mark.parametrize("fallback", ["refuse", "previous"])
def test_a_whole_champion_serves(log, artifacts, reigns, fallback) -> None:
    served = serving(log, artifacts, WEEK, fallback)
    assert (served.champion, served.artifact.version, served.fallback) == (reigns[2], reigns[2], None)


@pytest.mark.parametrize("how", ["flip", "file", "folder"])
def test_a_damaged_champion_is_refused_unless_the_one_before_it_may_serve(log, artifacts, reigns, how) -> None:
    damage(artifacts, reigns[2], how)
    with pytest.raises((CorruptArtifactError, MissingPartitionError), match=reigns[2]):
        serving(log, artifacts, WEEK, "refuse")
    served = serving(log, artifacts, WEEK, "previous")
    assert (served.champion, served.artifact.version) == (reigns[2], reigns[1])
    assert reigns[2] in served.fallback
    damage(artifacts, reigns[1], how)
    assert serving(log, artifacts, WEEK, "previous").artifact.version == reigns[0]
    assert served_again(log, artifacts, WEEK, reigns[0], "because").fallback == "because"
    damage(artifacts, reigns[0], how)
    with pytest.raises((CorruptArtifactError, MissingPartitionError), match=reigns[2]):  # never a later champion
        serving(log, artifacts, WEEK, "previous")


def test_the_one_last_in_force_comes_first_and_one_that_knew_too_much_never(log, artifacts, reigns, stored) -> None:
    back = make_ruling("back", "2018-02-05", candidate=reigns[0], prior=reigns[2], outcome="rolled_back")
    assert log.append(back, after=4)
    damage(artifacts, reigns[0], "flip")
    assert serving(log, artifacts, WEEK, "previous").artifact.version == reigns[2]
    late = make_ruling("late", "2018-02-12", candidate=stored("2018-12-31"), prior=reigns[0])
    assert log.append(late, after=5)
    with pytest.raises(ConflictError, match="2018-12-31"):  # no damage, so nobody takes its place
        serving(log, artifacts, WEEK, "previous")


def test_a_damaged_log_is_always_refused(log, artifacts, reigns) -> None:
    (log.folder / "000002.json").write_bytes(b"{}")
    with pytest.raises(CorruptArtifactError, match="verdicts on ppo_lstm"):
        serving(log, artifacts, WEEK, "previous")


def test_without_a_champion_there_is_nothing_to_fall_back_to(log, artifacts) -> None:
    with pytest.raises(NoChampionError):
        serving(log, artifacts, WEEK, "previous")
