import numpy as np
import pytest
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv

from allocator_pipeline.errors import ConfigurationError, WeightsError
from allocator_pipeline.portfolio.constraints import project
from allocator_pipeline.portfolio.env import WeeklyPortfolioEnv
from allocator_pipeline.portfolio.scaler import StateScaler
from allocator_pipeline.portfolio.vec_env import PortfolioVecEnv
from allocator_pipeline_tests.portfolio.conftest import DollarAccount, make_states

COUNT = 12


@pytest.fixture
def vec(states, scaler, costs) -> PortfolioVecEnv:
    env = PortfolioVecEnv(states, scaler, costs, COUNT)
    env.seed(7)
    return env


def test_it_gives_the_numbers_of_single_environments(states, scaler, costs, vec):
    """To the bit, over two and a half episodes whose universe changes; the singles start where the arrays did."""
    rng = np.random.default_rng(0)
    rows = rng.integers(0, vec.last_start + 1, COUNT)
    vec.set_options([{"start": int(row)} for row in rows])
    singles = [WeeklyPortfolioEnv(states, scaler, costs) for _ in range(COUNT)]
    observations = vec.reset()
    for i, env in enumerate(singles):
        np.testing.assert_array_equal(observations[i], env.reset(options={"start": int(rows[i])})[0])
    for step in range(130):
        actions = rng.normal(size=(COUNT, 16)).astype(np.float32)
        observations, rewards, dones, infos = vec.step(actions)
        assert dones.all() == dones.any() == (step % 52 == 51)
        for i, env in enumerate(singles):
            observation, reward, _, truncated, _ = env.step(actions[i])
            assert reward == rewards[i]
            assert truncated == dones[i]
            if truncated:
                assert infos[i]["TimeLimit.truncated"] is True
                np.testing.assert_array_equal(infos[i]["terminal_observation"], observation)
                observation, _ = env.reset(options={"start": int(vec.rows[i])})
            else:
                assert infos[i] == {}
            np.testing.assert_array_equal(observations[i], observation)


def test_it_behaves_as_the_vectorised_gymnasium_environments(states, scaler, costs):
    one = PortfolioVecEnv(states, scaler, costs, 2)
    other = DummyVecEnv([lambda: WeeklyPortfolioEnv(states, scaler, costs)] * 2)
    for env in (one, other):
        env.set_options([{"start": 3}, {"start": 44}])
    np.testing.assert_array_equal(one.reset(), other.reset())
    assert one.observation_space == other.observation_space
    assert one.action_space == other.action_space
    for _ in range(51):
        actions = np.random.default_rng(1).normal(size=(2, 16)).astype(np.float32)
        ours, theirs = one.step(actions), other.step(actions)
        np.testing.assert_array_equal(ours[0], theirs[0])
        np.testing.assert_array_equal(ours[1].astype(np.float32), theirs[1])
        np.testing.assert_array_equal(ours[2], theirs[2])


def test_random_actions_keep_the_wealth_identity(costs):
    states = make_states(150, seed=2)
    vec = PortfolioVecEnv(states, StateScaler.fit(states), costs, 64)
    vec.seed(0)
    vec.reset()
    rng = np.random.default_rng(5)
    accounts, rewards = [DollarAccount(costs) for _ in range(64)], np.zeros(64)
    for _ in range(52):
        actions, rows = rng.normal(size=(64, 16)) * 2, vec.rows.copy()
        _, reward, dones, infos = vec.step(actions)
        rewards += reward
        for i, account in enumerate(accounts):
            account.live(project(actions[i], costs), states.symbols[rows[i]], states.returns[rows[i]])
    assert dones.all()
    growth = [account.growth for account in accounts]
    np.testing.assert_allclose(np.exp(rewards / costs.reward_scale), growth, rtol=1e-9)
    np.testing.assert_allclose([info["episode"]["r"] for info in infos], rewards)
    assert {info["episode"]["l"] for info in infos} == {52}


def test_episodes_out_of_step_restart_alone(states, scaler, costs):
    vec = PortfolioVecEnv(states, scaler, costs, 3, episode_weeks=4)
    vec.seed(1)
    vec.reset()
    vec._ends -= np.array([0, 1, 2])  # the second and third are one and two weeks into their episode
    finished = [vec.step(np.zeros((3, 16)))[2].tolist() for _ in range(4)]
    assert finished == [[False] * 3, [False, False, True], [False, True, False], [True, False, False]]
    after = vec.step(np.zeros((3, 16)))[0]
    assert (after[:, -1] < 0.2).all()  # none of them was reset to cash again


def test_starts_are_random_and_reproducible(vec):
    def starts(seed):
        vec.seed(seed)
        vec.reset()
        first = vec.rows.copy()
        for _ in range(52):
            vec.step(np.zeros((COUNT, 16)))
        return [*first, *vec.rows]

    assert starts(3) == starts(3)
    assert starts(3) != starts(4)
    assert len(set(starts(3))) > COUNT


def test_finetuning_starts_with_holdings(states, scaler, costs):
    week = str(states.weeks[10])
    starting = {week: {str(states.symbols[10][0]): 0.4, "GONE": 0.1, "CASH": 0.5}}
    vec = PortfolioVecEnv(states, scaler, costs, 2, starting=starting)
    vec.set_options([{"start": 10}, {"start": 11}])
    observations = vec.reset()
    np.testing.assert_allclose(observations[0, [120, -1]], [0.4, 0.6], rtol=1e-6)
    assert observations[1, -1] == 1.0


def test_stable_baselines_trains_on_it_reproducibly(states, scaler, costs):
    def trained():
        env = PortfolioVecEnv(states, scaler, costs, 4)
        model = PPO("MlpPolicy", env, n_steps=26, batch_size=52, n_epochs=2, seed=5, device="cpu")
        model.learn(312)
        assert model.ep_info_buffer is not None
        assert len(model.ep_info_buffer) == 4
        return model.policy.state_dict()

    first, second = trained(), trained()
    assert all((first[name] == second[name]).all() for name in first)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_actions_that_are_not_finite_are_refused(vec, value):
    vec.reset()
    actions = np.zeros((COUNT, 16))
    actions[3, 4] = value
    with pytest.raises(WeightsError, match="not finite"):
        vec.step(actions)


def test_starts_out_of_range_are_refused(vec):
    vec.set_options([{"start": vec.last_start + 1}] * COUNT)
    with pytest.raises(ConfigurationError, match="cannot start"):
        vec.reset()


def test_the_rest_of_the_interface(vec):
    assert vec.get_attr("episode_weeks", [0, 1]) == [52, 52]
    assert vec.env_is_wrapped(PortfolioVecEnv) == [False] * COUNT
    assert vec.get_images() == [None] * COUNT
    with pytest.raises(NotImplementedError):
        vec.set_attr("episode_weeks", 1)
    with pytest.raises(NotImplementedError):
        vec.env_method("reset")
    vec.close()
