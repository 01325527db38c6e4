"""Several worlds side by side pay what each pays alone."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from allocator_pipeline.config import CostConfig
from allocator_pipeline.errors import ConflictError, NotEnoughDataError, WeightsError
from allocator_pipeline.portfolio.constraints import project
from allocator_pipeline.portfolio.rollout import simulate
from allocator_pipeline.portfolio.state import Observation, StateTensors
from allocator_pipeline.portfolio.worlds import simulate_worlds


def decide(observation: Observation) -> np.ndarray:
    """Weigh by the forecast and by what is held: for one portfolio and for many."""
    cash = np.zeros((*observation.weights.shape[:-1], 1))
    wanted = np.concatenate([20.0 * observation.features[..., -1], cash], axis=-1)
    return project(wanted + 3.0 * observation.weights - observation.features[..., :1, 0], CostConfig())


def shuffled(states: StateTensors, seed: int) -> StateTensors:
    rng = np.random.default_rng(seed)
    return dataclasses.replace(states, forecasts=rng.permuted(states.forecasts, axis=1))


def test_each_world_is_walked_as_if_it_were_the_only_one(states, costs):
    worlds = [states, shuffled(states, 1), shuffled(states, 2)]
    together = simulate_worlds(decide, worlds, costs)
    for run, world in zip(together, worlds, strict=True):
        alone = simulate(decide, world, costs)
        for item in dataclasses.fields(alone):
            found, wanted = getattr(run, item.name), getattr(alone, item.name)
            if isinstance(wanted, dict):
                assert found == pytest.approx(wanted, abs=1e-12)
            elif wanted.dtype.kind == "f":
                assert_allclose(found, wanted, rtol=0, atol=1e-10)
            else:
                assert_array_equal(found, wanted)
    assert np.ptp([run.net.sum() for run in together]) > 0.01


def test_worlds_that_pay_differently_are_refused(states, costs):
    other = dataclasses.replace(states, returns=states.returns + 1e-3)
    with pytest.raises(ConflictError, match="what the weeks paid"):
        simulate_worlds(decide, [states, other], costs)
    with pytest.raises(NotEnoughDataError, match="no world"):
        simulate_worlds(decide, [], costs)


def test_a_broken_constraint_names_its_week(states, costs):
    def late(observation: Observation) -> np.ndarray:
        return decide(observation) * (1.0 if observation.week < states.weeks[7] else 1.1)

    with pytest.raises(WeightsError, match="sum is not 1") as caught:
        simulate_worlds(late, [states, states], costs)
    assert caught.value.week == str(states.weeks[7])
