import dataclasses

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env as gymnasium_check
from stable_baselines3.common.env_checker import check_env as sb3_check

from allocator_pipeline.config import CASH, CostConfig
from allocator_pipeline.errors import ConfigurationError, NotEnoughDataError, WeightsError
from allocator_pipeline.portfolio.constraints import project
from allocator_pipeline.portfolio.env import WeeklyPortfolioEnv
from allocator_pipeline.portfolio.rollout import simulate
from allocator_pipeline.portfolio.scaler import StateScaler
from allocator_pipeline_tests.portfolio.conftest import DollarAccount, make_states


@pytest.fixture
def env(states, scaler, costs) -> WeeklyPortfolioEnv:
    return WeeklyPortfolioEnv(states, scaler, costs)


# Logits are wider than the [-1, 1] that both recommend on purpose: within +-1 no stock could be dropped.
@pytest.mark.filterwarnings("ignore:.*For Box action spaces, we recommend using a symmetric and normalized:UserWarning")
def test_gymnasium_accepts_it(env):
    gymnasium_check(env, skip_render_check=True)


@pytest.mark.filterwarnings("ignore:We recommend you to use a symmetric and normalized Box action space:UserWarning")
def test_stable_baselines_accepts_it(env):
    sb3_check(env)


def check_episodes(count: int) -> None:
    """Random actions: wealth equals an independent account in dollars, and every observation is in its space."""
    costs = CostConfig()
    states = make_states(200, seed=15)
    env = WeeklyPortfolioEnv(states, StateScaler.fit(states), costs)
    env.action_space.seed(1)
    env.reset(seed=1)
    for _ in range(count):
        observation, info = env.reset()
        account, wealth, rewards, truncated = DollarAccount(costs), 1.0, 0.0, False
        row = states.row(info["week"])
        assert observation[-1] == 1.0
        while not truncated:
            action = env.action_space.sample()
            observation, reward, terminated, truncated, info = env.step(action)
            assert not terminated
            assert env.observation_space.contains(observation)
            account.live(project(action, costs), states.symbols[row], states.returns[row])
            wealth, rewards, row = wealth * (1 + info["net"]), rewards + reward, row + 1
            assert wealth == pytest.approx(account.growth, rel=1e-9)
        assert np.exp(rewards / costs.reward_scale) == pytest.approx(account.growth, rel=1e-9)


def test_wealth_identity_in_fifty_random_episodes():
    check_episodes(50)


@pytest.mark.slow
def test_wealth_identity_in_a_thousand_random_episodes():
    check_episodes(1000)


def play(states, scaler, start: int, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    env = WeeklyPortfolioEnv(states, scaler, CostConfig())
    observations, rewards = [env.reset(options={"start": start})[0]], []
    for action in actions:
        observation, reward, *_ = env.step(action)
        observations.append(observation)
        rewards.append(reward)
    return np.stack(observations), np.array(rewards)


@pytest.mark.parametrize("cut", [0, 1, 19, 20, 51])
def test_no_future_row_is_read(states, scaler, cut):
    """Replace all that a decision cannot know: its observation stays, to the bit, and what it leads to changes."""
    rng = np.random.default_rng(cut)
    actions = rng.normal(size=(52, 16))
    start, now = 5, 5 + cut
    observations, rewards = play(states, scaler, start, actions)
    future = {name: getattr(states, name).copy() for name in ("signals", "forecasts", "returns", "marks", "missing")}
    future["returns"][now:] = rng.normal(0, 0.05, future["returns"][now:].shape)  # this week's return and later ones
    future["marks"][now:] = rng.normal(0, 0.05, future["marks"][now:].shape)
    for name in ("signals", "forecasts"):
        future[name][now + 1 :] += 1.0
    future["missing"][now + 1 :] ^= True
    changed, other_rewards = play(dataclasses.replace(states, **future), scaler, start, actions)
    np.testing.assert_array_equal(changed[: cut + 1], observations[: cut + 1])
    np.testing.assert_array_equal(other_rewards[:cut], rewards[:cut])
    assert (changed[cut + 1 :] != observations[cut + 1 :]).any(axis=1).all()
    assert (other_rewards[cut:] != rewards[cut:]).all()


def test_observed_weights_drift_by_marks_not_by_returns(states, scaler):
    """The return of the week before runs to an execution that comes after the decision."""
    actions = np.random.default_rng(0).normal(size=(52, 16))
    observations, _ = play(states, scaler, 0, actions)
    shuffled = dataclasses.replace(states, returns=states.returns[::-1])
    np.testing.assert_array_equal(play(shuffled, scaler, 0, actions)[0], observations)
    remarked = dataclasses.replace(states, marks=states.marks[::-1])
    assert (play(remarked, scaler, 0, actions)[0][1:, -16:] != observations[1:, -16:]).any()


def test_it_gives_the_numbers_of_the_evaluation(states, scaler, costs):
    """An allocator that sees scaled vectors earns in `simulate`, to the bit, what the same actions earn in the env."""
    weights = np.random.default_rng(4).normal(size=(136, 16)) * 0.3
    rollout = simulate(lambda seen: project(scaler.vector(seen) @ weights, costs), states[30:82], costs)
    env = WeeklyPortfolioEnv(states, scaler, costs)
    observation, _ = env.reset(options={"start": 30})
    for t in range(52):
        observation, reward, _, truncated, info = env.step(observation @ weights)
        np.testing.assert_array_equal(info["weights"], rollout.targets[t])
        for name in ("turnover", "cost", "net"):
            assert info[name] == getattr(rollout, name)[t]
        assert reward == rollout.reward[t]
        assert truncated == (t == 51)


def test_episodes_start_at_random_weeks_by_seed(env):
    starts = [env.reset(seed=3)[1]["week"], *(env.reset()[1]["week"] for _ in range(20))]
    again = [env.reset(seed=3)[1]["week"], *(env.reset()[1]["week"] for _ in range(20))]
    assert starts == again
    assert len(set(starts)) > 10


def test_the_last_weeks_can_be_reached(states, scaler, costs):
    env = WeeklyPortfolioEnv(states, scaler, costs, episode_weeks=len(states))
    _, info = env.reset(seed=0)
    assert info["week"] == str(states.weeks[0])
    for _ in range(len(states)):
        observation, _, _, truncated, info = env.step(np.zeros(16))
    assert truncated
    assert info["week"] == str(states.weeks[-1])
    last = scaler.vector(states.observation(len(states) - 1, observation[-16:].astype(float)))
    np.testing.assert_array_equal(observation, last)  # there is no next week: the last one's features stand in
    with pytest.raises(NotEnoughDataError, match="episode is over"):
        env.step(np.zeros(16))


def test_an_episode_can_start_with_holdings(states, scaler, costs):
    week = str(states.weeks[20])
    starting = {week: {str(states.symbols[20][2]): 0.3, "GONE": 0.5, CASH: 0.2}}
    env = WeeklyPortfolioEnv(states, scaler, costs, starting=starting)
    observation, _ = env.reset(options={"start": 20})
    np.testing.assert_allclose(observation[[120 + 2, -1]], [0.3, 0.7], rtol=1e-6)
    wanted = np.full(16, -1000.0)
    wanted[-1] = 0.0
    info = env.step(wanted)[4]
    assert info["turnover"] == pytest.approx(0.8)  # the stock and the leaver are sold, all is cash
    assert env.reset(options={"start": 21})[0][-1] == 1.0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_actions_that_are_not_finite_are_refused(env, value):
    env.reset(seed=0)
    with pytest.raises(WeightsError, match="not finite"):
        env.step(np.full(16, value, dtype=np.float32))


def test_what_cannot_be_played_is_refused(states, scaler, costs):
    with pytest.raises(NotEnoughDataError, match="30 weeks for episodes of 52"):
        WeeklyPortfolioEnv(states[:30], scaler, costs)
    unknown = dataclasses.replace(
        states, returns=np.where(np.arange(len(states))[:, None] == 9, np.nan, states.returns)
    )
    with pytest.raises(NotEnoughDataError, match=str(states.weeks[9])):
        WeeklyPortfolioEnv(unknown, scaler, costs)
    worthless = dataclasses.replace(states, returns=np.where(states.returns > 0.1, -1.0, states.returns))
    with pytest.raises(WeightsError, match="-1 or less"):
        WeeklyPortfolioEnv(worthless, scaler, costs)
    with pytest.raises(ConfigurationError, match="action_bound"):
        WeeklyPortfolioEnv(states, scaler, costs, action_bound=0.0)
    env = WeeklyPortfolioEnv(states, scaler, costs)
    for start in (-1, 69, "x"):
        with pytest.raises(ConfigurationError, match="cannot start"):
            env.reset(options={"start": start})


def test_it_is_a_gymnasium_environment(env):
    assert isinstance(env, gymnasium.Env)
    assert env.observation_space.shape == (136,)
    assert env.action_space.shape == (16,)
    assert env.episode_weeks == 52
