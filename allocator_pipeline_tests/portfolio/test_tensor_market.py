from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from allocator_pipeline.config import CASH, CostConfig
from allocator_pipeline.errors import NotEnoughDataError
from allocator_pipeline.portfolio.agents_env import agent_logits, agent_rewards, agent_view
from allocator_pipeline.portfolio.batch import PortfolioBatch
from allocator_pipeline.portfolio.constraints import equal_weights, project
from allocator_pipeline.portfolio.scaler import StateScaler
from allocator_pipeline.portfolio.state import StateTensors
from allocator_pipeline.portfolio.tensor_market import TensorMarket, Window, project_tensor
from allocator_pipeline_tests.portfolio.conftest import make_states

COSTS = CostConfig()
LONG, SHORT, STILL = make_states(90, 0), make_states(61, 1), make_states(75, 2, changing=False)
WEEKS = 25
LOGITS = arrays(np.float64, (16,), elements=st.floats(-300, 300))


def starting(states: StateTensors) -> dict[str, dict[str, float]]:
    """Return holdings for some weeks, with symbols that are in no slot."""
    names = states.symbols
    return {
        str(states.weeks[t]): {str(names[t, 1]): 0.4, str(names[t, 14]): 0.1, "GONE": 0.2, CASH: 0.3}
        for t in range(0, len(states), 3)
    }


WINDOWS = [
    Window(LONG, StateScaler.fit(LONG), starting(LONG)),
    Window(SHORT, StateScaler.fit(SHORT)),
    Window(STILL, StateScaler.fit(STILL[:50])),
]
WINDOW_OF = [1, 0, 2, 0]


def make_market(count: int = 6, dtype: torch.dtype = torch.float64) -> TensorMarket:
    return TensorMarket(WINDOWS, WINDOW_OF, COSTS, count, episode_weeks=WEEKS, dtype=dtype)


def test_walks_as_the_arrays_do() -> None:
    market, rng = make_market(), np.random.default_rng(0)
    batches = [PortfolioBatch(WINDOWS[i].states, WINDOWS[i].scaler, COSTS, 6, WINDOWS[i].starting) for i in WINDOW_OF]
    rows = np.stack([rng.integers(0, len(batch.states) - WEEKS + 1, 6) for batch in batches])
    rows[:, 0] = [len(batch.states) - WEEKS for batch in batches]  # up to the last week there is
    rows[1, 1] = 3  # a week with holdings of its own
    market.start(torch.from_numpy(rows))
    for batch, first in zip(batches, rows, strict=True):
        batch.start(np.arange(6), first)
    sold = 0.0
    for _ in range(WEEKS):
        seen, tilts = market.observe().numpy(), rng.normal(size=(4, 6, 16)) * 2.0
        targets = market.weights(torch.from_numpy(tilts))
        rewards = agent_rewards(targets, market.held, market.left, market.returns(), COSTS)
        week = market.step(targets)
        for i, batch in enumerate(batches):
            view = agent_view(batch.observe())
            np.testing.assert_array_equal(np.delete(seen[i], 8, axis=-1), np.delete(view, 8, axis=-1))
            np.testing.assert_allclose(seen[i, ..., 8], view[..., 8], atol=1e-6)  # float32 there
            wanted = project(agent_logits(tilts[i], COSTS), COSTS)
            np.testing.assert_allclose(targets[i], wanted, atol=1e-12)
            paid = agent_rewards(wanted, batch.held, batch.left, batch.states.returns[batch.rows], COSTS)
            np.testing.assert_allclose(rewards[i], paid, atol=1e-12)
            settled = batch.step(wanted)
            for name in ("turnover", "cost", "gross", "net", "reward", "held_after"):
                np.testing.assert_allclose(getattr(week, name)[i], getattr(settled, name), atol=1e-12)
            for name in ("held", "left", "seen", "rows"):
                np.testing.assert_allclose(getattr(market, name)[i], getattr(batch, name), atol=1e-12)
            sold += batch.left.sum()
    assert sold > 0.0  # symbols did leave


def test_a_learner_does_not_depend_on_the_windows_beside_it() -> None:
    together = make_market(dtype=torch.float32)
    alone = TensorMarket([WINDOWS[2]], [0], COSTS, 6, episode_weeks=WEEKS)
    tilts = torch.randn(WEEKS, 4, 6, 16)
    spread = torch.rand(4, 6)
    together.start_spread(spread)
    alone.start_spread(spread[2:3])
    for t in range(WEEKS):
        assert torch.equal(together.observe()[2:3], alone.observe())
        first, second = together.step(together.weights(tilts[t])), alone.step(alone.weights(tilts[t, 2:3]))
        assert torch.equal(first.reward[2:3], second.reward)
    assert torch.equal(together.held[2:3], alone.held)


def test_starts_are_stratified_over_each_window() -> None:
    market = make_market(count=1000)
    lengths = torch.tensor([len(WINDOWS[i].states) - WEEKS + 1 for i in WINDOW_OF])[:, None]
    market.start_spread(torch.zeros(4, 1000))
    assert (market.rows == torch.arange(1000) * lengths // 1000).all()
    almost = torch.full((4, 1000), 1.0 - 2.0**-24)  # the greatest float32 below 1
    market.start_spread(almost)
    assert (market.rows[:, -1:] == lengths - 1).all()


def test_what_it_holds_at_the_start() -> None:
    market = make_market(count=2)
    market.start(torch.tensor([[0, 1]] * 4))
    np.testing.assert_allclose(market.left[1], [0.2, 0.0])
    np.testing.assert_allclose(market.held[1, 0, [1, 14, 15]], [0.4, 0.1, 0.3])
    np.testing.assert_allclose(market.seen[1, 0, 15], 0.5)  # what is gone counts as cash
    np.testing.assert_allclose(market.held[0, :, 15], 1.0)


def test_gradient_flows_through_weeks_and_changes_of_universe() -> None:
    market = TensorMarket(WINDOWS, [0], COSTS, 2, episode_weeks=3, dtype=torch.float64)

    def worth(tilts: torch.Tensor) -> torch.Tensor:
        market.start(torch.tensor([[18, 40]]))  # the universe changes before week 20
        rewards = []
        for t in range(3):
            # A policy that answers to what it holds.
            answer = market.observe()[..., 8] * 0.1
            rewards.append(market.step(market.weights(tilts[t] + answer)).reward)
        return torch.stack(rewards)

    tilts = torch.from_numpy(np.random.default_rng(4).normal(size=(3, 1, 2, 16))).requires_grad_()
    assert torch.autograd.gradcheck(worth, tilts)


@pytest.mark.parametrize("scale", [0.1, 1.0, 5.0, 30.0, 300.0])
@pytest.mark.parametrize("cap", [0.05, 0.2, 0.35])
def test_the_map_is_that_of_the_arrays(scale: float, cap: float) -> None:
    costs = CostConfig(max_position_weight=cap)
    logits = np.random.default_rng(3).normal(size=(400, 16)) * scale
    logits[::5] = np.round(logits[::5])
    logits[::7, :9] = logits[::7, :1] + 2.0  # many that are equal, and capped together
    logits[::11, -1] = -400.0
    found = project_tensor(torch.from_numpy(logits), costs).numpy()
    np.testing.assert_allclose(found, project(logits, costs), atol=1e-12)
    np.testing.assert_allclose(
        project_tensor(torch.from_numpy(logits.reshape(8, 50, 16)), costs).numpy().reshape(400, 16), found, atol=0
    )


@given(LOGITS, st.floats(0.07, 1.0), st.sampled_from([0.02, 0.3]))
def test_weights_are_admissible(logits: np.ndarray, cap: float, buffer: float) -> None:
    costs = CostConfig(max_position_weight=cap, cash_buffer=buffer)
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-6)):
        weights = project_tensor(torch.from_numpy(logits).to(dtype), costs)
        assert weights.dtype == dtype
        assert weights.min() >= 0.0
        assert weights[:-1].max() <= cap + tolerance
        assert weights[-1] >= buffer - tolerance
        assert abs(float(weights.sum()) - 1.0) <= tolerance


@pytest.mark.parametrize("scale", [0.3, 2.0, 6.0])
def test_the_map_has_the_gradient_it_claims(scale: float) -> None:
    logits = torch.from_numpy(np.random.default_rng(5).normal(size=(12, 16)) * scale).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: project_tensor(z, COSTS), logits)


def test_a_capped_stock_has_no_gradient_and_the_rest_shares() -> None:
    logits = torch.zeros(16, dtype=torch.float64)
    logits[0] = 5.0
    logits.requires_grad_()
    weights = project_tensor(logits, COSTS)
    (slope,) = torch.autograd.grad(weights[1], logits)
    assert float(weights[0].detach()) == COSTS.max_position_weight
    assert slope[0] == 0.0
    assert slope[1] > 0.0
    assert float(slope.sum()) == pytest.approx(0.0, abs=1e-15)


def test_no_tilt_is_equal_weight() -> None:
    market = make_market()
    weights = market.weights(torch.zeros(4, 6, 16, dtype=torch.float64))
    np.testing.assert_allclose(weights, np.broadcast_to(equal_weights(COSTS), (4, 6, 16)), atol=1e-15)


def test_refuses_windows_that_are_too_short_or_unknown() -> None:
    with pytest.raises(NotEnoughDataError, match="no weeks"):
        TensorMarket([], [], COSTS, 1)
    with pytest.raises(NotEnoughDataError):
        TensorMarket([Window(LONG[:20], StateScaler.fit(LONG))], [0], COSTS, 1, episode_weeks=21)
