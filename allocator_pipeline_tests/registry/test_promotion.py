"""Promotion from reports, from streams, and back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from allocator_pipeline.errors import (
    ConflictError,
    CorruptArtifactError,
    MissingPartitionError,
    NoChampionError,
    NotEnoughDataError,
)
from allocator_pipeline.evaluation.metrics import metrics
from allocator_pipeline.market import calendar
from allocator_pipeline.portfolio.rollout import simulate
from allocator_pipeline.registry import orders, promotion
from allocator_pipeline.registry.rulings import effective_week
from allocator_pipeline.registry.verdicts import VerdictLog
from allocator_pipeline_tests.registry.conftest import COSTS, STATES, Tilted, best_and_worst, rivals


@pytest.mark.parametrize(
    ("last_exit", "week"),
    [
        ("2018-01-02", "2018-01-08"),
        ("2021-01-04", "2021-01-11"),
        ("2022-12-27", "2023-01-02"),
        ("2001-09-17", "2001-09-24"),
    ],
)
def test_a_verdict_takes_effect_when_its_last_exit_is_known(last_exit: str, week: str) -> None:
    assert effective_week(last_exit) == week
    before = calendar.week(calendar.shift_week(week, -1))
    assert str(before["decision_session"].date()) < last_exit <= str(calendar.week(week)["decision_session"].date())


def test_the_first_report_promotes_the_policy_of_the_year_before(judge, report_on, log, artifacts) -> None:
    report = report_on(2016, best_and_worst(2016)[1])
    verdict = judge(report)
    assert (verdict.number, verdict.outcome, verdict.champion, verdict.prior) == (
        1,
        "promoted",
        report["candidate"],
        None,
    )
    assert verdict.effective_week == "2017-01-09"
    assert verdict.source == "report:ppo_lstm|2016"
    assert log.champion_at("2017-01-02") is None
    found, artifact = promotion.champion_for(log, artifacts, "2017-01-09")
    assert (found, artifact.version) == (verdict, report["candidate"])
    with pytest.raises(NoChampionError, match="2017-01-02"):
        promotion.champion_for(log, artifacts, "2017-01-02")


def test_better_is_promoted_and_worse_is_not(judge, report_on) -> None:
    best, worst = best_and_worst(2017)
    first = judge(report_on(2016, worst))
    better = judge(report_on(2017, best))
    assert (better.outcome, better.prior) == ("promoted", first.champion)
    assert better.evidence["weeks"] == 52
    assert better.evidence["candidate"]["sharpe"] > better.evidence["champion"]["sharpe"]
    worse = judge(report_on(2018, best_and_worst(2018)[1]))
    assert (worse.outcome, worse.champion) == ("kept", better.champion)


def test_the_prior_walks_the_very_same_weeks_from_cash(judge, report_on) -> None:
    best, worst = best_and_worst(2017)
    judge(report_on(2016, worst))
    evidence = judge(report_on(2017, best)).evidence
    run = simulate(Tilted(worst).target_weights, STATES[2017], COSTS)
    assert evidence["champion"] == metrics(run.net, run.turnover)


def test_only_weeks_after_both_cut_offs_count(judge, report_on, log, artifacts, stored) -> None:
    """A fine-tune promoted in the summer has seen the weeks before its own cut-off."""
    best, worst = best_and_worst(2017)
    judge(report_on(2016, worst))
    tuned = stored("2017-04-03", slots=worst, parent="v2015-12-28-000000")
    promotion_of(log, tuned, "2017-04-10")
    evidence = judge(report_on(2017, best)).evidence
    assert evidence["first_week"] == "2017-04-10"
    assert evidence["weeks"] == 38
    unseen = STATES[2017].weeks >= np.datetime64("2017-04-10")
    run = simulate(Tilted(worst).target_weights, STATES[2017], COSTS)
    assert evidence["champion"] == metrics(run.net[unseen], run.turnover[unseen])


def test_fewer_than_26_unseen_weeks_keep_the_champion(judge, report_on, log, stored) -> None:
    judge(report_on(2016, best_and_worst(2017)[1]))
    tuned = stored("2017-08-07", slots=(3,), parent="v2015-12-28-000000")
    promotion_of(log, tuned, "2017-08-14")
    verdict = judge(report_on(2017, best_and_worst(2017)[0]))
    assert (verdict.outcome, verdict.champion) == ("insufficient", tuned)


def test_a_report_is_judged_once(judge, report_on, log) -> None:
    report = report_on(2016, (0,))
    assert judge(report) == judge(report)
    assert len(log.history()) == 1


def test_a_changed_report_on_the_champion_changes_nothing(judge, report_on, log) -> None:
    report = report_on(2016, (0,))
    first = judge(report)
    again = judge(report | {"universe": "fixed"})
    assert (again.outcome, again.champion, len(log.history())) == ("kept", first.champion, 2)


def test_back_filling_an_old_year_never_displaces_a_newer_champion(judge, report_on, log) -> None:
    newer = judge(report_on(2018, best_and_worst(2018)[1]))
    older = judge(report_on(2016, best_and_worst(2016)[0]))
    assert older.prior is None  # nothing was champion in its time
    assert older.promoted
    assert log.champion_at("2018-06-04").champion == older.candidate
    assert log.champion_at("2022-01-03").champion == newer.candidate


def test_a_policy_is_not_promoted_by_weeks_it_was_trained_on(judge, report_on, log) -> None:
    with pytest.raises(ConflictError, match="trained on data up to 2016-12-27"):
        judge(report_on(2016, (0,), cutoff="2016-12-27"))
    assert log.history() == []


def test_a_report_of_another_allocator_is_refused(judge, report_on) -> None:
    with pytest.raises(ConflictError, match="sac_lstm"):
        judge(report_on(2016, (0,), allocator="sac_lstm"))


def test_a_report_of_another_version_is_refused(judge, report_on, log) -> None:
    with pytest.raises(CorruptArtifactError, match=r"format 1.*ppo_lstm\|2016.*eval_reports, again"):
        judge(report_on(2016, (0,), format=1))
    assert log.history() == []


def test_only_what_verifies_is_promoted(judge, report_on, log, artifacts) -> None:
    report = report_on(2016, (0,))
    (artifacts.root / "ppo_lstm" / report["candidate"] / "policy.json").write_bytes(b"{}")
    with pytest.raises(CorruptArtifactError, match="sha256"):
        judge(report)
    with pytest.raises(MissingPartitionError):
        judge(report | {"candidate": "v2015-12-28-absent"})
    assert log.history() == []


def test_states_must_hold_the_reports_weeks(court, judge, report_on) -> None:
    judge(report_on(2016, (0,)))
    with pytest.raises(NotEnoughDataError, match="do not hold the report's weeks"):
        promotion.promote_from_report(court, report_on(2017, (1,)), STATES[2017][:40], COSTS)


def promotion_of(log: VerdictLog, version: str, week: str) -> None:
    """Put a fine-tune in force, as a stream would."""
    from allocator_pipeline_tests.registry.conftest import make_ruling

    history = log.history()
    ruling = make_ruling(version, week, candidate=version, prior=history[-1].champion, kind="stream")
    assert log.append(ruling, after=len(history)) is not None


def test_a_stream_is_not_judged_before_26_weeks(court, stream, log) -> None:
    assert promotion.promote_from_stream(court, stream(25, 0.01), rivals) is None
    assert promotion.promote_from_stream(court, [], rivals) is None
    assert len(log.history()) == 1


def test_a_better_stream_promotes_its_newest_version(court, stream, log) -> None:
    papers = stream(26, 0.001)
    verdict = promotion.promote_from_stream(court, papers, rivals)
    assert (verdict.kind, verdict.outcome, verdict.champion) == (
        "stream",
        "promoted",
        papers[-1]["challenger"]["version"],
    )
    assert verdict.champion.endswith("-ft")
    assert verdict.effective_week == effective_week(papers[-1]["exit_session"])
    assert promotion.promote_from_stream(court, papers[::-1], rivals) == verdict
    later = promotion.promote_from_stream(court, stream(27, 0.001), rivals)  # fixed before the promotion was known
    assert later == verdict
    assert len(log.history()) == 2


def test_a_worse_stream_is_kept_and_judged_again_after_26_more_weeks(court, stream, log) -> None:
    papers = stream(51, -0.001)
    first = promotion.promote_from_stream(court, papers[:26], rivals)
    assert promotion.promote_from_stream(court, papers, rivals) == first
    assert (first.outcome, first.champion) == ("kept", papers[0]["champion"]["version"])
    second = promotion.promote_from_stream(court, stream(52, -0.001), rivals)
    assert (second.number, second.outcome, second.evidence["weeks"]) == (3, "kept", 52)


def test_a_stream_against_a_former_champion_is_kept(court, stream, log, stored) -> None:
    other = stored("2017-02-06", seed=77, parent="v2015-12-28-000000")
    promotion_of(log, other, "2017-02-13")
    verdict = promotion.promote_from_stream(court, stream(26, 0.01), rivals)
    assert (verdict.outcome, verdict.champion) == ("kept", other)
    assert "champion no more" in verdict.reason


def test_a_challenger_must_stem_from_the_champion(court, stream, log, stored) -> None:
    papers = stream(26, 0.01)
    papers[-1]["challenger"]["version"] = stored("2017-03-06", seed=5, parent="v2014-12-29-abcdef")
    with pytest.raises(ConflictError, match="not fine-tuned from"):
        promotion.promote_from_stream(court, papers, rivals)
    papers[-1]["challenger"]["version"] = stored("2017-12-26", seed=5, parent=papers[0]["champion"]["version"])
    with pytest.raises(ConflictError, match="trained on data up to 2017-12-26"):
        promotion.promote_from_stream(court, papers, rivals)
    assert len(log.history()) == 1


def test_a_stream_without_a_champion_is_an_error(tmp_path, court, stream) -> None:
    empty = replace(court, log=VerdictLog(tmp_path / "empty", "ppo_lstm"))
    with pytest.raises(NoChampionError, match="stream"):
        promotion.promote_from_stream(empty, stream(26, 0.01), rivals)


def test_rolling_back_is_a_verdict(court, judge, report_on, log, artifacts) -> None:
    best, worst = best_and_worst(2017)
    first = judge(report_on(2016, worst))
    second = judge(report_on(2017, best))
    verdict = orders.rollback(court, first.champion, "2018-03-05", "It traded too much.")
    assert (verdict.kind, verdict.outcome, verdict.prior, verdict.champion) == (
        "rollback",
        "rolled_back",
        second.champion,
        first.champion,
    )
    assert log.champion_at("2018-02-26").champion == second.champion
    assert log.champion_at("2018-03-05").champion == first.champion
    assert orders.rollback(court, first.champion, "2018-03-05", "It traded too much.") == verdict
    back = orders.rollback(court, second.champion, "2018-04-02", "No, it did not.")
    assert log.champion_at("2018-04-02").champion == back.champion == second.champion
    assert len(log.history()) == 4


def test_a_roll_back_leads_only_to_a_former_champion_that_verifies(
    court, judge, report_on, log, artifacts, stored
) -> None:
    best, worst = best_and_worst(2017)
    first = judge(report_on(2016, worst))
    second = judge(report_on(2017, best))
    with pytest.raises(ConflictError, match="not champion of ppo_lstm by that week"):
        orders.rollback(court, stored(seed=9), "2018-03-05", "why not")
    with pytest.raises(NotEnoughDataError, match="Monday"):
        orders.rollback(court, first.champion, "2018-03-06", "a Tuesday")
    with pytest.raises(NoChampionError):
        orders.rollback(court, first.champion, "2015-03-02", "too early")
    with pytest.raises(ConflictError, match="not champion of ppo_lstm by that week"):
        orders.rollback(court, second.champion, "2017-01-09", "before it was champion")
    (artifacts.root / "ppo_lstm" / first.champion / "policy.json").write_bytes(b"{}")
    with pytest.raises(CorruptArtifactError):
        orders.rollback(court, first.champion, "2018-03-05", "damaged")
    assert len(log.history()) == 2


def test_a_champion_never_serves_a_week_it_was_trained_on(log, artifacts, stored) -> None:
    from allocator_pipeline_tests.registry.conftest import make_ruling

    version = stored("2016-06-06")
    log.append(make_ruling(week="2016-01-11", candidate=version), after=0)
    with pytest.raises(ConflictError, match="2016-06-06"):
        promotion.champion_for(log, artifacts, "2016-05-30")
    assert promotion.champion_for(log, artifacts, "2016-06-13")[1].version == version
