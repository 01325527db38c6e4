"""Paper evaluations: fixed before the week, each side its own account, the same numbers as the evaluation."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from allocator_pipeline.config import CostConfig
from allocator_pipeline.errors import ConflictError, NotEnoughDataError
from allocator_pipeline.evaluation.paper import paper_evaluation
from allocator_pipeline.portfolio.rollout import simulate
from allocator_pipeline.portfolio.state import StateTensors, concatenate
from allocator_pipeline_tests.evaluation.conftest import Tilted, year_of_states

STATES = concatenate([year_of_states(2016), year_of_states(2017)])
COSTS = CostConfig()
CHAMPION = ("v2015-12-28-champi", Tilted((0, 1, 2)))
TUNED = ("v2016-05-31-tuned1-ft", Tilted((3, 4, 5, 6)))


def walk(weeks, champion, challengers, previous=None):
    """Return successive paper evaluations; ``challengers`` has one entry per week."""
    papers = []
    for week, challenger in zip(weeks, challengers, strict=True):
        previous = paper_evaluation("ppo_lstm", str(week), champion, challenger, STATES, previous, COSTS)
        papers.append(previous)
    return papers


@pytest.fixture
def weeks() -> np.ndarray:
    return STATES.between("2016-11-28", "2017-02-06").weeks


def test_champion_and_challenger_equal_the_evaluation(weeks: np.ndarray) -> None:
    papers = walk(weeks, CHAMPION, [TUNED] * len(weeks))
    for side, (version, policy) in (("champion", CHAMPION), ("challenger", TUNED)):
        run = simulate(policy.target_weights, STATES.between(weeks[0], weeks[-1]), COSTS)
        assert [paper[side]["net"] for paper in papers] == run.net.tolist()
        assert [paper[side]["turnover"] for paper in papers] == run.turnover.tolist()
        assert papers[-1][side]["holdings_after"] == run.holdings_after
        assert papers[-1][side]["observed_after"] == run.observed_after
        assert papers[-1][side]["version"] == version


def test_a_stream_starts_from_the_champions_holdings(weeks: np.ndarray) -> None:
    papers = walk(weeks[:3], CHAMPION, [None, None, TUNED])
    assert papers[1]["challenger"] is None
    before = papers[1]["champion"]
    run = simulate(
        TUNED[1].target_weights,
        STATES.between(weeks[2], weeks[2]),
        COSTS,
        before["holdings_after"],
        before["observed_after"],
    )
    assert papers[2]["challenger"]["turnover"] == run.turnover[0] > 0.1


def test_a_newer_fine_tune_inherits_the_streams_holdings(weeks: np.ndarray) -> None:
    newer = ("v2016-06-30-tuned2-ft", TUNED[1])
    papers = walk(weeks[:3], CHAMPION, [TUNED, TUNED, newer])
    assert papers[2]["challenger"]["turnover"] < 0.05  # it only rebalances what the stream holds


def test_a_new_champion_takes_over_the_account_and_a_new_stream_starts(weeks: np.ndarray) -> None:
    papers = walk(weeks[:2], CHAMPION, [TUNED, TUNED])
    other = ("v2016-12-27-tuned3-ft", CHAMPION[1])
    after = walk(weeks[2:3], TUNED, [other], papers[-1])[0]
    assert after["champion"]["turnover"] > 0.3  # from the old champion's holdings to its own
    assert after["challenger"]["turnover"] < 0.05  # the stream starts from the champion's account


def test_each_policy_sees_its_own_drifted_weights(weeks: np.ndarray) -> None:
    champion, tuned = ("a", Tilted((0, 1))), ("b-ft", Tilted((2, 3)))
    walk(weeks[:2], champion, [tuned, tuned])
    assert np.flatnonzero(champion[1].seen[1].weights[:-1]).tolist() == [0, 1]
    assert np.flatnonzero(tuned[1].seen[1].weights[:-1]).tolist() == [2, 3]


def test_a_record_is_json_and_names_its_exit(weeks: np.ndarray) -> None:
    paper = walk(weeks[:1], CHAMPION, [TUNED])[0]
    assert json.loads(json.dumps(paper, allow_nan=False)) == paper
    assert (paper["allocator"], paper["week"], paper["exit_session"]) == ("ppo_lstm", "2016-11-28", "2016-12-05")
    assert sum(paper["champion"]["targets"].values()) == pytest.approx(1.0)


def test_the_week_before_must_lead_here(weeks: np.ndarray) -> None:
    papers = walk(weeks[:2], CHAMPION, [None, None])
    for allocator, week in (("ppo_lstm", weeks[3]), ("ppo_lstm", weeks[1]), ("sac_lstm", weeks[2])):
        with pytest.raises(ConflictError, match="do not lead to"):
            paper_evaluation(allocator, str(week), CHAMPION, None, STATES, papers[-1], COSTS)


def test_an_unknown_week_is_not_scored(weeks: np.ndarray) -> None:
    returns = STATES.returns.copy()
    returns[STATES.row(str(weeks[0])), 3] = np.nan
    unknown: StateTensors = replace(STATES, returns=returns)
    with pytest.raises(NotEnoughDataError, match="not known yet"):
        paper_evaluation("ppo_lstm", str(weeks[0]), CHAMPION, None, unknown, None, COSTS)
