"""Promotion by hand: a verdict with a reason, under the gate, that can be made again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from allocator_pipeline.config import GateConfig
from allocator_pipeline.errors import (
    ConfigurationError,
    ConflictError,
    CorruptArtifactError,
    MissingPartitionError,
)
from allocator_pipeline.registry import orders
from allocator_pipeline.registry.record import court_record
from allocator_pipeline.registry.replay import replay
from allocator_pipeline_tests.registry.conftest import best_and_worst

STRICT = GateConfig(proof_to_promote=True)


def test_a_promotion_by_hand_is_a_verdict_with_its_reason(court, judge, report_on, stored, log) -> None:
    first = judge(report_on(2016, best_and_worst(2017)[1]))
    chosen = stored("2016-12-27", seed=5)
    verdict = orders.promote(court, chosen, "2018-03-05", "The board wants it.")
    assert (verdict.kind, verdict.outcome, verdict.prior, verdict.champion, verdict.reason) == (
        "promotion",
        "promoted",
        first.champion,
        chosen,
        "The board wants it.",
    )
    assert log.champion_at("2018-02-26").champion == first.champion
    assert log.champion_at("2018-03-05").champion == chosen
    assert orders.promote(court, chosen, "2018-03-05", "Once more.") == verdict
    assert orders.rollback(court, first.champion, "2018-04-02", "It was no good.").champion == first.champion
    assert [finding.status for finding in replay(court)] == ["same"] * 3
    assert "promotion by order, effective 2018-03-05" in court_record(log.history())


def test_where_the_gate_demands_the_badge_the_champion_is_kept_and_the_attempt_is_on_record(
    court, judge, report_on, stored, log
) -> None:
    first = judge(report_on(2016, best_and_worst(2017)[1]))
    strict = replace(court, gate=STRICT)
    verdict = orders.promote(strict, stored("2016-12-27", seed=5), "2018-03-05", "I like it.")
    assert (verdict.outcome, verdict.champion, verdict.prior) == ("kept", first.champion, first.champion)
    assert "not proven" in verdict.reason
    assert log.champion_at("2018-03-05").champion == first.champion
    assert [finding.status for finding in replay(court)] == ["same"] * 2


def test_the_badge_opens_the_gate(court, judge, report_on, stored, log) -> None:
    best, worst = best_and_worst(2017)
    judge(report_on(2016, worst))
    proven = judge(report_on(2017, best)).candidate
    if court.ledger.proof("ppo_lstm", proven) is None:
        pytest.fail("the best five stocks of a year should be proven against baselines that earn nothing")
    orders.rollback(court, log.history()[0].champion, "2018-03-05", "A try.")
    verdict = orders.promote(replace(court, gate=STRICT), proven, "2018-04-02", "Back again.")
    assert (verdict.outcome, verdict.champion) == ("promoted", proven)
    assert verdict.evidence["badge"]["verdict"] == "proven"
    early = court.ledger.proof("ppo_lstm", proven).date
    assert early <= "2018-04-02"


def test_the_first_champion_may_be_promoted_by_hand(court, stored, log) -> None:
    verdict = orders.promote(replace(court, gate=STRICT), stored(), "2016-01-11", "Fetched from elsewhere.")
    assert (verdict.outcome, verdict.prior) == ("promoted", None)
    assert log.champion().champion == verdict.candidate


@pytest.mark.parametrize("order", [orders.promote, orders.rollback])
def test_an_order_without_a_reason_is_refused(court, stored, log, order) -> None:
    with pytest.raises(ConfigurationError, match="reason"):
        order(court, stored(), "2016-01-11", " ")
    assert log.history() == []


@pytest.mark.parametrize("order", [orders.promote, orders.rollback])
def test_who_is_champion_already_must_verify_too(court, stored, log, artifacts, order) -> None:
    chosen = stored()
    first = orders.promote(court, chosen, "2016-01-11", "The first one.")
    assert order(court, chosen, "2016-02-01", "Once more.") == first
    (artifacts.root / "ppo_lstm" / chosen / "policy.json").write_bytes(b"{}")
    with pytest.raises(CorruptArtifactError, match=chosen):
        order(court, chosen, "2016-02-01", "Once more.")
    assert log.history() == [first]


def test_only_what_verifies_and_knew_nothing_later_is_promoted(court, stored, log, artifacts) -> None:
    with pytest.raises(MissingPartitionError):
        orders.promote(court, "v2015-12-28-abcdef", "2016-01-11", "why not")
    with pytest.raises(ConflictError, match="trained on data up to 2017-12-26"):
        orders.promote(court, stored("2017-12-26"), "2017-01-09", "too new")
    damaged = stored(seed=3)
    (artifacts.root / "ppo_lstm" / damaged / "policy.json").write_bytes(b"{}")
    with pytest.raises(CorruptArtifactError):
        orders.promote(court, damaged, "2016-01-11", "damaged")
    assert log.history() == []
