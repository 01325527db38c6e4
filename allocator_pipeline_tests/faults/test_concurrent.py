"""Several promoters at once: one linear history, each source judged once, and the best wins."""

from __future__ import annotations

from pathlib import Path

import pytest

from allocator_pipeline.registry.verdicts import VerdictLog
from allocator_pipeline_tests.faults.conftest import Writers
from allocator_pipeline_tests.faults.writers import contested, rival_report

SIZES = [
    pytest.param(4, 3, id="4x3"),
    pytest.param(8, 50, id="8x50", marks=pytest.mark.slow),
]

ROUNDS = [
    pytest.param(3, 8, id="3x8"),
    pytest.param(20, 50, id="20x50", marks=[pytest.mark.slow, pytest.mark.timeout(3600)]),
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


@pytest.mark.parametrize(("rounds", "rivals"), ROUNDS)
def test_of_eight_promoters_at_once_the_best_wins(writers: Writers, tmp_path: Path, rounds: int, rivals: int) -> None:
    """Full trainings and fine-tunes of one year, judged by the real rule in eight processes."""
    for number in range(rounds):
        folder, numbers = tmp_path / str(number), range(number * rivals, (number + 1) * rivals)
        reports = [rival_report(folder, rival) for rival in numbers]
        pids = [writers.start("contend", folder, *numbers[promoter::8]) for promoter in range(8)]
        assert [writers.wait(pid) for pid in pids] == [0] * 8
        court = contested(folder)
        history = court.log.history()
        sharpe = {
            report["candidate"]: report["year_only"]["series"]["policy"]["metrics"]["sharpe"] for report in reports
        }
        assert sorted(verdict.candidate for verdict in history) == sorted(sharpe)
        assert [verdict.prior for verdict in history] == [None, *(verdict.champion for verdict in history[:-1])]
        reigns = [sharpe[verdict.champion] for verdict in history]
        assert reigns == sorted(reigns)
        assert reigns[-1] == max(sharpe.values())
        assert len(court.ledger.history()) == rivals
