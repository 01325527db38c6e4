"""A log whose last link was removed together with its head is not read while anything tells of that link."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from allocator_pipeline.atomic import canonical_json, publish
from allocator_pipeline.errors import CorruptArtifactError
from allocator_pipeline.registry import orders
from allocator_pipeline.registry.anchors import anchors, check_anchors
from allocator_pipeline.registry.court import Court, open_court
from allocator_pipeline.registry.ledger import EvidenceLedger, Try
from allocator_pipeline.registry.promotion import count_report
from allocator_pipeline.registry.verdicts import VerdictLog
from allocator_pipeline.registry.verification import verification
from allocator_pipeline_tests.registry.conftest import best_and_worst, make_artifact, make_report

NAME = "ppo_lstm"
OTHER = "sac_lstm"
WITNESSES = {"promoted_policies": NAME, "promotion_history": NAME, "evaluation_summary": "all"}


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


def only(tmp_path: Path, kept: str) -> None:
    """Leave one witness."""
    for asset, key in WITNESSES.items():
        if asset != kept:
            (tmp_path / "assets" / asset / f"{key}.json").unlink()


def told_by(read: Callable[[], object]) -> str:
    with pytest.raises(CorruptArtifactError, match="restore") as raised:
        read()
    return raised.value.problem


def test_whole_logs_are_read(court, judged, tmp_path) -> None:
    assert court.log.history() == judged
    assert len(court.tries()) == 2
    assert [missing for _, missing in anchors(court, tmp_path / "assets")] == ["", ""]
    assert set(verification(court, set(), tmp_path / "assets")["result"]) == {"verified"}


@pytest.mark.parametrize("witness", ["promoted_policies", "promotion_history"])
def test_a_log_of_verdicts_that_was_cut_is_neither_read_nor_followed(court, judged, stored, tmp_path, witness) -> None:
    cut(court.log.folder, judged)
    only(tmp_path, witness)
    told = f"The verdicts on {NAME} were cut: they end with number 1, and {witness} of {NAME} names number 2."
    assert told in told_by(court.log.history)
    version = stored(seed=9)
    assert told in told_by(lambda: orders.promote(court, version, "2018-03-05", "The board wants it."))
    assert any(told in result for result in verification(court, set(), tmp_path / "assets")["result"])
    assert len(VerdictLog(tmp_path / "registry", NAME).history()) == 1


def test_another_verdict_in_the_place_of_one_is_found(court, judged, judge, report_on, tmp_path) -> None:
    cut(court.log.folder, judged)
    again = Court(VerdictLog(tmp_path / "registry", NAME), court.artifacts, court.ledger, court.inputs)
    orders.promote(again, judged[1].candidate, "2018-03-05", "Somebody wants it.")
    assert "end with number 2, and promoted_policies of ppo_lstm names another number 2" in told_by(court.log.history)


@pytest.mark.parametrize("witness", [*WITNESSES, "verdict 2 on ppo_lstm"])
def test_a_ledger_that_was_cut_is_built_upon_by_no_allocator(court, judged, tmp_path, witness) -> None:
    cut(court.ledger.folder, court.ledger.history())
    only(tmp_path, witness)
    if witness in WITNESSES:
        cut(court.log.folder, judged)
    other = open_court(tmp_path, OTHER)
    artifact = make_artifact("2016-12-27", name=OTHER)
    other.artifacts.save(artifact)
    report = make_report(artifact.version, 2017, (0, 1), allocator=OTHER)
    reads = [
        lambda: count_report(other, report),
        lambda: other.ledger.record(Try(OTHER, "default", "0" * 64, "0" * 64, "2018-01-01", failure="It failed.")),
        lambda: orders.promote(other, artifact.version, "2018-03-05", "The board wants it."),
    ]
    for read in reads:
        told = told_by(read)
        assert "The tries in evidence were cut: they end with number 1, and " in told
        assert witness in told
        assert told.endswith("names number 2.")
    assert len(EvidenceLedger(tmp_path / "registry").history()) == 1
    assert other.log.history() == []  # its own log is whole


def test_a_witness_that_cannot_be_read_tells_nothing(court, judged, tmp_path) -> None:
    for payload in (tmp_path / "assets").glob("*/*.payload.json"):
        payload.write_bytes(b"{}")
    (court.log.folder / "000001.json").write_bytes(b"{}")
    assert len(court.ledger.history()) == 2
    cut(court.ledger.folder, court.ledger.history())
    assert len(court.ledger.history()) == 1
    assert open_court(tmp_path, OTHER).log.history() == []


@pytest.mark.parametrize("chained", [VerdictLog, EvidenceLedger])
@pytest.mark.parametrize("look", ["tries", "anchors", "verdicts"])
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
        "verdicts": lambda: (court.log.history(), court.ledger.history()),
    }
    looks[look]()
    assert landed
