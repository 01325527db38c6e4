from __future__ import annotations

import numpy as np

from allocator_pipeline.forecasters import targets


def test_a_target_runs_from_the_next_session_to_five_later():
    price = np.exp(np.arange(20.0) ** 2)[:, None]
    returns = targets.weekly_returns(price)[:, 0]
    t = np.arange(14)
    np.testing.assert_allclose(returns[:14], (t + 6.0) ** 2 - (t + 1.0) ** 2)
    assert np.isnan(returns[14:]).all()


def test_too_few_days_have_no_target():
    assert np.isnan(targets.weekly_returns(np.ones((6, 3)))).all()


def test_ranks_are_standardised_and_ties_share():
    ranks = targets.rank_targets(np.array([[0.3, -0.1, 0.0, 0.2, 9.0, 0.05], [1.0, 1.0, 2.0, 3.0, 4.0, 5.0]]))
    np.testing.assert_allclose(ranks[0].mean(), 0, atol=1e-12)
    np.testing.assert_allclose(ranks[0].var(), 1)
    assert ranks[0].argmax() == 4
    assert ranks[1, 0] == ranks[1, 1]


def test_unknown_stays_unknown():
    returns = np.array([[0.1, np.nan, 0.2, 0.3, 0.4, 0.5], [0.1, np.nan, np.nan, 0.3, 0.4, 0.5]])
    ranks = targets.rank_targets(returns)
    np.testing.assert_array_equal(np.isnan(ranks[0]), np.isnan(returns[0]))
    assert np.isnan(ranks[1]).all()  # four stocks are no cross-section
