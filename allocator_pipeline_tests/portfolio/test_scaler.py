import json

import numpy as np
import pytest

from allocator_pipeline.config import N_STOCKS
from allocator_pipeline.errors import ConfigurationError, CorruptArtifactError, NotEnoughDataError
from allocator_pipeline.portfolio.constraints import equal_weights
from allocator_pipeline.portfolio.scaler import StateScaler
from allocator_pipeline_tests.portfolio.conftest import make_states


def test_training_features_become_standard(states, scaler):
    scaled = scaler.transform(states.features, states.missing)
    for feature in range(8):
        seen = ~states.missing[..., feature] if feature < 7 else np.ones(states.forecasts.shape, dtype=bool)
        assert scaled[..., feature][seen].mean() == pytest.approx(0.0, abs=1e-12)
        assert scaled[..., feature][seen].std() == pytest.approx(1.0)


def test_missing_is_zero_and_left_out_of_the_statistics(states, scaler):
    assert (scaler.transform(states.features, states.missing)[..., :-1][states.missing] == 0.0).all()
    rubbish = states.signals.copy()
    rubbish[states.missing] = 1e9
    other = StateScaler.fit(type(states)(**{**vars(states), "signals": rubbish}))
    np.testing.assert_array_equal(other.mean, scaler.mean)
    np.testing.assert_array_equal(other.scale, scaler.scale)


def test_statistics_are_pooled_or_by_slot():
    states = make_states(changing=False)
    pooled, by_slot = StateScaler.fit(states), StateScaler.fit(states, per_slot=True)
    assert pooled.mean.shape == (8,)
    assert by_slot.mean.shape == (N_STOCKS, 8)
    scaled = by_slot.transform(states.features, states.missing)
    np.testing.assert_allclose(scaled[..., -1].mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(scaled[..., -1].std(axis=0), 1.0)


def test_statistics_by_slot_need_one_universe(states):
    with pytest.raises(ConfigurationError, match="one universe"):
        StateScaler.fit(states, per_slot=True)


def test_only_training_rows_count(states):
    later = states.signals.copy()
    later[60:] += 100.0
    changed = type(states)(**{**vars(states), "signals": later})
    first, second = StateScaler.fit(states[:60]), StateScaler.fit(changed[:60])
    assert first.to_dict() == second.to_dict()
    assert StateScaler.fit(changed).to_dict() != StateScaler.fit(states).to_dict()


def test_a_constant_or_absent_feature_stays_finite(states):
    signals, missing = states.signals.copy(), states.missing.copy()
    signals[..., 2], missing[..., 2] = 0.1, False
    missing[..., 3] = True
    odd = type(states)(**{**vars(states), "signals": signals, "missing": missing})
    scaler = StateScaler.fit(odd)
    np.testing.assert_allclose(scaler.transform(odd.features, odd.missing)[..., 2:4], 0.0, atol=1e-12)
    assert (scaler.scale[2:4] == 1.0).all()


def test_outliers_are_clipped(states, scaler):
    wild = states.features * 1e6
    assert np.abs(scaler.transform(wild, states.missing)).max() == scaler.clip


def test_weights_are_never_touched(states, scaler, costs):
    observation = states.observation(3, equal_weights(costs))
    vector = scaler.vector(observation)
    assert vector.dtype == np.float32
    assert vector.shape == (136,)
    np.testing.assert_array_equal(vector[-16:], equal_weights(costs).astype(np.float32))
    scaled = scaler.transform(states.features, states.missing)[3]
    np.testing.assert_array_equal(vector[:7], scaled[0, :7].astype(np.float32))
    np.testing.assert_array_equal(vector[105:120], scaled[:, 7].astype(np.float32))


def test_it_survives_json(scaler):
    again = StateScaler.from_dict(json.loads(json.dumps(scaler.to_dict())))
    np.testing.assert_array_equal(again.mean, scaler.mean)
    np.testing.assert_array_equal(again.scale, scaler.scale)
    assert again.clip == scaler.clip


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"mean": [0.0] * 8, "scale": [1.0] * 7, "clip": 10},
        {"mean": [0.0] * 7, "scale": [1.0] * 7, "clip": 10},
        {"mean": [0.0] * 8, "scale": [0.0] * 8, "clip": 10},
        {"mean": [float("nan")] * 8, "scale": [1.0] * 8, "clip": 10},
        {"mean": "x", "scale": None, "clip": 10},
    ],
)
def test_damaged_scalers_are_refused(values):
    with pytest.raises(CorruptArtifactError):
        StateScaler.from_dict(values)


def test_no_weeks_no_scaler(states):
    with pytest.raises(NotEnoughDataError):
        StateScaler.fit(states[:0])
