"""The court record: complete, newest first, in plain words."""

from __future__ import annotations

import dataclasses
import re

import pytest

from allocator_pipeline.registry import orders, promotion
from allocator_pipeline.registry.evidence_plot import evidence_picture
from allocator_pipeline.registry.record import badge_words, case, court_record, gate_words
from allocator_pipeline_tests.registry.conftest import best_and_worst, make_ruling, rivals


@pytest.fixture
def heard(judge, report_on, court):
    best, worst = best_and_worst(2017)
    judge(report_on(2016, worst))
    judge(report_on(2017, best))
    orders.rollback(court, court.log.history()[0].champion, "2018-03-05", "It traded too much.")
    return court


def test_the_newest_case_comes_first(heard) -> None:
    record = court_record(heard.log.history())
    places = [record.index(f"### Case {number}:") for number in (3, 2, 1)]
    assert places == sorted(places)
    assert court_record([]) == "No case has been heard yet."


def test_a_case_names_parties_weeks_rule_numbers_evidence_ruling_and_seals(heard) -> None:
    verdict = heard.log.history()[1]
    told = case(verdict)
    evidence = verdict.evidence
    for expected in (
        "report of 2017",
        f"challenger `{verdict.candidate}` v. champion `{verdict.prior}`",
        f"52 unseen by both, 2017-01-02 to {evidence['last_week']}",
        "net Sharpe ratio must exceed that of HRP and equal weight over all judged years",
        f"{evidence['candidate']['sharpe']:.4f} v. the champion's {evidence['champion']['sharpe']:.4f}",
        "paired stationary bootstrap",
        f"p = {evidence['duel']['ledoit_wolf']['p_value']:.3f} (Ledoit-Wolf",
        "**Caution:** Intervals of so few weeks are too narrow",
        "try 2 (2 of 60 places used in sequence 1), ",
        f"threshold {evidence['badge']['against']['hrp']['threshold']:.2f}",
        "the badge is needed for nothing",
        "**Promoted.**",
        verdict.reason,
        verdict.effective_week,
        f"verdict `{verdict.sha256[:12]}`",
        f"report `{verdict.source_sha256[:12]}`",
        f"entry `{evidence['inputs']['entry'][:12]}`",
    ):
        assert expected in told, expected


def test_first_cases_and_roll_backs_read_as_what_they_are(heard) -> None:
    first, _, back = heard.log.history()
    assert "unopposed: there was no champion" in case(first)
    assert "the first policy judged is promoted" in case(first)
    told = case(back)
    assert "roll-back by order, effective 2018-03-05" in told
    assert "**Rolled back.** It traded too much." in told
    assert f"former champion `{back.candidate}` v. champion `{back.prior}`" in told


def test_a_candidate_that_was_shown_as_a_replicate_is_said_to_have_been(judge, report_on) -> None:
    shown = judge(report_on(2016, (0,), seen_as_replicates=[2016]))
    assert shown.evidence["seen_as_replicates"] == [2016]
    assert "**Seen before:** the policies that decide 2016 are stored as replicates too" in case(shown)
    assert "Seen before" not in case(judge(report_on(2017, (1,))))


def test_a_stream_reads_as_one(stream, court) -> None:
    verdict = promotion.promote_from_stream(court, stream(26, -0.001), rivals)
    assert verdict is not None
    told = case(verdict)
    assert "stream of 2017-01-09..2017-07-03" in told
    assert "The champion is kept" in told
    assert "HRP and equal weight over all judged years" not in told


def test_a_verdict_of_before_there_was_a_ledger_can_be_read(court) -> None:
    court.log.append(make_ruling(evidence={"metric": "sharpe", "baselines": ["hrp", "equal_weight"]}), after=0)
    told = court_record(court.log.history())
    assert "source `a`" in told
    assert "Evidence" not in told


def test_a_tie_has_scores_and_no_threshold(judge, report_on) -> None:
    report = report_on(2016, (0,))
    series = report["walk_forward"]["series"]
    series["equal_weight"] = series["policy"]
    told = case(judge(report))
    assert "try 1 (0 of 60 places used in sequence 1), a tie" in told
    assert "z = 0.00, p = 0.500" in told
    assert "threshold" not in told.split("a tie, so without a threshold")[1]


def test_words() -> None:
    badge = {"verdict": "not_proven", "try": 12, "sequence": 1, "position": 9, "proof": None}
    assert badge_words(badge) == "not proven (try 12; 9 of 60 places used in sequence 1)"
    assert "(try 12, proven by try 3; 9 of 60" in badge_words(badge | {"proof": 3})
    assert badge_words({"verdict": "none", "try": None}) == badge_words(None) == "none"
    assert gate_words({"proof_to_promote": True, "proof_to_serve": True}).endswith("a promotion and for being served")


def test_the_picture_shows_scores_and_thresholds_of_the_allocators_own_tries(heard) -> None:
    entries = heard.ledger.history()
    assert evidence_picture(entries, "ppo_lstm").startswith("![evidence z")
    assert evidence_picture(entries, "ppo_lstm") == evidence_picture(heard.ledger.history(), "ppo_lstm")
    assert evidence_picture(entries, "sac_lstm") == "Nothing has been tried yet."


def test_where_all_tries_tie_or_failed_the_picture_says_so(heard) -> None:
    (first, *_) = heard.ledger.history()
    tried = [dataclasses.replace(first, verdict=verdict) for verdict in ("tie", "tie", "failed")]
    told = evidence_picture(tried, "ppo_lstm")
    assert told == "No threshold to draw: of 3 tries, 2 a tie with a baseline, 1 without results."


def test_no_line_of_the_record_gives_a_sharpe_ratio_without_interval_and_tries(heard, report_on) -> None:
    lines = [line for line in court_record(heard.log.history()).splitlines() if re.search(r"Sharpe.*\d\.\d", line)]
    assert {line.split(":")[0] for line in lines} == {"- **Numbers", "- **Duel", "- **Evidence over all tries"}
    for line in lines:
        assert re.search(r"95 % interval \[[-+]\d\.\d\d, [-+]\d\.\d\d\]|a tie", line), line
        assert re.search(r"after \d+ tr(y|ies)|try \d+", line), line
    assert "HRP" in next(line for line in lines if "Numbers" in line)


def test_no_reason_quotes_a_number(heard) -> None:
    assert [verdict.reason for verdict in heard.log.history() if re.search(r"\d", verdict.reason)] == []
