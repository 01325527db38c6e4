import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from allocator_pipeline.config import CostConfig
from allocator_pipeline.portfolio.costs import trading_cost, turnover


def test_turnover_counts_each_dollar_once():
    assert turnover(np.array([0.2, 0.8]), np.array([0.0, 1.0])) == pytest.approx(0.2)
    assert turnover(np.array([0.5, 0.5]), np.array([0.5, 0.5])) == 0.0
    assert turnover(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == 1.0


def test_what_left_the_universe_is_sold():
    # half in a symbol that has left, half in cash; all cash wanted: half of the wealth is sold
    assert turnover(np.array([0.0, 1.0]), np.array([0.0, 0.5]), 0.5) == pytest.approx(0.5)


@given(arrays(np.float64, (5, 16), elements=st.floats(0, 1)))
def test_turnover_by_rows(weights):
    weights = (weights + 1e-3) / (weights + 1e-3).sum(axis=1, keepdims=True)
    traded = turnover(weights, weights[::-1])
    assert traded.shape == (5,)
    assert ((traded >= 0) & (traded <= 1 + 1e-12)).all()
    np.testing.assert_allclose(traded, traded[::-1])


def test_cost_is_basis_points_of_turnover():
    assert trading_cost(1.0, CostConfig()) == pytest.approx(0.001)
    assert trading_cost(0.5, CostConfig(cost_bps=25)) == pytest.approx(0.00125)
    assert trading_cost(1.0, CostConfig(cost_bps=0)) == 0.0
