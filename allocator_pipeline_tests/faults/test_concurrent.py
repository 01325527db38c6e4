"""Several promoters at once: one linear history, each source judged once."""

from __future__ import annotations

from pathlib import Path

import pytest

from allocator_pipeline.registry.verdicts import VerdictLog
from allocator_pipeline_tests.faults.conftest import Writers

SIZES = [
    pytest.param(4, 3, id="4x3"),
    pytest.param(8, 50, id="8x50", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("promoters", "each"), SIZES)
def test_different_sources_all_get_in(writers: Writers, tmp_path: Path, promoters: int, each: int) -> None:
    pids = [writers.start("promote", tmp_path, f"p{number}-", each) for number in range(promoters)]
    assert [writers.wait(pid) for pid in pids] == [0] * promoters
    history = VerdictLog(tmp_path, "ppo_lstm").history()
    assert sorted(verdict.source_sha256 for verdict in history) == sorted(
        f"p{number}-{source}" for number in range(promoters) for source in range(each)
    )
    assert [verdict.prior for verdict in history] == [None, *(verdict.champion for verdict in history[:-1])]


@pytest.mark.parametrize(("promoters", "each"), SIZES)
def test_the_same_sources_are_judged_once(writers: Writers, tmp_path: Path, promoters: int, each: int) -> None:
    pids = [writers.start("promote", tmp_path, "same", each) for _ in range(promoters)]
    assert [writers.wait(pid) for pid in pids] == [0] * promoters
    history = VerdictLog(tmp_path, "ppo_lstm").history()
    assert [verdict.source_sha256 for verdict in history] == [f"same{number}" for number in range(each)]
