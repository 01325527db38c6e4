"""Prunings and promotions in several processes at once: no verdict names a version that is gone."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from allocator_pipeline.atomic import canonical_json
from allocator_pipeline.registry.artifacts import ArtifactStore
from allocator_pipeline.registry.pruning import prune_log
from allocator_pipeline_tests.faults.conftest import Writers
from allocator_pipeline_tests.faults.writers import contested, rival_report

NAME = "ppo_lstm"
VERSIONS = 8
ROUNDS = [
    pytest.param(12, id="12"),
    pytest.param(500, id="500", marks=[pytest.mark.slow, pytest.mark.timeout(3600)]),
]


@pytest.mark.parametrize("rounds", ROUNDS)
def test_no_verdict_is_left_on_a_version_that_was_pruned(writers: Writers, tmp_path: Path, rounds: int) -> None:
    """An order, a report and two prunings at once, over and over, where all but the newest version may go."""
    before, numbers = tmp_path / "before", dict[str, int]()
    for number in range(VERSIONS):
        report = rival_report(before, number)
        (before / f"{number}.json").write_bytes(canonical_json(report))
        numbers[report["candidate"]] = number
    versions = ArtifactStore(before / "models").versions(NAME)
    rng, lost = random.Random(1), 0
    for number in range(rounds):
        folder = tmp_path / str(number)
        shutil.copytree(before, folder)
        ordered, reported = rng.sample(versions[:-1], 2)
        tasks = [("order", ordered), ("judge", numbers[reported]), ("prune", 1), ("prune", 1)]
        rng.shuffle(tasks)
        latest = {"prune": 0.4}  # seconds; to judge takes longer than to prune
        pids = [writers.start(what, folder, which, rng.random() * latest.get(what, 0.02)) for what, which in tasks]
        assert [writers.wait(pid) for pid in pids] == [0] * len(pids)
        court = contested(folder)
        history = court.log.history()
        for verdict in history:
            court.artifacts.load(NAME, verdict.candidate)
            court.artifacts.load(NAME, verdict.champion)
        removed = {each["version"] for entry in prune_log(court).history() for each in entry.versions}
        assert removed == set(versions) - set(court.artifacts.versions(NAME))
        lost += 2 - len(history)
        shutil.rmtree(folder)
    assert 0 < lost < 2 * rounds  # else the delays no longer let now the one be first and now the other
