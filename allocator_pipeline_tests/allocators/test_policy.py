from __future__ import annotations

import dataclasses
import io
import json
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from allocator_pipeline.allocators.ensemble import TiltEnsemble
from allocator_pipeline.allocators.policy import (
    NETWORK_FILE,
    POLICY_FILE,
    TRAINING_FILE,
    Policy,
    Shrinkage,
    network_of,
)
from allocator_pipeline.allocators.recipes import RECIPES, recipe
from allocator_pipeline.config import CostConfig
from allocator_pipeline.errors import AllocatorError, CorruptArtifactError
from allocator_pipeline.portfolio.agents_env import AgentsVecEnv
from allocator_pipeline.portfolio.constraints import N_ASSETS, check_weights, equal_weights
from allocator_pipeline.portfolio.rollout import simulate
from allocator_pipeline.portfolio.scaler import StateScaler
from allocator_pipeline.portfolio.state import Observation, StateTensors
from allocator_pipeline.portfolio.vec_env import PortfolioVecEnv
from allocator_pipeline.studies.planted import planted_states
from allocator_pipeline.training.environments import training_env
from allocator_pipeline.training.models import build_model, policy_files, restore

EVERY = list(RECIPES)
COSTS = CostConfig()


def market() -> StateTensors:
    """A market with gaps, with marks that differ from returns, and with a change of universe."""
    planted = planted_states(2, 80, 0.1)
    rng = np.random.default_rng(0)
    missing = rng.random(planted.missing.shape) < 0.1
    symbols = planted.symbols.copy()
    symbols[20:, 3] = "NEW"
    return dataclasses.replace(
        planted,
        symbols=symbols,
        signals=np.where(missing, 0.0, planted.signals),
        missing=missing,
        marks=planted.returns + rng.normal(0.0, 0.01, planted.returns.shape),
    )


STATES = market()


def untrained(key: tuple[str, str], seed: int = 0, **changes: Any) -> Policy:
    torch.manual_seed(seed)
    chosen = dataclasses.replace(recipe(*key), **changes)
    network = network_of(chosen)
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.state_dict().values():  # far enough from zero that the answers differ
        parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return Policy(chosen, COSTS, StateScaler.fit(STATES), tuple(STATES.symbols[-1].tolist()), network)


def observations(count: int = 20) -> list[Observation]:
    rng = np.random.default_rng(4)
    return [STATES.observation(row, rng.dirichlet(np.ones(N_ASSETS))) for row in range(80 - count, 80)]


@pytest.mark.parametrize("key", EVERY)
def test_save_and_load_give_identical_actions(key: tuple[str, str]) -> None:
    policy = untrained(key)
    files = policy.to_files()
    again = Policy.from_files(files)
    assert again.to_files() == files
    assert (again.recipe, again.costs, again.symbols) == (policy.recipe, policy.costs, policy.symbols)
    for observation in observations():
        np.testing.assert_array_equal(again.target_weights(observation), policy.target_weights(observation))


@pytest.mark.parametrize("key", EVERY)
def test_weights_are_admissible_and_repeatable(key: tuple[str, str]) -> None:
    policy = untrained(key)
    for observation in observations():
        weights = check_weights(policy.target_weights(observation), COSTS)
        np.testing.assert_array_equal(weights, policy.target_weights(observation))


@pytest.mark.parametrize("key", EVERY)
def test_serving_sees_the_numbers_that_training_sees(key: tuple[str, str]) -> None:
    """Walk an environment and the evaluation in step: every number the network reads is the same, bit for bit."""
    policy = untrained(key, members=1)
    states = STATES if policy.recipe.view == "agents" else STATES[20:]  # slots stay within an episode here
    env: AgentsVecEnv | PortfolioVecEnv = (
        AgentsVecEnv(
            states, policy.scaler, COSTS, 1, episode_weeks=len(states), action_bound=policy.recipe.action_bound
        )
        if policy.recipe.view == "agents"
        else PortfolioVecEnv(
            states, policy.scaler, COSTS, 1, episode_weeks=len(states), action_bound=policy.recipe.action_bound
        )
    )
    served: list[np.ndarray] = []

    def decide(observation: Observation) -> np.ndarray:
        served.append(policy.inputs(observation))
        return policy.target_weights(observation)

    simulate(decide, states, COSTS)
    seen = env.reset()
    for inputs in served:
        np.testing.assert_array_equal(inputs, seen)
        seen = env.step(decided(policy, seen))[0]


def decided(policy: Policy, seen: np.ndarray) -> np.ndarray:
    """Return one network's action, as its training environment takes it."""
    if isinstance(policy.network, TiltEnsemble):
        return policy.network.tilts(seen)[0][:, None]
    return policy.network.predict(seen, deterministic=True)[0]


@pytest.mark.parametrize("key", [key for key in EVERY if RECIPES[key].view == "agents"])
def test_agents_do_not_care_for_slots_or_names(key: tuple[str, str]) -> None:
    policy = untrained(key)
    order = np.random.default_rng(1).permutation(15)
    for observation in observations(5):
        moved = Observation(
            observation.week,
            np.array([f"OTHER{slot}" for slot in range(15)]),
            observation.features[order],
            observation.missing[order],
            observation.weights[[*order, 15]],
        )
        expected = policy.target_weights(observation)[[*order, 15]]
        np.testing.assert_allclose(policy.target_weights(moved), expected, atol=1e-6)


@pytest.mark.parametrize("key", [key for key in EVERY if RECIPES[key].view == "flat"])
def test_flat_maps_slots_by_symbol(key: tuple[str, str]) -> None:
    policy = untrained(key)
    order = np.random.default_rng(1).permutation(15)
    for observation in observations(5):
        moved = Observation(
            observation.week,
            observation.symbols[order],
            observation.features[order],
            observation.missing[order],
            observation.weights[[*order, 15]],
        )
        np.testing.assert_array_equal(policy.logits(moved), policy.logits(observation)[:, [*order, 15]])


def test_no_tilt_is_equal_weight() -> None:
    policy = untrained(("ppo", "default"))
    for parameter in policy.network.state_dict().values():
        parameter.zero_()
    weights = policy.target_weights(observations(1)[0])
    np.testing.assert_allclose(weights, [0.98 / 15] * 15 + [0.02], atol=1e-12)


@pytest.mark.parametrize("algorithm", ["ppo", "sac", "dpg"])
def test_members_are_averaged_and_shrunk_towards_equal_weight(algorithm: str) -> None:
    whole = untrained((algorithm, "default"), members=3)
    assert isinstance(whole.network, TiltEnsemble)
    alone = []
    for member in range(3):
        actor = {name: value[member : member + 1] for name, value in whole.network.actor.items()}
        chosen = dataclasses.replace(whole.recipe, members=1)
        alone.append(dataclasses.replace(whole, recipe=chosen, network=TiltEnsemble(chosen, actor)))
    half = dataclasses.replace(whole, shrinkage=Shrinkage(0.5, 1.4, 100))
    none = dataclasses.replace(whole, shrinkage=Shrinkage(0.0, -1.0, 100))
    equal = equal_weights(COSTS)
    for observation in observations(5):
        mean = np.mean([policy.target_weights(observation) for policy in alone], axis=0)
        np.testing.assert_allclose(whole.target_weights(observation), mean, atol=1e-7)
        assert np.abs(whole.target_weights(observation) - equal).max() > 0.01
        np.testing.assert_allclose(half.target_weights(observation), (whole.target_weights(observation) + equal) / 2)
        np.testing.assert_array_equal(none.target_weights(observation), equal)
        check_weights(half.target_weights(observation), COSTS)
    assert Policy.from_files(half.to_files()).shrinkage == half.shrinkage


@pytest.mark.parametrize("key", [key for key in EVERY if RECIPES[key].engine == "sb3"])
def test_training_state_round_trip(key: tuple[str, str]) -> None:
    chosen = dataclasses.replace(recipe(*key), n_envs=1)
    env = training_env(chosen, STATES, StateScaler.fit(STATES), COSTS)
    first, second = build_model(chosen, env, 1), build_model(chosen, env, 2)
    policy = Policy(chosen, COSTS, StateScaler.fit(STATES), tuple(STATES.symbols[-1].tolist()), first.policy)
    files = policy_files(policy, first)
    restore(second, Policy.from_files(files), files)
    assert policy_files(dataclasses.replace(policy, network=second.policy), second) == files


# --- what is refused ---


class Hostile:
    """Unpickling it creates a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.marker,)


def hostile_payloads(marker: Path) -> dict[str, bytes]:
    evil = Hostile(marker)
    pth, npy, dumped, zipped = io.BytesIO(), io.BytesIO(), io.BytesIO(), io.BytesIO()
    torch.save(evil, pth)
    np.save(npy, np.array([evil], dtype=object), allow_pickle=True)
    joblib.dump(evil, dumped)
    with zipfile.ZipFile(zipped, "w") as archive:  # the layout of stable-baselines3
        archive.writestr("data", json.dumps({"policy_class": {":serialized:": pickle.dumps(evil).hex()}}))
        archive.writestr("policy.pth", pth.getvalue())
        archive.writestr("../../escaped", b"x")
    return {
        "sb3_zip": zipped.getvalue(),
        "pth": pth.getvalue(),
        "joblib": dumped.getvalue(),
        "npy": npy.getvalue(),
        "pickle": pickle.dumps(evil),
        "giant_header": struct.pack("<Q", 2**62) + b"{}",
        "large_header": struct.pack("<Q", 50_000_000) + b"{}",
        "empty": b"",
    }


def test_the_bait_works(tmp_path: Path) -> None:
    pickle.loads(hostile_payloads(tmp_path / "marker")["pickle"])
    assert (tmp_path / "marker").exists()


@pytest.mark.parametrize("kind", list(hostile_payloads(Path("marker"))))
@pytest.mark.parametrize("name", [POLICY_FILE, NETWORK_FILE, TRAINING_FILE])
@pytest.mark.parametrize("algorithm", ["ppo", "sac"])
def test_hostile_files_are_refused(algorithm: str, name: str, kind: str, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    chosen = dataclasses.replace(recipe(algorithm, "default_sb3"), n_envs=1)
    scaler = StateScaler.fit(STATES)
    model = build_model(chosen, training_env(chosen, STATES, scaler, COSTS), 1)
    good = policy_files(Policy(chosen, COSTS, scaler, tuple(STATES.symbols[-1].tolist()), model.policy), model)
    files = {**good, name: hostile_payloads(marker)[kind]}
    with pytest.raises(CorruptArtifactError) as refusal:
        restore(model, Policy.from_files(files), files)
    assert refusal.value.source == name
    assert not marker.exists()


def altered(change: dict[str, object]) -> dict[str, bytes]:
    files = untrained(("ppo", "default")).to_files()
    return {**files, POLICY_FILE: json.dumps(json.loads(files[POLICY_FILE]) | change).encode()}


@pytest.mark.parametrize(
    "change",
    [
        {"algorithm": "dqn"},
        {"algorithm": ["ppo"]},
        {"algorithm": "sac"},
        {"recipe": None},
        {"symbols": ["A"] * 15},
        {"symbols": [["A"]] * 15},
        {"symbols": 3},
        {"costs": {"cost_bps": float("nan")}},
        {"costs": {"cost_bps": -1.0}},
        {"costs": {"bribe": 1.0}},
        {"costs": []},
        {"scaler": None},
        {"shrinkage": None},
        {"shrinkage": {"share": 1.5, "t": 2.0, "weeks": 3}},
        {"shrinkage": {"share": 0.5, "t": float("nan"), "weeks": 3}},
        {"scaler": {"mean": [0.0] * 8, "scale": [0.0] * 8, "clip": 10.0}},
        {"scaler": {"mean": [0.0] * 7, "scale": [1.0] * 7, "clip": 10.0}},
    ],
)
def test_a_description_that_makes_no_sense_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(CorruptArtifactError):
        Policy.from_files(altered(change))


@pytest.mark.parametrize("payload", [b"[]", b"null", b"{}", b"\xff\xfe", b"[" * 100_000, b"{" * 2**21])
def test_a_description_that_is_none_is_refused(payload: bytes) -> None:
    files = untrained(("ppo", "default")).to_files()
    with pytest.raises(CorruptArtifactError):
        Policy.from_files({**files, POLICY_FILE: payload})


def test_tensors_that_do_not_fit_are_refused() -> None:
    files = untrained(("ppo", "default")).to_files()
    tensors = load(files[NETWORK_FILE])
    name = max(tensors, key=lambda key: tensors[key].numel())
    wrong = {
        "shape": {**tensors, name: tensors[name].reshape(-1)[:1].clone()},
        "kind": {**tensors, name: tensors[name].double()},
        "absent": {key: tensor for key, tensor in tensors.items() if key != name},
        "unknown": {**tensors, "more": torch.zeros(1)},
        "not finite": {**tensors, name: torch.full_like(tensors[name], float("nan"))},
    }
    for case in wrong.values():
        with pytest.raises(CorruptArtifactError):
            Policy.from_files({**files, NETWORK_FILE: save(case)})
    with pytest.raises(CorruptArtifactError):
        Policy.from_files({**files, NETWORK_FILE: untrained(("ppo", "reference")).to_files()[NETWORK_FILE]})
    with pytest.raises(CorruptArtifactError, match=r"policy\.safetensors is absent"):
        Policy.from_files({POLICY_FILE: files[POLICY_FILE]})


@pytest.mark.parametrize("name", [POLICY_FILE, NETWORK_FILE])
def test_truncations_are_refused(name: str) -> None:
    files = untrained(("sac", "default")).to_files()
    rng = np.random.default_rng(0)
    for length in rng.integers(0, len(files[name]), 50):
        with pytest.raises(CorruptArtifactError):
            Policy.from_files({**files, name: files[name][:length]})


@pytest.mark.parametrize("name", [POLICY_FILE, NETWORK_FILE])
def test_flipped_bits_end_in_a_policy_or_a_typed_error(name: str) -> None:
    """The manifest's sha256 catches every flip before; here nothing but a typed error may come out of one."""
    files = untrained(("ppo", "default")).to_files()
    rng = np.random.default_rng(1)
    for _ in range(100):
        payload = bytearray(files[name])
        payload[rng.integers(len(payload))] ^= 1 << int(rng.integers(8))
        try:
            policy = Policy.from_files({**files, name: bytes(payload)})
            check_weights(policy.target_weights(observations(1)[0]), policy.costs)
        except AllocatorError:
            pass


def stacked(count: int = 20) -> Observation:
    seen = observations(count)
    return Observation(
        seen[-1].week,
        seen[-1].symbols,
        *(np.stack([getattr(one, name) for one in seen]) for name in ("features", "missing", "weights")),
    )


@pytest.mark.parametrize("key", EVERY)
def test_several_portfolios_decide_as_each_would_alone(key: tuple[str, str]) -> None:
    policy = untrained(key)
    alone = np.stack([policy.target_weights(observation) for observation in observations()])
    np.testing.assert_allclose(policy.target_weights(stacked()), alone, rtol=0, atol=1e-6)


def test_members_average_to_their_policy_and_share_is_all_that_shrinks() -> None:
    policy = dataclasses.replace(untrained(("ppo", "default")), shrinkage=Shrinkage(0.3, 1.0, 100))
    alone = [policy.member(index) for index in range(policy.members)]
    assert policy.members == len(alone) == 3
    assert all(one.members == 1 and one.shrinkage == policy.shrinkage for one in alone)
    for observation in observations(5):
        served = policy.target_weights(observation)
        each = np.stack([one.target_weights(observation) for one in alone])
        np.testing.assert_allclose(each.mean(axis=0), served, rtol=0, atol=1e-6)
        assert np.abs(each[0] - each[1]).max() > 1e-3
        equal = equal_weights(COSTS)
        tilt = policy.unshrunk().target_weights(observation) - equal
        np.testing.assert_allclose(served, equal + 0.3 * tilt, rtol=0, atol=1e-12)


def test_a_single_network_is_its_own_only_member() -> None:
    policy = untrained(("ppo", "reference"))
    assert policy.members == 1
    assert policy.member(0) is policy
