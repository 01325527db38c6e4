import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from allocator_pipeline.config import CostConfig
from allocator_pipeline.errors import WeightsError
from allocator_pipeline.portfolio.constraints import (
    check_weights,
    equal_weight_anchor,
    equal_weights,
    logits_near,
    project,
    within_limits,
)

COSTS = CostConfig()
FINITE = st.floats(allow_nan=False, allow_infinity=False)


def assert_exact(weights: np.ndarray, costs: CostConfig = COSTS) -> None:
    assert np.isfinite(weights).all()
    assert weights.min() >= 0.0
    assert weights[..., :-1].max() <= costs.max_position_weight
    assert weights[..., -1].min() >= costs.cash_buffer
    assert np.abs(weights.sum(axis=-1) - 1.0).max() <= 1e-12


def by_bisection(logits: np.ndarray, costs: CostConfig = COSTS) -> np.ndarray:
    """The same map by its definition, one row: find the scale at which the clipped shares sum to 1."""
    log_shares = logits - logits.max()

    def at(log_scale: float) -> np.ndarray:
        weights = np.exp(np.minimum(log_shares + log_scale, 1.0))
        weights[:-1] = np.minimum(weights[:-1], costs.max_position_weight)
        weights[-1] = max(weights[-1], costs.cash_buffer)
        return weights

    low, high = -50.0, 1000.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if at(middle).sum() < 1.0 else (low, middle)
    return at(low)


def random_logits(rng: np.random.Generator, count: int) -> np.ndarray:
    """Normal, large, huge, tied, sparse and one-sided logits in equal parts."""
    logits = rng.normal(size=(count, 16))
    scales = np.array([1e-3, 1.0, 3.0, 30.0, 1e4, 1e300])
    logits *= scales[np.arange(count) % 6][:, None]
    logits[::7] = np.round(logits[::7])
    logits[::11, rng.integers(16)] = 1e308
    logits[::13, -1] = -1e308
    logits[::17] = logits[::17, :1]
    return logits


def check_many(count: int) -> None:
    rng = np.random.default_rng(14)
    with np.errstate(all="raise", under="ignore"):
        logits = random_logits(rng, count)
        assert_exact(project(logits, COSTS))
    bad = logits[: count // 2].copy()
    rows = np.arange(len(bad))
    bad[rows, rng.integers(16, size=len(bad))] = np.array([np.nan, np.inf, -np.inf])[rows % 3]
    for row in bad[:1000]:
        with pytest.raises(WeightsError, match="not finite"):
            project(row, COSTS)
    with pytest.raises(WeightsError, match="not finite"):
        project(bad, COSTS)


def test_twelve_thousand_logits_keep_every_constraint_or_are_refused():
    check_many(12_000)


@pytest.mark.slow
def test_a_million_logits_keep_every_constraint_or_are_refused():
    check_many(1_000_000)


@given(arrays(np.float64, (16,), elements=FINITE))
def test_any_finite_logits(logits):
    assert_exact(project(logits, COSTS))


@given(
    arrays(np.float64, (16,), elements=st.floats(-30, 30)),
    st.floats(0.07, 1.0),
    st.sampled_from([0.0, 0.02, 0.3]),
)
def test_other_caps_and_buffers(logits, cap, buffer):
    costs = CostConfig(max_position_weight=cap, cash_buffer=buffer)
    assert_exact(project(logits, costs), costs)
    np.testing.assert_allclose(project(logits, costs), by_bisection(logits, costs), atol=1e-12)


@pytest.mark.parametrize("cap", [(1 - 0.02) / 15, 0.05, 0.01])
def test_where_the_caps_bind_everywhere_cash_takes_the_rest(cap):
    costs = CostConfig(max_position_weight=cap)
    weights = project(np.r_[np.full(15, 50.0), -50.0], costs)
    assert_exact(weights, costs)
    np.testing.assert_allclose(weights, np.r_[np.full(15, cap), 1 - 15 * cap], atol=1e-12)


def test_it_is_the_water_filling_of_the_softmax():
    logits = np.random.default_rng(0).normal(size=(300, 16)) * np.repeat([0.5, 2.0, 8.0], 100)[:, None]
    expected = np.stack([by_bisection(row) for row in logits])
    np.testing.assert_allclose(project(logits, COSTS), expected, atol=1e-12)


def test_a_row_does_not_depend_on_its_batch():
    logits = random_logits(np.random.default_rng(1), 600)
    together = project(logits, COSTS)
    alone = np.stack([project(row, COSTS) for row in logits])
    assert (together == alone).all()
    assert (project(logits.reshape(20, 30, 16), COSTS).reshape(600, 16) == together).all()


@pytest.mark.parametrize("scale", [0.1, 1.0, 5.0])
def test_admissible_weights_are_fixed_points(scale):
    weights = project(np.random.default_rng(2).normal(size=(500, 16)) * scale, COSTS)
    np.testing.assert_allclose(project(np.log(weights), COSTS), weights, rtol=0, atol=1e-12)


def test_adding_a_constant_changes_nothing():
    logits = np.random.default_rng(3).normal(size=(100, 16))
    np.testing.assert_allclose(project(logits + 37.0, COSTS), project(logits, COSTS), atol=1e-13)


def test_stocks_can_be_dropped_and_cash_can_take_everything():
    assert project(np.r_[np.full(15, -1000.0), 0.0], COSTS)[-1] == 1.0
    weights = project(np.r_[1000.0, np.zeros(15)], COSTS)
    assert weights[0] == COSTS.max_position_weight
    np.testing.assert_allclose(weights[1:], 0.8 / 15)


def test_the_anchor_is_equal_weight():
    np.testing.assert_allclose(equal_weights(COSTS), np.r_[np.full(15, 0.98 / 15), 0.02], atol=1e-15)
    np.testing.assert_allclose(project(equal_weight_anchor(COSTS), COSTS), equal_weights(COSTS), atol=1e-15)
    assert_exact(equal_weights(CostConfig(max_position_weight=0.05)), CostConfig(max_position_weight=0.05))
    with pytest.raises(WeightsError, match="cash buffer"):
        equal_weight_anchor(CostConfig(cash_buffer=0.0))


@pytest.mark.parametrize("shape", [(), (15,), (3, 17)])
def test_wrong_shapes_are_refused(shape):
    with pytest.raises(WeightsError, match="shape"):
        project(np.zeros(shape), COSTS)
    with pytest.raises(WeightsError, match="shape"):
        check_weights(np.zeros(shape), COSTS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({0: np.nan}, "not finite"),
        ({0: np.inf}, "not finite"),
        ({0: -0.01, 1: 0.98 / 15 * 2 + 0.01}, "negative"),
        ({0: 0.21, 1: 0.0, 2: 0.0, 3: 4 * 0.98 / 15 - 0.21}, "exceeds 0.2"),
        ({0: 0.98 / 15 + 0.01, 15: 0.01}, "cash is below 0.02"),
        ({15: 0.03}, "sum is not 1"),
    ],
)
def test_check_weights_names_what_is_broken(change, message):
    weights = equal_weights(COSTS)
    assert check_weights(weights, COSTS) is weights
    for position, value in change.items():
        weights[position] = value
    with pytest.raises(WeightsError, match=message):
        check_weights(weights, COSTS)
    with pytest.raises(WeightsError, match=message):
        check_weights(np.stack([equal_weights(COSTS), weights]), COSTS)


@given(parts=arrays(np.float64, 16, elements=st.floats(0.0, 1.0)), cap=st.sampled_from([0.05, 0.2, 1.0]))
def test_any_portfolio_can_be_brought_within_the_limits(parts: np.ndarray, cap: float) -> None:
    costs = CostConfig(max_position_weight=cap)
    parts[-1] += 1e-9
    limited = within_limits(parts / parts.sum(), costs)
    assert_exact(limited, costs)
    assert (limited[:-1][parts[:-1] == 0.0] == 0.0).all()
    np.testing.assert_allclose(within_limits(limited, costs), limited, atol=1e-12)  # nothing is left to do


def test_limits_move_what_breaks_them_and_share_the_rest_in_proportion() -> None:
    assert_exact(limited := within_limits(np.r_[0.5, 0.3, 0.2, np.zeros(13)], COSTS))
    np.testing.assert_allclose(limited, np.r_[0.2, 0.2, 0.2, np.zeros(12), 0.4])
    limited = within_limits(np.r_[0.3, np.full(10, 0.07), np.zeros(5)], COSTS)
    np.testing.assert_allclose(limited, np.r_[0.2, np.full(10, 0.078), np.zeros(4), 0.02])


@given(
    arrays(np.float64, (16,), elements=st.floats(-30, 30)),
    arrays(np.float64, (3, 16), elements=st.floats(-30, 30)),
    st.sampled_from([0.08, 0.2, 0.5, 1.0]),
)
def test_logits_of_weights_give_them_back(logits: np.ndarray, near: np.ndarray, cap: float) -> None:
    costs = CostConfig(max_position_weight=cap)
    weights = project(logits, costs)
    np.testing.assert_allclose(project(logits_near(weights, near, costs), costs), np.tile(weights, (3, 1)), atol=1e-7)


@given(arrays(np.float64, (16,), elements=st.floats(-3, 3)))
def test_logits_that_give_the_weights_are_their_own_nearest(logits: np.ndarray) -> None:
    np.testing.assert_allclose(logits_near(project(logits, COSTS), logits, COSTS), logits, atol=1e-6)
