from __future__ import annotations

import numpy as np
import pytest

from allocator_pipeline.config import CASH, CostConfig
from allocator_pipeline.errors import NotEnoughDataError, WeightsError
from allocator_pipeline.portfolio.agents_env import AGENT_INPUTS, AgentsVecEnv, agent_logits, agent_rewards, agent_view
from allocator_pipeline.portfolio.constraints import N_ASSETS, equal_weights, project
from allocator_pipeline.portfolio.rollout import settle, simulate
from allocator_pipeline.portfolio.scaler import StateScaler
from allocator_pipeline.portfolio.state import Observation, StateTensors
from allocator_pipeline_tests.portfolio.conftest import make_states

COSTS = CostConfig()
STATES = make_states(120)
SCALER = StateScaler.fit(STATES)


def make_env(states: StateTensors = STATES, count: int = 3, **options: object) -> AgentsVecEnv:
    env = AgentsVecEnv(states, SCALER, COSTS, count, **options)  # type: ignore[arg-type]
    env.seed(5)
    return env


def test_view_is_the_assets_own_part_of_the_state() -> None:
    weights = np.append(np.full(15, 0.06), 0.1)
    observation = STATES.observation(7, weights)
    view = agent_view(SCALER.vector(observation)[None])[0]
    assert view.shape == (N_ASSETS, AGENT_INPUTS)
    assert view.dtype == np.float32
    scaled = SCALER.transform(observation.features, observation.missing)
    np.testing.assert_allclose(view[:-1, :8], scaled - scaled.mean(axis=0), atol=1e-6)
    np.testing.assert_array_equal(view[-1, :8], 0.0)
    np.testing.assert_allclose(view[:, 8], weights * 15 - 1, atol=1e-6)
    np.testing.assert_array_equal(view[:, 9], [0.0] * 15 + [1.0])


def test_view_of_many_is_the_view_of_each() -> None:
    rng = np.random.default_rng(0)
    states = rng.normal(size=(40, 136)).astype(np.float32)
    together = agent_view(states)
    for row in range(40):
        np.testing.assert_array_equal(together[row], agent_view(states[row : row + 1])[0])


def test_rewards_sum_to_the_return_above_equal_weight_after_costs() -> None:
    rng = np.random.default_rng(1)
    target = project(rng.normal(size=(50, N_ASSETS)), COSTS)
    held = rng.dirichlet(np.ones(N_ASSETS + 1), size=50)
    held, left = held[:, :-1], held[:, -1]
    returns = rng.normal(0.0, 0.05, (50, 15))
    rewards = agent_rewards(target, held, left, returns, COSTS)
    equal = returns @ equal_weights(COSTS)[:-1]
    cost = COSTS.cost_bps / 1e4 * 0.5 * (np.abs(target - held).sum(axis=1) + left)
    gross = (target[:, :-1] * returns).sum(axis=1)
    np.testing.assert_allclose(rewards.sum(axis=1), 100 * (gross - equal - cost), atol=1e-10)


def test_equal_weight_earns_nothing_but_its_costs() -> None:
    equal = equal_weights(COSTS)[None]
    rewards = agent_rewards(equal, equal, np.zeros(1), np.full((1, 15), 0.03), COSTS)
    np.testing.assert_array_equal(rewards, np.zeros((1, 16)))


def test_walks_as_the_evaluation_does_through_changes_of_universe() -> None:
    env = make_env(count=1, episode_weeks=len(STATES))
    rng = np.random.default_rng(2)
    tilts = rng.uniform(-2.0, 2.0, (len(STATES), N_ASSETS))
    seen: list[np.ndarray] = []

    def decide(observation: Observation) -> np.ndarray:
        seen.append(agent_view(SCALER.vector(observation)[None])[0])
        return project(agent_logits(tilts[len(seen) - 1], COSTS), COSTS)

    walk = simulate(decide, STATES, COSTS)
    observed = env.reset()
    for t in range(len(STATES)):
        np.testing.assert_array_equal(observed, seen[t])
        observed, rewards, dones, infos = env.step(tilts[t].reshape(-1, 1))
        excess = walk.gross[t] - STATES.returns[t] @ equal_weights(COSTS)[:-1] - walk.cost[t]
        assert rewards.sum() == pytest.approx(100 * excess, abs=1e-9)
    assert dones.all()
    assert all(info["TimeLimit.truncated"] for info in infos)


def test_episodes_are_stratified_seeded_and_inside_the_weeks() -> None:
    first, second = make_env(count=8), make_env(count=8)
    np.testing.assert_array_equal(first.reset(), second.reset())
    starts: list[np.ndarray] = []
    for _ in range(30):
        first.reset()
        starts.append(first._batch.rows.copy())
    drawn = np.array(starts)
    assert drawn.min() == 0
    assert drawn.max() == len(STATES) - 52
    strata = drawn * 8 // (len(STATES) - 52 + 1)
    assert (np.abs(strata - np.arange(8)) <= 1).all()
    assert len(np.unique(drawn[:, 3])) > 3


def test_ends_by_truncation_and_starts_again() -> None:
    env = make_env(episode_weeks=10, reward_factor=2.0)
    env.reset()
    for week in range(1, 21):
        observed, _rewards, dones, infos = env.step(np.zeros((48, 1)))
        assert dones.all() == (week % 10 == 0)
        if dones.all():
            last = np.array([info["terminal_observation"] for info in infos])
            assert last.shape == observed.shape
            assert not np.array_equal(last, observed)
            np.testing.assert_allclose(observed[15::16, 8], 14.0)  # all cash again
        else:
            assert not any(infos)
    quiet = make_env(episode_weeks=1, bootstrap=False)
    quiet.reset()
    *_, infos = quiet.step(np.zeros((48, 1)))
    assert all(info == {"TimeLimit.truncated": True} for info in infos)


def test_recorded_holdings_start_an_episode() -> None:
    held = {str(STATES.symbols[0, 2]): 0.5, "GONE": 0.2, CASH: 0.3}
    env = make_env(STATES[:5], 1, episode_weeks=5, starting={str(STATES.weeks[0]): held})
    observed = env.reset()
    assert observed[2, 8] == pytest.approx(0.5 * 15 - 1)
    assert observed[15, 8] == pytest.approx(0.5 * 15 - 1)  # what is gone counts as cash
    _, rewards, _, _ = env.step(np.zeros((16, 1)))
    week = settle(equal_weights(COSTS), STATES.symbols[0], held, STATES.returns[0], COSTS)
    assert rewards.sum() == pytest.approx(-100 * week.cost)


def test_refuses_what_it_cannot_do() -> None:
    with pytest.raises(NotEnoughDataError):
        make_env(STATES[:20])
    env = make_env()
    env.reset()
    with pytest.raises(WeightsError):
        env.step(np.full((48, 1), np.nan))
    with pytest.raises(NotImplementedError):
        env.set_attr("render_mode", 1)
    with pytest.raises(NotImplementedError):
        env.env_method("reset")
    assert env.get_attr("n_portfolios", [0, 1]) == [3, 3]
    assert env.env_is_wrapped(object, 0) == [False]
    env.close()
