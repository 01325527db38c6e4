import numpy as np
import pytest

from allocator_pipeline.config import CostConfig
from allocator_pipeline.portfolio.rewards import reward, wealth_multiplier


def test_cost_is_paid_before_the_return():
    assert wealth_multiplier(0.10, 0.01) == pytest.approx(0.99 * 1.10)
    np.testing.assert_allclose(wealth_multiplier(np.array([0.0, -0.5]), np.array([0.0, 0.1])), [1.0, 0.45])


def test_reward_is_the_scaled_log():
    assert reward(1.0, CostConfig()) == 0.0
    assert reward(np.e, CostConfig()) == pytest.approx(100.0)
    assert reward(1.01, CostConfig(reward_scale=1.0)) == pytest.approx(np.log(1.01))


def test_rewards_add_up_to_log_wealth():
    multipliers = np.exp(np.random.default_rng(0).normal(0, 0.02, 52))
    assert np.sum(reward(multipliers, CostConfig())) == pytest.approx(100 * np.log(np.prod(multipliers)))
