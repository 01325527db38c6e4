from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from allocator_pipeline.config import CostConfig
from allocator_pipeline.errors import ConfigurationError
from allocator_pipeline.portfolio.agents_env import AgentsVecEnv
from allocator_pipeline.portfolio.scaler import StateScaler
from allocator_pipeline.portfolio.starts import cumulative_starts
from allocator_pipeline.portfolio.tensor_market import TensorMarket, Window
from allocator_pipeline.portfolio.vec_env import PortfolioVecEnv
from allocator_pipeline_tests.portfolio.conftest import make_states

COSTS = CostConfig()
STATES = make_states(26, 0)
SCALER = StateScaler.fit(STATES)
WEEKS, PORTFOLIOS = 13, 280
WEIGHTS = np.arange(1.0, 15.0)
EXPECTED = PORTFOLIOS * WEIGHTS / WEIGHTS.sum()


@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=40), st.floats(0.0, 1.0, exclude_max=True))
def test_every_number_starts_somewhere(weights: list[float], number: float) -> None:
    cumulative = cumulative_starts(np.array(weights), len(weights))
    assert (np.diff(cumulative) >= 0).all()
    assert 0 <= np.searchsorted(cumulative, number, side="right") < len(weights)


@pytest.mark.parametrize("weights", [[1.0], [1.0, 0.0], [1.0, np.nan], [1.0, -1.0], [1.0, 1.0, 1.0]])
def test_refuses_other_weights(weights: list[float]) -> None:
    with pytest.raises(ConfigurationError, match="cannot say where"):
        cumulative_starts(np.array(weights), 2)


def test_stratified_starts_follow_the_weights_in_either_engine() -> None:
    market = TensorMarket(
        [Window(STATES, SCALER, None, WEIGHTS)], [0, 0], COSTS, PORTFOLIOS, episode_weeks=WEEKS, dtype=torch.float64
    )
    market.start_spread(torch.rand(2, PORTFOLIOS, generator=torch.Generator().manual_seed(1)))
    env = AgentsVecEnv(STATES, SCALER, COSTS, PORTFOLIOS, episode_weeks=WEEKS, start_weights=WEIGHTS)
    env.seed(1)
    env.reset()
    for rows in (*market.rows.numpy(), env._batch.rows):
        assert np.abs(np.bincount(rows, minlength=14) - EXPECTED).max() <= 2  # a stratum at either end


def test_single_draws_follow_the_weights() -> None:
    env = PortfolioVecEnv(STATES, SCALER, COSTS, 4_000, episode_weeks=WEEKS, start_weights=WEIGHTS)
    env.seed(1)
    env.reset()
    shares = np.bincount(env.rows, minlength=14) / 4_000
    assert np.abs(shares - WEIGHTS / WEIGHTS.sum()).max() < 0.02


def test_windows_without_weights_beside_one_with_them_start_everywhere() -> None:
    windows = [Window(STATES, SCALER, None, WEIGHTS), Window(STATES[:20], SCALER)]
    market = TensorMarket(windows, [0, 1], COSTS, PORTFOLIOS, episode_weeks=WEEKS)
    market.start_spread(torch.zeros(2, PORTFOLIOS))
    assert np.bincount(market.rows[1].numpy(), minlength=8).tolist() == [35] * 8
