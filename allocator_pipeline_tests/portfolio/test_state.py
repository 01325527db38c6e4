import dataclasses

import numpy as np
import pandas as pd
import pytest

from allocator_pipeline.config import STATE_SIZE
from allocator_pipeline.errors import CorruptArtifactError, NotEnoughDataError
from allocator_pipeline.portfolio.state import StateTensors, concatenate


def same(left: StateTensors, right: StateTensors) -> bool:
    return all(
        np.array_equal(getattr(left, item.name), getattr(right, item.name), equal_nan=item.name in ("returns", "marks"))
        for item in dataclasses.fields(StateTensors)
    )


def test_the_vector_has_signals_by_slot_then_forecasts_then_weights(states):
    weights = np.arange(16.0)
    vector = states.observation(5, weights).vector
    assert vector.shape == (STATE_SIZE,)
    np.testing.assert_array_equal(vector[:105].reshape(15, 7), states.signals[5])
    np.testing.assert_array_equal(vector[105:120], states.forecasts[5])
    np.testing.assert_array_equal(vector[120:], weights)


def test_an_observation_reads_its_own_week_alone(states, monkeypatch):
    whole = states.features
    monkeypatch.setattr(StateTensors, "features", property(lambda _: pytest.fail("all weeks were put together")))
    for row in (0, 5, len(states) - 1, -1):
        np.testing.assert_array_equal(states.observation(row, np.arange(16.0)).features, whole[row])


def test_bytes_round_trip_and_are_deterministic(states):
    unknown = dataclasses.replace(states, returns=np.where(states.returns > 0.1, np.nan, states.returns))
    for tensors in (states, unknown, states[:0]):
        again = StateTensors.from_bytes(tensors.to_bytes())
        assert same(again, tensors)
        assert again.to_bytes() == tensors.to_bytes()
        assert again.digest() == tensors.digest()


@pytest.mark.parametrize("damage", [b"", b"rubbish", b"\xff" * 64])
def test_other_bytes_are_refused(damage):
    with pytest.raises(CorruptArtifactError):
        StateTensors.from_bytes(damage)


def test_truncated_bytes_are_refused(states):
    payload = states[:3].to_bytes()
    for length in range(0, len(payload), 97):
        with pytest.raises(CorruptArtifactError):
            StateTensors.from_bytes(payload[:length])


@pytest.mark.parametrize("name", [item.name for item in dataclasses.fields(StateTensors)])
def test_the_digest_covers_every_field(states, name):
    value = getattr(states, name).copy()
    value[-1] = value[-1] + 7 if name == "weeks" else ~value[-1] if name == "missing" else value[0]
    if name == "symbols":
        value[-1, 0] = "X"
    assert dataclasses.replace(states, **{name: value}).digest() != states.digest()


def test_shapes_order_and_finiteness_are_checked(states):
    with pytest.raises(CorruptArtifactError, match="'marks' has shape"):
        dataclasses.replace(states, marks=states.marks[:, :-1])
    with pytest.raises(CorruptArtifactError, match="not in order"):
        dataclasses.replace(states, weeks=states.weeks[::-1])
    with pytest.raises(CorruptArtifactError, match="not finite"):
        dataclasses.replace(states, forecasts=states.forecasts * np.nan)


def test_weeks_are_found_and_cut(states):
    assert states.row("2010-01-18") == 2
    with pytest.raises(NotEnoughDataError, match="2010-01-19"):
        states.row("2010-01-19")
    part = states.between("2010-01-11", pd.Timestamp("2010-02-01"))
    np.testing.assert_array_equal(part.weeks, states.weeks[1:5])
    assert same(concatenate([states[:7], states[7:]]), states)
    with pytest.raises(NotEnoughDataError):
        concatenate([])


def test_carry_follows_symbols(states):
    carry = states.carry()
    np.testing.assert_array_equal(carry[0], np.arange(15))
    for t in range(1, len(states)):
        before = states.symbols[t - 1].tolist()
        for slot, symbol in enumerate(states.symbols[t]):
            assert carry[t, slot] == (before.index(symbol) if symbol in before else -1)
    assert (carry == -1).sum() >= 5
    assert ((carry >= 0) & (carry != np.arange(15))).sum() >= 8


def test_known_weeks(states):
    returns = states.returns.copy()
    returns[-1, 3] = np.nan
    known = dataclasses.replace(states, returns=returns).known
    assert known[:-1].all()
    assert not known[-1]
