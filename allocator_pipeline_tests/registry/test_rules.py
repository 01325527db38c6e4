"""The rule: who must beat whom, on what."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from allocator_pipeline.errors import MissingPartitionError
from allocator_pipeline.market import calendar
from allocator_pipeline.registry.rules import Duel, current_stream, judge_report, judge_stream
from allocator_pipeline_tests.registry.conftest import make_paper

WEEKS = tuple(str(day.date()) for day in calendar.weeks_of_year(2017)["week"])


def report(
    allocator: str = "ppo_lstm", policy: float = 1.0, hrp: float = 0.5, equal_weight: float = 0.5
) -> dict[str, Any]:
    series = {"policy": policy, "hrp": hrp, "equal_weight": equal_weight}
    return {
        "allocator": allocator,
        "year": 2017,
        "candidate": "v2016-12-27-candid",
        "walk_forward": {
            "years": [2016, 2017],
            "series": {name: {"metrics": {"sharpe": 9.0}, "weekly": weekly(value)} for name, value in series.items()},
        },
    }


def weekly(sharpe: float) -> dict[str, list[float]]:
    """Return a year of weeks with a Sharpe ratio; the rule does not believe metrics, it computes them."""
    swing = np.resize([0.01, -0.01], 52)
    return {"net": (swing + sharpe * swing.std(ddof=1) / math.sqrt(52)).tolist(), "turnover": [0.0] * 52}


def duel(mine: dict[str, float], theirs: dict[str, float], weeks: int = 52, prior: str = "v2015-12-28-before") -> Duel:
    return Duel(prior, WEEKS[:weeks], mine, theirs)


def test_the_first_policy_is_promoted_whatever_it_earned() -> None:
    outcome, reason, evidence = judge_report(report(policy=-3.0), None)
    assert outcome == "promoted"
    assert "first" in reason
    assert evidence == {"metric": "sharpe", "baselines": ["hrp", "equal_weight"]}


@pytest.mark.parametrize(
    ("numbers", "mine", "theirs", "outcome", "said"),
    [
        ({}, 0.9, 0.8, "promoted", "above that of HRP, equal weight, the champion"),
        ({"hrp": 1.1}, 0.9, 0.8, "kept", "is not above that of HRP."),
        ({"equal_weight": 1.0}, 0.9, 0.8, "kept", "is not above that of equal weight."),
        ({}, 0.8, 0.8, "kept", "is not above that of the champion."),
        ({}, 0.7, 0.8, "kept", "the champion"),
    ],
)
def test_ppo_must_beat_both_baselines_and_the_champion_on_sharpe(
    numbers: dict[str, float], mine: float, theirs: float, outcome: str, said: str
) -> None:
    fight = duel({"sharpe": mine, "cagr": -1.0}, {"sharpe": theirs, "cagr": 1.0})
    found, reason, evidence = judge_report(report(**numbers), fight)
    assert (found, said in reason) == (outcome, True), reason
    assert evidence["weeks"] == 52
    assert evidence["walk_forward"]["policy"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("mine", "theirs", "outcome"), [(0.11, 0.10, "promoted"), (0.10, 0.10, "kept"), (0.0, 0.1, "kept")]
)
def test_sac_must_beat_the_champion_on_cagr_alone(mine: float, theirs: float, outcome: str) -> None:
    fight = duel({"sharpe": -1.0, "cagr": mine}, {"sharpe": 1.0, "cagr": theirs})
    assert judge_report(report("sac_lstm", hrp=9.0, equal_weight=9.0), fight)[0] == outcome


def test_fewer_than_26_unseen_weeks_are_insufficient() -> None:
    best, worst = {"sharpe": 9.0, "cagr": 9.0}, {"sharpe": 0.0, "cagr": 0.0}
    assert judge_report(report(), duel({}, {}, weeks=25))[0] == "insufficient"
    assert judge_report(report(), duel({}, {}, weeks=0))[0] == "insufficient"
    assert judge_report(report(), duel(best, worst, weeks=26))[0] == "promoted"


def test_the_champion_does_not_fight_itself() -> None:
    outcome, reason, _ = judge_report(report(), duel({}, {}, prior="v2016-12-27-candid"))
    assert (outcome, "champion already" in reason) == ("kept", True)


def test_a_report_without_a_baseline_judges_no_ppo() -> None:
    fight = duel({"sharpe": 1.0, "cagr": 1.0}, {"sharpe": 0.0, "cagr": 0.0})
    for allocator, refused in (("ppo_lstm", True), ("sac_lstm", False)):
        found = report(allocator)
        del found["walk_forward"]["series"]["hrp"]
        if refused:
            with pytest.raises(MissingPartitionError, match="no hrp"):
                judge_report(found, fight)
        else:
            assert judge_report(found, fight)[0] == "promoted"


def test_a_stream_is_the_latest_unbroken_run_against_one_champion() -> None:
    papers = [make_paper(week, "v1", "v2" if week != WEEKS[3] else None, (0.0, 0.0)) for week in WEEKS[:10]]
    assert [paper["week"] for paper in current_stream(papers)] == list(WEEKS[4:10])
    papers[6]["champion"]["version"] = "v0"
    assert [paper["week"] for paper in current_stream(papers)] == list(WEEKS[7:10])
    assert [paper["week"] for paper in current_stream([*papers[:8], papers[9]])] == [WEEKS[9]]  # a gap
    assert current_stream([make_paper(WEEKS[0], "v1", None, (0.0, 0.0))]) == []
    assert current_stream([]) == []


def test_order_of_papers_does_not_matter() -> None:
    papers = [make_paper(week, "v1", "v2", (0.0, 0.0)) for week in WEEKS[:10]]
    assert current_stream(papers[::-1]) == papers


def test_a_stream_is_judged_by_its_algorithms_rule() -> None:
    steady = [0.01, 0.011] * 13  # high Sharpe
    wild = [0.10, -0.05] * 13  # higher CAGR
    papers = [
        make_paper(week, "v1", "v2", nets) for week, nets in zip(WEEKS, zip(steady, wild, strict=True), strict=False)
    ]
    assert judge_stream("ppo_lstm", papers)[0] == "kept"
    outcome, _, evidence = judge_stream("sac_lstm", papers)
    assert (outcome, evidence["weeks"], evidence["metric"]) == ("promoted", 26, "cagr")
    assert (evidence["first_week"], evidence["last_week"]) == (WEEKS[0], WEEKS[25])
    assert judge_stream("sac_lstm", papers[:25])[0] == "insufficient"
