"""What may be removed, what never is, and the record of it."""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocator_pipeline.atomic import canonical_json, publish
from allocator_pipeline.errors import ConfigurationError, CorruptArtifactError, MissingPartitionError, StorageError
from allocator_pipeline.registry import orders, promotion, pruning
from allocator_pipeline.registry.court import open_court
from allocator_pipeline.registry.orders import promote
from allocator_pipeline.registry.promotion import kept, promote_from_stream
from allocator_pipeline.registry.pruning import named_by_partitions, plan, prune, prune_log
from allocator_pipeline.registry.verdicts import VerdictLog
from allocator_pipeline_tests.registry.conftest import make_artifact, make_ruling, rivals


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let fewer than 26 be kept, so that a test needs only some, and none because it is new."""
    monkeypatch.setattr(pruning, "MIN_JUDGED_WEEKS", 1)
    monkeypatch.setattr(pruning, "SETTLING_DAYS", 0)


@pytest.fixture
def years(stored) -> list[str]:
    """Eight versions, oldest first; the fourth descends from the second, and that from the first."""
    versions: list[str] = []
    for number in range(8):
        parent = {1: 0, 3: 1}.get(number)
        versions.append(
            stored(f"20{number + 10}-12-28", seed=number, parent=None if parent is None else versions[parent])
        )
    return versions


def test_the_newest_stay_and_the_rest_is_shown_removed_and_recorded(few, court, years, artifacts) -> None:
    planned = plan(court, set(), keep=2)
    assert [version["version"] for version in planned.remove] == years[:6]
    assert set(planned.keep) == set(years[6:])
    assert artifacts.versions("ppo_lstm") == years  # a plan removes nothing
    manifest = artifacts.load("ppo_lstm", years[1]).manifest
    entry = prune(court, set, keep=2)
    assert entry.versions == list(planned.remove)
    assert entry.versions[1]["identity_sha256"] == manifest["identity_sha256"]
    assert artifacts.versions("ppo_lstm") == years[6:]
    assert prune_log(court).history() == [entry]
    assert prune(court, set, keep=2) is None
    assert len(prune_log(court).history()) == 1


def test_what_a_verdict_or_a_decision_names_stays_with_its_ancestors(few, court, years, log, artifacts) -> None:
    log.append(make_ruling("a", candidate=years[2]), after=0)
    log.append(make_ruling("b", candidate=years[4], prior=years[2], outcome="kept"), after=1)
    prune(court, lambda: {years[3], "equal_weight"}, keep=1)
    assert artifacts.versions("ppo_lstm") == [*years[:5], years[7]]
    assert plan(court, {years[3]}, keep=1).keep[years[0]].endswith("descends from it")


def test_a_version_made_again_may_be_removed_again(few, court, years, stored, artifacts) -> None:
    first = prune(court, set, keep=5)
    assert stored("2012-12-28", seed=2) == years[2]
    second = prune(court, set, keep=5)
    assert (first.versions, first.number, second.number) == (second.versions, 1, 2)
    assert artifacts.versions("ppo_lstm") == [*years[:2], *years[3:]]


def test_too_small_a_keep_and_anything_damaged_are_refused(court, years, artifacts) -> None:
    with pytest.raises(ConfigurationError, match="26"):
        prune(court, set, keep=25)
    (artifacts.root / "ppo_lstm" / years[7] / "manifest.json").write_bytes(b"{}")
    with pytest.raises(CorruptArtifactError, match=years[7]):
        prune(court, set)
    assert artifacts.versions("ppo_lstm") == years


def test_what_a_pruning_that_died_left_aside_is_removed_or_put_back(few, court, years, log, artifacts) -> None:
    folder = artifacts.root / "ppo_lstm"
    for version in years[:2]:
        (folder / version).rename(folder / f".{version}.pruned")
    log.append(make_ruling("a", candidate=years[0]), after=0)
    assert prune(court, set, keep=8) is None
    assert artifacts.versions("ppo_lstm") == [years[0], *years[2:]]
    assert sorted(folder.iterdir()) == sorted(folder / version for version in (years[0], *years[2:]))


@pytest.fixture
def died(few, court, years, monkeypatch) -> Path:
    """A pruning that died after it had put three versions aside; the first of them was made again since."""

    def die(place: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pruning.shutil, "rmtree", die)
        with pytest.raises(KeyboardInterrupt):
            prune(court, set, keep=5)
    folder = court.artifacts.root / "ppo_lstm"
    assert sorted(place.name for place in folder.glob(".*")) == [f".{years[2]}.pruned"]
    return folder


def test_a_version_made_again_after_a_pruning_that_died_is_removed_by_the_next(
    died, court, years, stored, artifacts
) -> None:
    assert stored("2012-12-28", seed=2) == years[2]
    entry = prune(court, set, keep=5)
    assert [version["version"] for version in entry.versions] == [years[2]]
    assert artifacts.versions("ppo_lstm") == [*years[:2], *years[3:]]
    assert list(died.glob(".*")) == []
    assert prune(court, set, keep=5) is None
    assert len(prune_log(court).history()) == 2


def test_what_cannot_be_removed_is_not_recorded_as_removed(few, court, years, artifacts, monkeypatch) -> None:
    monkeypatch.setattr(os, "access", lambda place, mode: False)
    for _ in range(2):
        with pytest.raises(StorageError, match="mend the permissions"):
            prune(court, set, keep=5)
    assert prune_log(court).history() == []
    assert artifacts.versions("ppo_lstm") == years


def test_what_a_running_training_has_stored_stays(few, court, years, stored, artifacts, monkeypatch) -> None:
    monkeypatch.setattr(pruning, "SETTLING_DAYS", 30)
    for number, version in enumerate(years):
        before = time.time() - (29 if number == 2 else 31) * 86_400
        os.utime(artifacts.root / "ppo_lstm" / version, (before, before))
    fresh = stored("2009-12-28", seed=99)  # of a back-fill, whose partitions are stored at its end
    assert plan(court, set(), keep=5).keep[fresh] == "it was stored in the last 30 days"
    assert prune(court, set, keep=5) is None
    assert artifacts.versions("ppo_lstm") == [fresh, *years]
    assert [version["version"] for version in prune(court, set, keep=2).versions] == [*years[:2], *years[3:6]]


def test_what_is_needed_is_asked_when_nothing_can_come_in_any_more(few, court, years, artifacts, monkeypatch) -> None:
    monkeypatch.setattr("allocator_pipeline.registry.chain.LOCK_SECONDS", 0.1)

    def needed() -> set[str]:
        other = VerdictLog(court.log.folder.parent, "ppo_lstm")
        with pytest.raises(StorageError):
            other.append(make_ruling(), after=0)
        return set(years)

    assert prune(court, needed, keep=5) is None
    assert artifacts.versions("ppo_lstm") == years


def test_the_candidate_of_a_stream_that_is_not_judged_yet_stays(few, court, stream, artifacts, tmp_path) -> None:
    papers, assets = stream(60, 0.005), tmp_path / "assets"
    for paper in papers:
        pointer = assets / "paper_evaluations" / f"ppo_lstm+{paper['week']}.json"
        publish(pointer, canonical_json(paper), ".payload.json")
    prune(court, lambda: named_by_partitions(assets, "ppo_lstm"), keep=1)
    assert promote_from_stream(court, papers, rivals) is not None
    read = {"judged_through": papers[-1]["week"]}
    publish(assets / "promoted_policies" / "ppo_lstm.json", canonical_json(read), ".payload.json")
    assert named_by_partitions(assets, "ppo_lstm") == set()
    prune(court, lambda: named_by_partitions(assets, "ppo_lstm"), keep=1)
    assert promote_from_stream(court, papers, rivals) is not None  # found in the log
    assert len(artifacts.versions("ppo_lstm")) < 10


def test_an_order_given_during_a_pruning_waits_and_finds_the_version_gone(
    few, court, years, log, artifacts, monkeypatch
) -> None:
    remove, began = pruning._remove, Event()

    def slow(*arguments):
        began.set()
        time.sleep(0.3)  # time enough to promote what is about to go, were it not for the lock
        return remove(*arguments)

    monkeypatch.setattr(pruning, "_remove", slow)
    with ThreadPoolExecutor(1) as pool:
        pruned = pool.submit(prune, court, set, 5)
        assert began.wait(30)
        with pytest.raises(MissingPartitionError, match=years[2]):
            promote(court, years[2], "2018-03-05", "It was good once.")
        assert [version["version"] for version in pruned.result().versions] == [years[2]]
    assert log.history() == []
    assert artifacts.versions("ppo_lstm") == [*years[:2], *years[3:]]


@pytest.fixture
def judgements(court, judge, report_on, stream, stored) -> dict[str, Callable[[], object]]:
    """One of each kind that names a version for the first time."""
    report, papers, chosen = report_on(2017, (1,)), stream(26, 0.005), stored(seed=9)
    return {
        "order": lambda: promote(court, chosen, "2018-03-05", "The board wants it."),
        "report": lambda: judge(report),
        "stream": lambda: promote_from_stream(court, papers, rivals),
    }


@pytest.mark.parametrize("kind", ["order", "report", "stream"])
def test_no_verdict_names_what_was_pruned_while_it_was_made(
    few, court, judgements, stored, log, artifacts, monkeypatch, kind
) -> None:
    stored("2018-12-26", seed=99)  # the newest, which stays
    before = log.history()

    def kept_and_pruned(*arguments):
        prune(court, set, keep=1)
        return kept(*arguments)

    for module in (orders, promotion):
        monkeypatch.setattr(module, "kept", kept_and_pruned)
    with pytest.raises(MissingPartitionError):
        judgements[kind]()
    assert log.history() == before
    assert all(verdict.champion in artifacts.versions("ppo_lstm") for verdict in before)


def test_allocators_are_independent(few, court, years, stored, artifacts, tmp_path: Path) -> None:
    other = [stored(f"20{number + 10}-12-28", name="sac_lstm") for number in range(3)]
    prune(court, set, keep=2)
    assert artifacts.versions("sac_lstm") == other
    theirs = replace(court, log=VerdictLog(tmp_path / "registry", "sac_lstm"))
    assert prune(theirs, set, keep=2).allocator == "sac_lstm"
    assert len(prune_log(court).history()) == len(prune_log(theirs).history()) == 1


def test_partitions_name_versions(tmp_path: Path) -> None:
    assert named_by_partitions(tmp_path, "ppo_lstm") == set()
    publish(tmp_path / "trained_policies" / "ppo_lstm+2016.json", canonical_json({"version": "v1"}), ".payload.json")
    publish(tmp_path / "trained_policies" / "sac_lstm+2016.json", canonical_json({"version": "v2"}), ".payload.json")
    publish(tmp_path / "eval_reports" / "ppo_lstm+2017.json", canonical_json({"candidate": "v3"}), ".payload.json")
    assert named_by_partitions(tmp_path, "ppo_lstm") == {"v1", "v3"}
    next((tmp_path / "eval_reports").glob("*.payload.json")).write_bytes(b"{}")
    with pytest.raises(CorruptArtifactError):
        named_by_partitions(tmp_path, "ppo_lstm")


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_nothing_needed_is_ever_removed(seed: int) -> None:
    rng = random.Random(seed)
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(pruning, "MIN_JUDGED_WEEKS", 1)
        patch.setattr(pruning, "SETTLING_DAYS", 0)
        patch.setattr(os, "fsync", lambda handle: None)
        court, parents = open_court(Path(folder), "ppo_lstm"), dict[str, str | None]()
        for number in range(10):
            parent = rng.choice([None, *parents])
            made = make_artifact(f"20{number + 10}-12-28", parent=parent)
            court.artifacts.save(made)
            parents[made.version] = parent
        versions = list(parents)
        for number in range(rng.randrange(4)):
            named = {"candidate": rng.choice(versions), "prior": rng.choice(versions)}
            court.log.append(make_ruling(str(number), **named, outcome=rng.choice(("kept", "promoted"))), after=number)
        needed, keep = set(rng.sample(versions, rng.randrange(3))), rng.randrange(1, 5)
        prune(court, lambda: needed, keep)
        left = set(court.artifacts.versions("ppo_lstm"))
        history = court.log.history()
        assert {*needed, *versions[-keep:]} <= left
        assert {name for verdict in history for name in (verdict.candidate, verdict.champion, verdict.prior)} <= left
        assert {parents[version] for version in left} - {None} <= left
        gone = {version["version"] for entry in prune_log(court).history() for version in entry.versions}
        assert gone == set(versions) - left
