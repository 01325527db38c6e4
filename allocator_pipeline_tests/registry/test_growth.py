"""What decides on SAC stands beside its intervals and the baselines, in the verdict and in the record."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from allocator_pipeline.evaluation.growth import cagr_difference, cagr_interval
from allocator_pipeline.market import calendar
from allocator_pipeline.portfolio.state import concatenate
from allocator_pipeline.registry import promotion
from allocator_pipeline.registry.growth import apart, growth_evidence
from allocator_pipeline.registry.record import case
from allocator_pipeline.registry.verdicts import VerdictLog
from allocator_pipeline_tests.registry.conftest import (
    COSTS,
    CUTOFFS,
    STATES,
    best_and_worst,
    make_artifact,
    make_paper,
    make_report,
    rivals,
)


@pytest.fixture
def judged_by_growth(court, stored, tilted, tmp_path):
    """Judge two reports of SAC, and return the second with its verdict."""
    court = dataclasses.replace(court, log=VerdictLog(tmp_path / "registry", "sac_lstm"))
    best, worst = best_and_worst(2017)
    for year, slots in ((2016, worst), (2017, best)):
        version = stored(CUTOFFS[year - 1], slots=slots, name="sac_lstm")
        report = make_report(version, year, slots, allocator="sac_lstm")
        promotion.promote_from_report(court, report, concatenate(list(STATES.values())), COSTS)
    return report, court.log.history()[-1]


def test_a_verdict_by_growth_has_intervals_and_baselines(judged_by_growth) -> None:
    report, verdict = judged_by_growth
    series = report["walk_forward"]["series"]
    growth = verdict.evidence["growth"]
    assert growth["own"] == cagr_interval(series["policy"]["weekly"]["net"])
    assert growth["less"]["hrp"] == cagr_difference(series["policy"]["weekly"]["net"], series["hrp"]["weekly"]["net"])
    assert set(growth["less"]) == {"hrp", "equal_weight"}
    mine, theirs = (verdict.evidence[side]["cagr"] for side in ("candidate", "champion"))
    assert growth["champion"]["estimate"] == pytest.approx(mine - theirs)


def test_the_record_shows_no_growth_rate_alone(judged_by_growth) -> None:
    _, verdict = judged_by_growth
    told = next(line for line in case(verdict).splitlines() if line.startswith("- **Numbers"))
    growth = verdict.evidence["growth"]
    assert told.count("95 % interval") == 4  # of the duel, of the recipe, less either baseline
    assert f"(difference {apart(growth['champion'])})" in told
    for name in ("HRP", "equal weight"):
        assert f"less {name}'s " in told
    assert told.endswith("after 2 tries")


def test_a_stream_judged_by_growth_has_the_same(judged_by_growth, court, artifacts, tmp_path) -> None:
    court = dataclasses.replace(court, log=VerdictLog(tmp_path / "registry", "sac_lstm"))
    champion = court.log.history()[-1].champion
    tuned = make_artifact("2018-01-02", 7, name="sac_lstm", parent=champion)
    artifacts.save(tuned)
    weeks = [str(week.date()) for week in calendar.weeks("2018-01-15", "2018-07-16")["week"]][:26]
    nets = np.random.default_rng(5).normal(0.002, 0.02, 26)
    papers = [
        make_paper(week, champion, tuned.version, (float(net), float(net) + 0.001)) | {"allocator": "sac_lstm"}
        for week, net in zip(weeks, nets, strict=True)
    ]
    verdict = promotion.promote_from_stream(court, papers, rivals)
    assert verdict.promoted
    growth = verdict.evidence["growth"]
    assert growth["own"]["estimate"] == pytest.approx(verdict.evidence["candidate"]["cagr"])
    assert growth["champion"]["low"] > 0.0
    told = next(line for line in case(verdict).splitlines() if line.startswith("- **Numbers"))
    assert "; CAGR over the weeks tried " in told
    assert told.count("95 % interval") == 4
    assert "less HRP's " in told


def test_other_rules_and_too_few_weeks_have_none() -> None:
    assert growth_evidence("ppo_lstm", [0.01] * 60, {}, None) == {}
    assert growth_evidence("sac_lstm", [0.01] * 20, {}, None) == {}
    alone = growth_evidence("sac_lstm", [0.01, -0.01] * 30, {}, None)["growth"]
    assert (alone["less"], alone["champion"]) == ({}, None)
