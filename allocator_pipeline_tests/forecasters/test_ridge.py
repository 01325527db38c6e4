from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from allocator_pipeline.errors import CorruptArtifactError, NotEnoughDataError
from allocator_pipeline.forecasters.ridge import RidgeConfig, RidgeForecaster

CHANNELS = len(RidgeConfig().channels)


@pytest.fixture
def values() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((400, 6, CHANNELS)).astype(np.float32)


@pytest.fixture
def targets() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((400, 6))


def features(values: np.ndarray, blocks: tuple[int, ...]) -> np.ndarray:
    """The same in plain numpy: (T - 59, N, F)."""
    rows = []
    for t in range(59, len(values)):
        lags = values[t - 59 : t + 1, :, 0].astype(np.float64)[::-1]
        begins = (0, *blocks[:-1])
        sums = [lags[a:b].sum(axis=0) / (b - a) ** 0.5 for a, b in zip(begins, blocks, strict=True)]
        rows.append(np.column_stack([*sums, values[t, :, 1:].astype(np.float64)]))
    return np.array(rows)


def test_it_solves_the_penalised_normal_equations(values, targets):
    targets[300:320] = np.nan
    found = RidgeForecaster(RidgeConfig()).fit(values, targets)
    x, y = features(values, RidgeConfig().blocks), targets[59:]
    known = np.isfinite(y)
    x, y = x[known], y[known]
    expected = np.linalg.solve(x.T @ x + 0.1 * len(y) * np.eye(x.shape[1]), x.T @ y)
    np.testing.assert_allclose(found.tensors()["coefficients"], expected, rtol=1e-8)
    assert found.losses_[0] == pytest.approx(((y - x @ expected) ** 2).mean())


def test_scores_equal_predictions_and_read_no_later_day(values, targets):
    found = RidgeForecaster(RidgeConfig()).fit(values, targets)
    scores = found.scores(values)
    assert np.isnan(scores[:59]).all()
    np.testing.assert_allclose(found.predict(values[-60:].transpose(1, 0, 2)), scores[-1], rtol=1e-9)
    later = values.copy()
    later[200:] += 1.0
    np.testing.assert_array_equal(found.scores(later)[:200], scores[:200])
    assert (found.scores(later)[200:] != scores[200:]).all()


def test_how_many_days_are_held_at_once_does_not_matter(values, targets):
    few = dataclasses.replace(RidgeConfig(), days_per_step=7)
    one, two = (RidgeForecaster(config).fit(values, targets) for config in (RidgeConfig(), few))
    np.testing.assert_allclose(one.scores(values), two.scores(values), rtol=1e-9)


def test_a_state_crosses_and_others_are_refused(values, targets):
    found = RidgeForecaster(RidgeConfig()).fit(values, targets)
    again = RidgeForecaster(RidgeConfig()).load(found.tensors())
    np.testing.assert_array_equal(again.scores(values), found.scores(values))
    good = found.tensors()["coefficients"]
    for bad in ({}, {"coefficients": good[:-1]}, {"coefficients": good.float()}, {"coefficients": good * torch.nan}):
        with pytest.raises(CorruptArtifactError):
            RidgeForecaster(RidgeConfig()).load(bad)


def test_nothing_to_learn_from_is_an_error(values, targets):
    with pytest.raises(NotEnoughDataError):
        RidgeForecaster(RidgeConfig()).fit(values, np.full(targets.shape, np.nan))
    with pytest.raises(NotEnoughDataError):
        RidgeForecaster(RidgeConfig()).fit(values[:59], targets[:59])
    with pytest.raises(NotEnoughDataError):
        RidgeForecaster(RidgeConfig()).predict(values[:60].transpose(1, 0, 2))
