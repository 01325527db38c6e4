"""What a policy looks at: features it cannot see move nothing, and attributions add up."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from allocator_pipeline.allocators.ensemble import TiltEnsemble
from allocator_pipeline.evaluation.attribution import integrated_gradients
from allocator_pipeline.evaluation.response import FEATURES, permutation_response, stack
from allocator_pipeline.portfolio.constraints import equal_weights
from allocator_pipeline_tests.evaluation.policies import COSTS, made_up

BLIND = "current_ratio"


@pytest.fixture(scope="module")
def seen(states):
    rng = np.random.default_rng(1)
    year = states[-40:]
    return stack([year.observation(row, rng.dirichlet(np.full(16, 20.0))) for row in range(len(year))])


@pytest.fixture(scope="module")
def policy(states):
    """A policy that does not read one of the features."""
    policy = made_up(states, 3)
    policy.network.actor["weight.0"][:, FEATURES.index(BLIND)] = 0.0
    return policy.unshrunk()


def test_a_feature_that_is_not_read_moves_nothing_and_the_others_do(policy, seen):
    found = permutation_response(policy, seen, draws=2)
    assert list(found["features"]) == list(FEATURES)
    assert list(found["stocks"]) == seen.symbols.tolist()
    assert found["features"][BLIND] == pytest.approx(0.0, abs=1e-6)
    others = [value for name, value in found["features"].items() if name != BLIND]
    assert 0.001 < min(others) <= max(others) < 1.0
    assert 0.001 < min(found["stocks"].values()) <= max(found["stocks"].values()) < 1.0


def test_the_response_is_measured_without_changing_what_was_seen(policy, seen):
    before = seen.features.copy()
    assert permutation_response(policy, seen, draws=1) == permutation_response(policy, seen, draws=1)
    np.testing.assert_array_equal(seen.features, before)


def test_half_the_tilt_responds_half_as_much(states, seen):
    whole = permutation_response(made_up(states, 3, share=1.0), seen, draws=1)
    half = permutation_response(made_up(states, 3, share=0.5), seen, draws=1)
    for kind in ("features", "stocks"):
        assert half[kind] == pytest.approx({name: 0.5 * value for name, value in whole[kind].items()})


def test_attributions_add_up_to_the_distance_from_equal_weight(policy, seen):
    found = integrated_gradients(policy, seen, steps=64)
    active = 0.5 * np.abs(policy.target_weights(seen) - equal_weights(COSTS)).sum(axis=1).mean()
    assert found["active_share"] == pytest.approx(active, abs=1e-5)
    assert sum(found["features"].values()) == pytest.approx(sum(found["stocks"].values()), abs=1e-9)
    assert sum(found["features"].values()) + found["unexplained"] == pytest.approx(active, abs=1e-5)
    assert found["features"][BLIND] == 0.0
    assert abs(found["unexplained"]) < 0.5 * active  # what is held differs little from stock to stock here


def test_along_the_path_only_the_features_change(policy, seen):
    """With nothing but one feature read, and holdings not read, that feature explains all of the distance."""
    alone = policy.member(0)
    weight = alone.network.actor["weight.0"].clone()
    kept = FEATURES.index("forecast")
    weight[:, [column for column in range(weight.shape[1]) if column != kept]] = 0.0
    network = TiltEnsemble(alone.recipe, {**alone.network.actor, "weight.0": weight})
    found = integrated_gradients(dataclasses.replace(alone, network=network), seen, steps=200)
    others = [value for name, value in found["features"].items() if name != "forecast"]
    assert others == [0.0] * 7
    assert found["features"]["forecast"] == pytest.approx(found["active_share"], rel=0.05)


def test_the_weights_in_torch_are_those_that_are_served(policy, seen):
    inputs = torch.from_numpy(policy.inputs(seen))
    found = policy.network.weights_of(inputs, COSTS).numpy()
    np.testing.assert_allclose(found, policy.target_weights(seen), rtol=0, atol=1e-6)


def test_a_network_of_stable_baselines3_has_no_attribution_and_still_a_response(states, seen):
    reference = made_up(states, 1, share=1.0, key=("ppo", "reference"))
    assert integrated_gradients(reference, seen) is None
    assert max(permutation_response(reference, seen, draws=1)["features"].values()) > 0.0
