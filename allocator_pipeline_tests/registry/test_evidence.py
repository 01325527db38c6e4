"""What a verdict says about the evidence, and what the gate makes of it."""

from __future__ import annotations

import shutil
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest

from allocator_pipeline.artifact import Identity
from allocator_pipeline.atomic import canonical_json, sha256
from allocator_pipeline.config import GateConfig
from allocator_pipeline.errors import (
    CorruptArtifactError,
    MissingPartitionError,
    NotEnoughDataError,
    StorageError,
    TrainingDivergedError,
    WorkerError,
)
from allocator_pipeline.evaluation.metrics import metrics
from allocator_pipeline.market import calendar
from allocator_pipeline.portfolio.rollout import simulate
from allocator_pipeline.portfolio.state import concatenate
from allocator_pipeline.registry import orders, promotion
from allocator_pipeline.registry.ledger import BASELINES
from allocator_pipeline.registry.replay import replay
from allocator_pipeline.registry.tries import baseline_returns, count_failure
from allocator_pipeline_tests.registry.conftest import COSTS, STATES, Tilted, best_and_worst, rivals

STRICT = GateConfig(proof_to_promote=True)
ALL = concatenate(list(STATES.values()))


def beaten_by(report: dict[str, Any], gain: float) -> dict[str, Any]:
    """Return a report whose baselines earn so much less than the policy each week, give or take noise."""
    series = report["walk_forward"]["series"]
    net = np.array(series["policy"]["weekly"]["net"])
    for number, name in enumerate(BASELINES):
        other = net - gain + np.random.default_rng(number).normal(0.0, 0.003, len(net))
        weekly = {**series[name]["weekly"], "net": other.tolist()}
        series[name] = {"metrics": metrics(other, weekly["turnover"]), "weekly": weekly}
    return report


def test_a_verdict_carries_badge_duel_gate_and_the_hashes_of_its_inputs(judge, report_on, court) -> None:
    best, worst = best_and_worst(2017)
    judge(report_on(2016, worst))
    report = report_on(2017, best)
    verdict = judge(report)
    evidence, entry = verdict.evidence, court.ledger.history()[1]
    assert evidence["badge"]["verdict"] == entry.verdict
    assert (evidence["badge"]["try"], evidence["badge"]["sequence"], evidence["badge"]["position"]) == (2, 1, 2)
    for name in BASELINES:
        told, kept = evidence["badge"]["against"][name], entry.against[name]
        assert all(told[score] == kept[score] for score in ("sharpe_difference", "t", "z", "threshold"))
        assert 0.0 < told["p_value"] < 1.0
        assert (told["p_value"] < 0.5) == (told["z"] > 0)
    assert evidence["duel"]["bootstrap"]["low"] < evidence["duel"]["bootstrap"]["estimate"]
    assert 0.0 < evidence["duel"]["ledoit_wolf"]["p_value"] <= 1.0
    difference = evidence["candidate"]["sharpe"] - evidence["champion"]["sharpe"]
    assert evidence["duel"]["bootstrap"]["estimate"] == pytest.approx(difference)
    assert evidence["gate"] == asdict(GateConfig())
    inputs = evidence["inputs"]
    assert set(inputs) == {"report", "walk", "candidate", "champion", "states", "entry"}
    assert inputs["report"] == sha256(canonical_json(report))
    assert inputs["entry"] == entry.sha256
    assert inputs["states"] == STATES[2017].digest()
    assert court.inputs.read(inputs["report"]) == report
    assert court.inputs.read(inputs["champion"])["version"] == verdict.prior


def test_every_judgement_is_one_try_and_again_none(judge, report_on, court) -> None:
    reports = [report_on(year, (0, year % 5)) for year in (2016, 2017, 2018)]
    for report in reports:
        judge(report)
    assert [entry.number for entry in court.ledger.history()] == [1, 2, 3]
    before = court.ledger.history()
    for report in reports:
        judge(report)
    assert court.ledger.history() == before
    first = before[0]
    assert (first.candidate, first.date) == (reports[0]["candidate"], "2017-01-09")
    manifest = court.artifacts.load("ppo_lstm", first.candidate).manifest
    assert first.recipe_sha256 == sha256(canonical_json(manifest["config"]))
    assert first.data_sha256 == manifest["data_sha256"]
    assert list(first.weeks) == reports[0]["walk_forward"]["series"]["policy"]["weekly"]["weeks"]


def test_what_is_looked_at_is_counted_whoever_is_promoted(judge, report_on, court) -> None:
    """Whoever trains two seeds and has the better one promoted has tried twice."""
    judge(report_on(2016, (0,)))
    seeds = [report_on(2017, slots) for slots in best_and_worst(2017)]
    counted = [promotion.count_report(court, report) for report in seeds]
    assert [entry.number for entry in counted] == [2, 3]
    assert len(court.log.history()) == 1
    verdict = judge(seeds[0])
    assert len(court.ledger.history()) == 3  # judging finds the try
    assert verdict.evidence["inputs"]["entry"] == counted[0].sha256
    assert promotion.count_report(court, seeds[1]) == counted[1]


def test_a_proof_once_given_stands(judge, report_on, court) -> None:
    """One rule for gate, record, page and serving: any try that proved a version."""
    report = beaten_by(report_on(2016, (0,)), 0.02)
    first = judge(report)
    assert (first.evidence["badge"]["verdict"], first.evidence["badge"]["proof"]) == ("proven", 1)
    again = judge(beaten_by(report | {"universe": "fixed"}, -0.001))
    badge = again.evidence["badge"]
    assert (badge["verdict"], badge["try"], badge["proof"]) == ("not_proven", 2, 1)
    proof = court.proof(first.champion)
    assert proof is not None
    assert (proof.number, court.proof(first.champion, by="2017-01-02")) == (1, None)
    judge(report_on(2017, best_and_worst(2017)[0]))
    back = orders.rollback(court, first.champion, "2018-03-05", "A test.")
    assert (back.evidence["badge"]["try"], back.evidence["badge"]["proof"]) == (2, 1)
    judge(report_on(2018, best_and_worst(2018)[0]))
    strict = replace(court, gate=GateConfig(proof_to_promote=True))
    chosen = orders.promote(strict, first.champion, "2019-03-04", "A test.")
    assert (chosen.outcome, chosen.champion) == ("promoted", first.champion)
    assert (chosen.evidence["badge"]["try"], chosen.evidence["badge"]["proof"]) == (2, 1)
    assert replay(court)[-1].status == "same"


def test_a_ledger_without_the_tries_of_verdicts_takes_no_more_and_proves_nothing(
    judge, report_on, court, stored
) -> None:
    report, other, version = report_on(2016, (0,)), report_on(2017, (1,)), stored("2016-12-27", seed=5)
    champion = judge(report).champion
    shutil.rmtree(court.ledger.folder)
    for use in (
        lambda: judge(other),
        lambda: promotion.count_report(court, other),
        lambda: court.proof(champion),
        lambda: orders.promote(court, version, "2018-03-05", "A test."),
    ):
        with pytest.raises(CorruptArtifactError, match="verdict 1 on ppo_lstm names number 1"):
            use()
    assert not list(court.ledger.folder.glob("*.json"))


def test_a_verdict_that_was_not_written_finds_its_try_again(judge, report_on, court, monkeypatch) -> None:
    report = report_on(2016, (0,))
    monkeypatch.setattr(promotion, "ruling_on_report", lambda *_: (_ for _ in ()).throw(StorageError("no", todo="no")))
    with pytest.raises(StorageError):
        judge(report)
    assert (len(court.ledger.history()), court.log.history()) == (1, [])
    monkeypatch.undo()
    assert promotion.promote_from_report(court, report, ALL, COSTS).evidence["badge"]["try"] == 1
    assert len(court.ledger.history()) == 1


@pytest.mark.parametrize(("gain", "outcome"), [(0.0006, "kept"), (0.02, "promoted")])
def test_where_proof_is_demanded_a_win_by_noise_is_kept(tilted, report_on, court, gain: float, outcome: str) -> None:
    strict = replace(court, gate=STRICT)
    best, worst = best_and_worst(2017)
    first = promotion.promote_from_report(strict, report_on(2016, worst), ALL, COSTS)
    assert (first.outcome, first.evidence["badge"]["verdict"]) == ("promoted", "not_proven")  # there must be one
    verdict = promotion.promote_from_report(strict, beaten_by(report_on(2017, best), gain), ALL, COSTS)
    assert verdict.evidence["candidate"]["sharpe"] > verdict.evidence["champion"]["sharpe"]
    assert verdict.outcome == outcome
    assert (verdict.evidence["badge"]["verdict"] == "proven") == (outcome == "promoted")
    assert ("not proven" in verdict.reason) == (outcome == "kept")
    assert verdict.evidence["gate"]["proof_to_promote"] is True


def test_without_the_demand_the_same_win_is_promoted(tilted, report_on, court) -> None:
    best, worst = best_and_worst(2017)
    promotion.promote_from_report(court, report_on(2016, worst), ALL, COSTS)
    verdict = promotion.promote_from_report(court, beaten_by(report_on(2017, best), 0.0006), ALL, COSTS)
    assert (verdict.outcome, verdict.evidence["badge"]["verdict"]) == ("promoted", "not_proven")


def test_a_stream_is_a_try_of_its_challengers(stream, court, log) -> None:
    papers = stream(26, 0.001)
    verdict = promotion.promote_from_stream(court, papers, rivals)
    assert verdict is not None
    entry = court.ledger.history()[-1]
    assert (entry.number, entry.candidate, entry.date) == (2, verdict.candidate, verdict.effective_week)
    assert list(entry.weeks) == [paper["week"] for paper in papers]
    assert verdict.evidence["badge"]["try"] == 2
    assert set(verdict.evidence["inputs"]) == {"papers", "baselines", "candidate", "champion", "states", "entry"}
    assert verdict.evidence["duel"]["ledoit_wolf"]["p_value"] < 0.05  # the same gain every week
    assert promotion.promote_from_stream(court, papers, rivals) == verdict
    assert len(court.ledger.history()) == 2


def test_a_better_stream_without_proof_is_kept_where_proof_is_demanded(stream, court) -> None:
    verdict = promotion.promote_from_stream(replace(court, gate=STRICT), stream(26, 0.001), rivals)
    assert verdict is not None
    assert (verdict.outcome, verdict.evidence["badge"]["verdict"]) == ("kept", "not_proven")


def test_a_roll_back_carries_the_badge_of_its_version_and_is_no_try(judge, report_on, court) -> None:
    best, worst = best_and_worst(2017)
    first = judge(report_on(2016, worst))
    judge(report_on(2017, best))
    strict = replace(court, gate=STRICT)  # an operator must be able to go back
    verdict = orders.rollback(strict, first.champion, "2018-03-05", "It traded too much.")
    assert (verdict.outcome, verdict.evidence["badge"]) == ("rolled_back", first.evidence["badge"])
    assert verdict.evidence["inputs"]["order"] == verdict.source_sha256
    assert len(court.ledger.history()) == 2


def test_baselines_walk_a_streams_weeks_from_their_own_portfolio() -> None:
    weeks = [str(week) for week in STATES[2017].weeks[:30]]
    found = baseline_returns(weeks, ALL, {"hrp": Tilted((0, 1))}, COSTS)["hrp"]
    before = str(calendar.shift_week(weeks[0], -1).date())
    walk = simulate(Tilted((0, 1)).target_weights, ALL.between(before, weeks[-1]), COSTS)
    assert found == walk.net[1:].tolist()
    from_cash = simulate(Tilted((0, 1)).target_weights, ALL.between(weeks[0], weeks[-1]), COSTS)
    assert found[0] > from_cash.net[0]  # it has bought before
    with pytest.raises(NotEnoughDataError, match="the one before"):
        baseline_returns([str(week) for week in STATES[2016].weeks[:30]], STATES[2016], {}, COSTS)


def test_failures_are_counted_but_not_the_machines(court) -> None:
    identity = Identity("policy", "ppo_lstm", "2016-12-27", {"seed": 1}, "0" * 64)
    diverged = TrainingDivergedError("It has diverged by step 10: actor is not finite.", todo="lower the rate.")
    count_failure(court.ledger, identity, diverged)
    count_failure(court.ledger, identity, diverged)
    count_failure(court.ledger, identity, StorageError("disk full", todo="free some"))
    count_failure(court.ledger, identity, WorkerError("killed", todo="look"))
    (entry,) = court.ledger.history()
    assert (entry.verdict, entry.candidate, entry.failure) == ("failed", identity.version, diverged.problem)


def test_too_few_weeks_to_score_are_a_try_without_results(judge, report_on, court) -> None:
    report = report_on(2016, (0,))
    weekly = report["walk_forward"]["series"]["policy"]["weekly"]
    report["walk_forward"]["series"]["policy"]["weekly"] = {name: values[:25] for name, values in weekly.items()}
    badge = judge(report).evidence["badge"]
    assert (badge["verdict"], badge["against"]) == ("failed", {})
    assert "25 weeks" in court.ledger.history()[0].failure


def test_a_report_without_a_baseline_is_no_try(judge, report_on, court) -> None:
    report = report_on(2016, (0,))
    del report["walk_forward"]["series"]["hrp"]
    with pytest.raises(MissingPartitionError, match="no hrp"):
        judge(report)
    assert (court.log.history(), court.ledger.history()) == ([], [])
