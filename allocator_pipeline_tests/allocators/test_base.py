import numpy as np
import pytest

from allocator_pipeline.allocators.base import Allocator
from allocator_pipeline.allocators.baselines import EqualWeight
from allocator_pipeline.config import CostConfig
from allocator_pipeline.errors import WeightsError
from allocator_pipeline.portfolio.rollout import simulate
from allocator_pipeline.portfolio.state import Observation
from allocator_pipeline_tests.portfolio.conftest import make_states


class HoldStill:
    """Needs no base class: what decides is an allocator."""

    def target_weights(self, observation: Observation) -> np.ndarray:
        return observation.weights


def run(allocator: Allocator):
    return simulate(allocator.target_weights, make_states(30), CostConfig())


def test_any_object_that_decides_is_an_allocator():
    held = run(HoldStill())
    assert (held.targets[:, -1] == 1.0).all()
    assert held.turnover.sum() == 0.0
    assert (held.net == 0.0).all()
    assert run(EqualWeight(CostConfig())).turnover[0] == pytest.approx(0.98)


def test_what_it_decides_is_checked():
    class Short:
        def target_weights(self, observation: Observation) -> np.ndarray:
            return np.r_[-0.1, np.zeros(14), 1.1]

    with pytest.raises(WeightsError, match="negative"):
        run(Short())
