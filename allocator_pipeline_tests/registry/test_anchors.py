"""A log whose last link was removed together with its head is found by what rests on that link, and by nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from allocator_pipeline.atomic import canonical_json, publish
from allocator_pipeline.errors import CorruptArtifactError
from allocator_pipeline.registry.anchors import anchors, check_anchors, check_named
from allocator_pipeline.registry.ledger import EvidenceLedger
from allocator_pipeline.registry.promotion import count_report
from allocator_pipeline.registry.verdicts import VerdictLog
from allocator_pipeline.registry.verification import verification
from allocator_pipeline_tests.registry.conftest import best_and_worst

NAME = "ppo_lstm"


@pytest.fixture
def keep(tmp_path: Path) -> Callable[..., None]:
    """Store a partition."""
    return lambda asset, key, value: publish(
        tmp_path / "assets" / asset / f"{key}.json", canonical_json(value), ".payload.json"
    )


@pytest.fixture
def judged(court, judge, report_on, keep):
    """Two reports, judged and stored, and what is shown of them."""
    best, worst = best_and_worst(2017)
    for report in (report_on(2016, worst), report_on(2017, best)):
        judge(report)
        keep("eval_reports", f"{NAME}+{report['year']}", report)
    history, tries = court.log.history(), court.ledger.history()
    keep("promoted_policies", NAME, {"verdicts": [asdict(verdict) for verdict in history]})
    cases = [{**asdict(verdict), "sha256": verdict.sha256} for verdict in history]
    told = [{"number": entry.number, "sha256": entry.sha256} for entry in tries]
    keep("promotion_history", NAME, {"cases": cases, "tries": told})
    keep("evaluation_summary", "all", {"tries": {"count": 2}})
    return history


def cut(folder: Path, links: list) -> None:
    """Remove the last link and write the head of before, as whoever can write the folder could."""
    (folder / f"{len(links):06d}.json").unlink()
    before = links[-2]
    (folder / "head.json").write_bytes(canonical_json({"count": before.number, "sha256": before.sha256}))


def missing(court, tmp_path: Path) -> dict[str, str]:
    return {f"{what} {name}": why for what, name, why in anchors(court, tmp_path / "assets") if why}


def test_whole_logs_hold_all_that_rests_on_them(court, judged, tmp_path) -> None:
    found = list(anchors(court, tmp_path / "assets"))
    assert sorted(what for what, _, _ in found) == sorted(
        ["verdict", "report", "promoted_policies", "promotion_history", "evaluation_summary", "verdict", "report"]
    )
    assert missing(court, tmp_path) == {}
    check_anchors(court, tmp_path / "assets")


def test_a_try_that_was_cut_off_is_missed_by_its_report_its_verdict_and_the_summaries(court, judged, tmp_path) -> None:
    cut(court.ledger.folder, court.ledger.history())
    assert len(court.ledger.history()) == 1  # valid in itself
    found = missing(court, tmp_path)
    assert set(found) == {
        f"report {NAME} 2017",
        "verdict 2",
        f"promotion_history {NAME}",
        "evaluation_summary all",
    }
    assert found["evaluation_summary all"] == "it was made after 2 tries, and the ledger holds 1"
    with pytest.raises(CorruptArtifactError, match=r"(?s)try that the ledger does not hold.*restore"):
        check_anchors(court, tmp_path / "assets")
    table = verification(court, set(), tmp_path / "assets")
    assert (table["result"] != "verified").sum() == 4


def test_a_report_that_nobody_has_judged_misses_its_try_too(court, report_on, keep, tilted, tmp_path) -> None:
    for year in (2016, 2017):
        report = report_on(year, (0,))
        count_report(court, report)
        keep("eval_reports", f"{NAME}+{year}", report)
    assert missing(court, tmp_path) == {}
    cut(court.ledger.folder, court.ledger.history())
    assert missing(court, tmp_path) == {f"report {NAME} 2017": "the ledger holds no try of it"}


def test_a_verdict_that_was_cut_off_is_missed_by_the_champion_and_the_record(court, judged, tmp_path) -> None:
    cut(court.log.folder, judged)
    assert len(court.log.history()) == 1
    assert missing(court, tmp_path) == {
        f"{asset} {NAME}": "it names verdict 2, and the log ends with number 1"
        for asset in ("promoted_policies", "promotion_history")
    }


def test_another_verdict_in_the_place_of_one_is_found(court, judged, judge, report_on, tmp_path) -> None:
    cut(court.log.folder, judged)
    judge(report_on(2018, (3,)))
    assert missing(court, tmp_path)[f"promoted_policies {NAME}"] == "verdict 2 of the log is not the one that it names"


def test_a_report_whose_model_is_gone_is_said_to_be_undecided(court, judged, tmp_path) -> None:
    folder = court.artifacts.root / NAME / judged[1].candidate
    (folder / "policy.json").write_bytes(b"{}")
    assert "its try cannot be looked for" in missing(court, tmp_path)[f"report {NAME} 2017"]


@pytest.mark.parametrize("chained", [VerdictLog, EvidenceLedger])
@pytest.mark.parametrize("look", ["tries", "anchors", "named"])
def test_a_judgement_that_lands_while_logs_are_read_is_no_lost_one(
    court, judge, report_on, keep, tmp_path, monkeypatch, look, chained
) -> None:
    """Another process judges, and what rests on it is stored, between the reading of one log and of the other."""
    best, worst = best_and_worst(2017)
    judge(report_on(2016, worst))
    report, landed = report_on(2017, best), []

    def then_judge(read):
        def reading(self):
            found = read(self)
            if not landed:
                landed.append(True)
                judge(report)
                keep("eval_reports", f"{NAME}+2017", report)
                keep("promoted_policies", NAME, {"verdicts": [asdict(verdict) for verdict in court.log.history()]})
                keep("evaluation_summary", "all", {"tries": {"count": len(court.ledger.history())}})
            return found

        return reading

    monkeypatch.setattr(chained, "history", then_judge(chained.history))
    looks = {
        "tries": court.tries,
        "anchors": lambda: check_anchors(court, tmp_path / "assets"),
        "named": lambda: check_named(court, tmp_path / "assets", "promoted_policies"),
    }
    looks[look]()
    assert landed
