"""Files that cannot grow any further, wherever that is: the old one or the new one, and the error names it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from allocator_pipeline import atomic
from allocator_pipeline.experience.store import ExperienceStore
from allocator_pipeline.registry.artifacts import ArtifactStore
from allocator_pipeline.registry.verdicts import VerdictLog
from allocator_pipeline_tests.faults.conftest import Writers
from allocator_pipeline_tests.faults.writers import artifact, one_of_each, payload

COUNTS = [pytest.param(20, id="20"), pytest.param(100, id="100", marks=pytest.mark.slow)]


@pytest.mark.parametrize("count", COUNTS)
def test_what_was_stored_before_is_intact(writers: Writers, tmp_path: Path, count: int) -> None:
    rng, outcomes = random.Random(1), set()
    for write in one_of_each(tmp_path, 0):
        write()
    for number in range(1, count + 1):
        limit = int(10 ** rng.uniform(1.0, 5.5))
        assert writers.wait(writers.start("starve", tmp_path, limit, number)) == 0
        content, facts = atomic.read_published(tmp_path / "2015.json")
        assert facts["number"] in (number - 1, number)
        assert content == payload(facts["number"])
        sources = [verdict.source_sha256 for verdict in VerdictLog(tmp_path / "registry", "ppo_lstm").history()]
        assert sources in ([f"s{old}" for old in range(number)], [f"s{old}" for old in range(number + 1)])
        models = ArtifactStore(tmp_path / "models")
        saved = [models.has(artifact(written).identity) for written in range(number + 1)]
        assert all(saved[:-1])
        decided = ExperienceStore(tmp_path / "experience.sqlite").records()
        assert {row.decision.run_id for row in decided} >= {f"paper:{old}:ppo_lstm" for old in range(number)}
        outcomes.add(tuple(written - number for written in (facts["number"], len(sources), sum(saved), len(decided))))
        for write in one_of_each(tmp_path, number):  # there is room again
            write()
    assert len(outcomes) > 3  # of the four, now one fitted in and now another
