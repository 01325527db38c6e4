from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from allocator_pipeline.forecasters import inputs


def closes(days: int = 200, stocks: int = 8, seed: int = 0) -> np.ndarray:
    return 100 * np.exp(np.cumsum(0.01 * np.random.default_rng(seed).standard_normal((days, stocks)), axis=0))


@settings(max_examples=25, deadline=None)
@given(cut=st.integers(1, 199), seed=st.integers(0, 1000), holes=st.floats(0, 0.3))
def test_no_row_depends_on_a_later_one(cut, seed, holes):
    random = np.random.default_rng(seed)
    before = closes(seed=seed)
    before[random.random(before.shape) < holes] = np.nan
    after = before.copy()
    after[cut:] = closes(seed=seed + 1)[cut:]
    one, two = inputs.build_inputs(before), inputs.build_inputs(after)
    for name in ("relative", "usable", "sigma"):
        np.testing.assert_array_equal(getattr(one, name)[:cut], getattr(two, name)[:cut])


def test_inputs_are_finite_relative_and_scaled():
    built = inputs.build_inputs(closes(2000, 50))
    seen = built.relative[100:]
    assert built.relative.dtype == np.float32
    np.testing.assert_allclose(seen.mean(axis=1), 0, atol=1e-6)
    assert 0.9 < seen.std() < 1.1
    np.testing.assert_allclose(built.sigma[100:].mean(), 0.01, rtol=0.05)


def test_a_missing_day_holds_the_mean_and_is_counted():
    prices = closes()
    prices[150, 3] = np.nan
    built = inputs.build_inputs(prices)
    assert built.relative[150, 3] == built.relative[151, 3] == 0  # neither day has a return
    assert built.usable[150:, 3].all()
    prices[140:170, 3] = np.nan
    assert not inputs.build_inputs(prices).usable[170, 3]


def test_a_young_symbol_is_usable_once_it_has_a_quarter():
    prices = closes()
    prices[:100, 0] = np.nan
    usable = inputs.build_inputs(prices).usable[:, 0]
    # one day for a return, WARM_UP returns for a volatility, then MIN_OBSERVED observations
    assert np.flatnonzero(usable)[0] == 100 + inputs.WARM_UP + inputs.MIN_OBSERVED


def test_a_price_that_never_moves_is_never_usable():
    prices = closes()
    prices[:, 2] = 50.0
    built = inputs.build_inputs(prices)
    assert not built.usable[:, 2].any()
    assert np.isfinite(built.relative).all()


def test_a_day_with_few_symbols_has_no_cross_section():
    values = np.full((2, 8), np.nan)
    values[0, :4], values[1, :5] = 1.0, np.arange(5)
    relative, observed = inputs.demean(values)
    assert not observed[0].any()
    np.testing.assert_array_equal(relative[1, :5], np.arange(5) - 2.0)
