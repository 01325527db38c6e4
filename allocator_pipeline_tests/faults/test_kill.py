"""Killed without warning while publishing, saving, promoting and recording: valid at every moment, nothing lost."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from allocator_pipeline import atomic
from allocator_pipeline.account.ledger import AccountLedger
from allocator_pipeline.config import AccountConfig
from allocator_pipeline.experience.store import ExperienceStore
from allocator_pipeline.registry.artifacts import ArtifactStore
from allocator_pipeline.registry.verdicts import VerdictLog
from allocator_pipeline_tests.account.market import ALLOCATOR, COSTS
from allocator_pipeline_tests.faults.conftest import Writers
from allocator_pipeline_tests.faults.writers import (
    artifact,
    contested,
    payload,
    rival_report,
    ruling,
    weeks_to_book,
)

KILLS = [pytest.param(10, id="10"), pytest.param(250, id="250", marks=pytest.mark.slow)]


def kill_at_random(
    writers: Writers, program: str, folder: Path, args: list[object], begun: Callable[[], bool], longest: float = 0.03
) -> None:
    """Let a program run for a moment after its first result, then kill it."""
    pid = writers.start(program, folder, *args)
    deadline = time.monotonic() + 30
    while not begun() and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(random.Random(pid).uniform(0, longest))
    writers.kill(pid)
    assert begun()


@pytest.mark.parametrize("kills", KILLS)
def test_while_publishing(writers: Writers, tmp_path: Path, kills: int) -> None:
    pointer = tmp_path / "2015.json"
    for _ in range(kills):
        kill_at_random(writers, "publish", tmp_path, [], pointer.exists)
        content, facts = atomic.read_published(pointer)
        assert content == payload(facts["number"])
    atomic.publish(pointer, b"afterwards", ".bin")
    assert atomic.read_published(pointer)[0] == b"afterwards"


@pytest.mark.parametrize("kills", KILLS)
def test_while_saving_an_artifact(writers: Writers, tmp_path: Path, kills: int) -> None:
    for attempt in range(kills):
        store = ArtifactStore(tmp_path / str(attempt))
        kill_at_random(writers, "save", store.root, [], lambda store=store: bool(store.versions("ppo_lstm")))
        versions = store.versions("ppo_lstm")
        for number in range(len(versions)):
            assert store.has(artifact(number).identity)
        store.save(artifact(len(versions)))  # the one that was interrupted
        assert len(store.versions("ppo_lstm")) == len(versions) + 1


@pytest.mark.parametrize("kills", KILLS)
def test_while_promoting(writers: Writers, tmp_path: Path, kills: int) -> None:
    log = VerdictLog(tmp_path, "ppo_lstm")
    seen: list[str] = []
    for attempt in range(kills):
        name = f"k{attempt}-"
        kill_at_random(writers, "promote", tmp_path, [name], lambda name=name: log.judged(f"{name}0") is not None)
        history = [verdict.source_sha256 for verdict in log.history()]
        assert history[: len(seen)] == seen
        ours = history[len(seen) :]
        assert ours == [f"{name}{number}" for number in range(len(ours))]
        champion = log.champion_at("2020-01-06")
        assert champion is not None
        assert champion.champion == f"v2015-12-28-{history[-1]}"
        seen = history
    verdict = log.rule("afterwards", lambda history: ruling("afterwards", history))  # the dead holder's lock is free
    assert verdict.number == len(seen) + 1


@pytest.mark.parametrize("kills", KILLS)
def test_while_rivals_contend_the_champion_is_valid_and_never_worse(
    writers: Writers, tmp_path: Path, kills: int
) -> None:
    for start in range(0, kills, 50):  # a log of bounded length
        folder = tmp_path / str(start)
        court, numbers = contested(folder), range(min(50, kills - start))
        reports = {number: rival_report(folder, number) for number in numbers}
        sharpe = {
            report["candidate"]: report["year_only"]["series"]["policy"]["metrics"]["sharpe"]
            for report in reports.values()
        }
        best = float("-inf")
        for number in numbers:
            kill_at_random(writers, "contend", folder, [number], lambda: True, longest=0.25)
            champion = court.log.champion()
            assert champion is None or sharpe[champion.champion] >= best
            if champion is not None:
                court.artifacts.load("ppo_lstm", champion.champion)
                best = sharpe[champion.champion]
        assert writers.wait(writers.start("contend", folder, *numbers)) == 0
        champion = court.log.champion()
        assert champion is not None
        assert sharpe[champion.champion] == max(sharpe.values())


@pytest.mark.parametrize("kills", KILLS)
def test_while_recording(writers: Writers, tmp_path: Path, kills: int) -> None:
    store = ExperienceStore(tmp_path / "experience.sqlite")
    for _ in range(kills):
        kill_at_random(
            writers, "record", tmp_path, [len(store.records())], lambda: True, longest=0.1
        )  # polls would block it
        numbers = range(len(store.records()))
        assert {row.decision.run_id for row in store.records()} == {f"paper:{number}:ppo_lstm" for number in numbers}
    assert store.records()


@pytest.mark.parametrize("kills", KILLS)
def test_while_booking(writers: Writers, tmp_path: Path, kills: int) -> None:
    tape, made = weeks_to_book()
    killed, whole = (AccountLedger(tmp_path / name, ALLOCATOR) for name in ("killed", "whole"))
    before = 0
    for _ in range(kills):
        target = min(before + 1, len(made))
        first = tmp_path / "killed" / ALLOCATOR / f"{target:06d}.json"
        kill_at_random(writers, "book", tmp_path / "killed", [], first.exists)
        history = killed.history()
        assert [week.run_id for week in history] == [decided.run_id for decided in made[: len(history)]]
        assert len(history) >= before
        before = len(history)
    for ledger in (killed, whole):
        for decided in made:
            ledger.book(decided, tape, COSTS, AccountConfig())
    assert killed.history() == whole.history()
