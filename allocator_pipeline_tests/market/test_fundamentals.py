"""Ratios: defined where they mean something."""

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from allocator_pipeline.market.fundamentals import generated_fundamentals, ratio

numbers = st.one_of(st.floats(allow_nan=True, allow_infinity=True), st.just(0.0))


@given(st.lists(st.tuples(numbers, numbers), max_size=20))
def test_a_ratio_is_missing_unless_both_parts_are_there_and_the_lower_is_positive(pairs):
    above, below = np.array(pairs, dtype=float).reshape(-1, 2).T
    with np.errstate(over="ignore"):
        values = ratio(above, below)
    usable = np.isfinite(above) & np.isfinite(below) & (below > 0)

    assert np.isnan(values[~usable]).all()
    assert not np.isnan(values[usable]).any()


def test_ratios_by_hand():
    np.testing.assert_array_equal(ratio(np.array([30.0, -5.0, 1.0]), np.array([60.0, 10.0, -1.0])), [0.5, -0.5, np.nan])


def test_a_quarter_is_the_same_whichever_companies_were_asked_for():
    both = generated_fundamentals(["A", "B"], 2015, seed=1)
    one = generated_fundamentals(["B"], 2015, seed=1)

    pd.testing.assert_frame_equal(both[both["symbol"] == "B"].reset_index(drop=True), one)
