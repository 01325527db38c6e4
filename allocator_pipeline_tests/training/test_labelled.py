from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from allocator_pipeline.allocators.policy import Policy
from allocator_pipeline.allocators.recipes import FINETUNE
from allocator_pipeline.allocators.slots import follow_slots
from allocator_pipeline.config import CASH, CostConfig
from allocator_pipeline.portfolio.agents_env import agent_logits
from allocator_pipeline.portfolio.constraints import equal_weights, project
from allocator_pipeline.portfolio.objective import Objective
from allocator_pipeline.portfolio.state import StateTensors
from allocator_pipeline.portfolio.transition import Transition
from allocator_pipeline.studies.paper_weeks import lived_weeks
from allocator_pipeline.training.labelled import Lived, lived_through, recall
from allocator_pipeline_tests.training.conftest import Stored

COSTS = CostConfig()


@pytest.fixture
def weeks(states: StateTensors) -> StateTensors:
    """26 weeks around the turn of 1993, where a symbol leaves and two change places."""
    return states.between("1992-10-01", "1993-06-30")[:26]


def lived(champion: Stored, weeks: StateTensors) -> list[Transition]:
    return lived_weeks("sac_lstm", Policy.from_files(champion.files), weeks, COSTS)


@pytest.mark.parametrize("trained", ["sac-default", "sac-reference"], indirect=True)
def test_replays_what_was_seen_done_and_paid(champion: Stored, weeks: StateTensors) -> None:
    prior = Policy.from_files(champion.files)
    transitions = lived(champion, weeks)
    slotted = follow_slots(weeks, prior.symbols)
    found = lived_through(transitions, slotted, COSTS)
    assert [one.week for one in found.transitions] == [one.week for one in transitions]
    replay = recall(found, prior, slotted, FINETUNE).replay
    assert replay is not None
    agents = prior.recipe.view == "agents"
    assert replay.inputs.shape == ((25, 16, 10) if agents else (25, 1, 136))
    assert replay.actions.shape == (prior.members, 25, 16)
    bound = prior.recipe.action_bound
    for row, one in enumerate(found.transitions):
        names = [*slotted.symbols[row].tolist(), CASH]
        target = np.array([one.action[name] for name in names])
        actions = bound * replay.actions[:, row]
        given = project(agent_logits(actions, COSTS) if agents else actions, COSTS)
        np.testing.assert_allclose(given, np.tile(target, (len(given), 1)), atol=1e-4)  # an action may be at its bound
        seen = np.array(
            [dict(zip([*one.before.symbols, CASH], one.before.weights, strict=True))[name] for name in names]
        )
        weight = (replay.inputs[row, :, 8] + 1.0) / 15.0 if agents else replay.inputs[row, 0, -16:]
        np.testing.assert_allclose(weight, seen, atol=1e-6)
        if agents:
            above = equal_weights(COSTS)[:-1] @ slotted.returns[row]
            net = np.expm1(one.reward / COSTS.reward_scale)
            assert replay.rewards[row].sum() == pytest.approx(3.0 * COSTS.reward_scale * (net - above), abs=0.05)
        else:
            assert replay.rewards[row] == [one.reward]
    # What is seen then is what is seen before the next decision.
    np.testing.assert_allclose(replay.after[:-1], replay.inputs[1:], atol=1e-6)


@pytest.mark.parametrize("trained", ["sac-default"], indirect=True)
def test_restated_weeks_are_left_out_and_named(champion: Stored, weeks: StateTensors) -> None:
    transitions = lived(champion, weeks)
    returns, symbols = weeks.returns.copy(), weeks.symbols.copy()
    returns[3, 0] += 0.01
    symbols[5, 2] = "OTHER"
    found = lived_through(transitions, dataclasses.replace(weeks, returns=returns, symbols=symbols), COSTS)
    assert found.left_out == (transitions[3].run_id, transitions[5].run_id)
    assert len(found.transitions) == 23
    assert found.facts()["left_out"] == list(found.left_out)
    assert found.facts()["labelled_weeks"] == 23
    assert not lived_through(transitions, weeks[:0], COSTS).transitions


@pytest.mark.parametrize("trained", ["sac-default"], indirect=True)
def test_episodes_start_more_often_in_recent_and_recorded_weeks(champion: Stored, weeks: StateTensors) -> None:
    transitions = lived(champion, weeks)
    weights = lived_through(transitions[5:], weeks, COSTS).start_weights(weeks, FINETUNE)
    assert weights is not None
    assert weights.shape == (14,)
    assert (np.diff(weights) > 0).all()
    assert weights[13] / weights[0] == pytest.approx(2.0 * 2.0)  # 13 weeks, one half-life; and recorded
    assert Lived().start_weights(weeks, FINETUNE) is None


@pytest.mark.parametrize("trained", ["sac-default", "ppo-default", "dpg-default"], indirect=True)
def test_only_sac_replays_and_only_the_reward_alone(champion: Stored, weeks: StateTensors) -> None:
    prior = Policy.from_files(champion.files)
    found = lived_through(lived(champion, weeks), weeks, COSTS)
    assert (recall(found, prior, weeks, FINETUNE).replay is not None) == (prior.algorithm == "sac")
    penalised = dataclasses.replace(prior.recipe, objective=Objective(drawdown=1.0))
    recalled = recall(found, dataclasses.replace(prior, recipe=penalised), weeks, FINETUNE)
    assert recalled.replay is None
    assert len(recalled.starting) == 25
    assert recall(Lived(), prior, weeks, FINETUNE).replay is None
