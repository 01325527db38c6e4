from __future__ import annotations

import dataclasses
import os
import random
import re

import numpy as np
import pytest
import torch

from allocator_pipeline.allocators import recipes
from allocator_pipeline.allocators.policy import Policy
from allocator_pipeline.artifact import Artifact
from allocator_pipeline.config import CostConfig
from allocator_pipeline.errors import ConfigurationError, TrainingDivergedError
from allocator_pipeline.portfolio.rollout import simulate
from allocator_pipeline.portfolio.scaler import StateScaler
from allocator_pipeline.portfolio.state import StateTensors
from allocator_pipeline.training.full import full_identity, train_full
from allocator_pipeline.training.weeks import training_weeks
from allocator_pipeline_tests.training.conftest import EVERY, LAST_YEAR, YEARS


@pytest.mark.parametrize("trained", EVERY, indirect=True)
def test_trains_twice_to_the_same_bytes(trained: Artifact, states: StateTensors) -> None:
    np.random.seed(random.randrange(1000))  # noqa: NPY002  (the global state must not matter)
    torch.manual_seed(random.randrange(1000))
    name = trained.facts["recipe"]
    again = train_full(trained.name, LAST_YEAR, states, name, min_years=YEARS)
    assert dict(again.files) == dict(trained.files)
    assert again.version == trained.version
    other_seed = train_full(trained.name, LAST_YEAR, states, name, seed=43, min_years=YEARS)
    assert other_seed.files["policy.safetensors"] != trained.files["policy.safetensors"]


@pytest.mark.parametrize("trained", EVERY, indirect=True)
def test_serves_what_it_trained_and_stays_in_the_constraints(trained: Artifact, states: StateTensors) -> None:
    policy = Policy.from_files(trained.files)
    walk = simulate(policy.target_weights, states.between("1993-01-01", "1993-12-31"), CostConfig())  # checks weights
    assert np.isfinite(walk.net).all()
    assert np.ptp(walk.targets, axis=0).max() > 1e-4  # it looks at the state
    weeks = training_weeks(states, LAST_YEAR, YEARS)
    fitted = StateScaler.fit(weeks)
    np.testing.assert_array_equal(policy.scaler.mean, fitted.mean)
    assert policy.symbols == tuple(weeks.symbols[-1])


@pytest.mark.usefixtures("short_recipes")
def test_version_names_everything_that_shapes_a_policy(states: StateTensors) -> None:
    base = full_identity("ppo_lstm", LAST_YEAR, states, "default", min_years=YEARS)
    trained = train_full("ppo_lstm", LAST_YEAR, states, "default", min_years=YEARS)
    assert base == trained.identity
    assert base.version.startswith("v1992-12-28-")  # the exit of the last week whose exit 1993's first decision knows
    noisy = dataclasses.replace(
        states, forecasts=np.where(states.forecasts == states.forecasts[9, 3], 1.0, states.forecasts)
    )
    others = [
        full_identity("ppo_patchtst", LAST_YEAR, states, "default", min_years=YEARS),
        full_identity("ppo_lstm", LAST_YEAR, states, "reference", min_years=YEARS),
        full_identity("ppo_lstm", LAST_YEAR, states, "default", seed=1, min_years=YEARS),
        full_identity("ppo_lstm", LAST_YEAR, states, "default", costs=CostConfig(cost_bps=5.0), min_years=YEARS),
        full_identity("ppo_lstm", LAST_YEAR, noisy, "default", min_years=YEARS),
        full_identity("ppo_lstm", LAST_YEAR - 1, states, "default", min_years=2),
    ]
    assert len({base.digest, *(other.digest for other in others)}) == len(others) + 1


@pytest.mark.usefixtures("short_recipes")
def test_nothing_after_the_purge_reaches_the_policy(states: StateTensors) -> None:
    count = len(training_weeks(states, LAST_YEAR, YEARS))
    future = {name: getattr(states, name).copy() for name in ("signals", "forecasts", "returns", "marks")}
    for values in future.values():
        values[count:] += 0.5
    first = train_full("ppo_lstm", LAST_YEAR, states, "default", min_years=YEARS)
    second = train_full("ppo_lstm", LAST_YEAR, dataclasses.replace(states, **future), "default", min_years=YEARS)
    assert first.version == second.version
    assert dict(first.files) == dict(second.files)


@pytest.mark.usefixtures("short_recipes")
@pytest.mark.parametrize("algorithm", ["ppo", "sac", "dpg"])
def test_a_training_that_was_cut_off_leaves_nothing_and_repeats(
    algorithm: str, states: StateTensors, tmp_path: os.PathLike[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    whole = train_full(f"{algorithm}_lstm", LAST_YEAR, states, "default", min_years=YEARS)
    for attempt in range(5):
        heard: list[str] = []

        def cut(message: str, at: int = attempt, heard: list[str] = heard) -> None:
            heard.append(message)
            if len(heard) > at % 3:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            train_full(f"{algorithm}_lstm", LAST_YEAR, states, "default", min_years=YEARS, progress=cut)
    assert os.listdir(tmp_path) == []
    again = train_full(f"{algorithm}_lstm", LAST_YEAR, states, "default", min_years=YEARS)
    assert dict(again.files) == dict(whole.files)


@pytest.mark.usefixtures("short_recipes")
def test_progress_is_reported(states: StateTensors) -> None:
    heard: list[str] = []
    train_full("sac_lstm", LAST_YEAR, states, "default", min_years=YEARS, progress=heard.append)
    assert len(heard) == 10
    assert re.fullmatch(
        r"sac_lstm 1992 default \(10 networks\): 520 of 520 steps, [\d.,]+ steps/s, done in .* s", heard[-1]
    )


@pytest.mark.usefixtures("short_recipes")
@pytest.mark.parametrize("algorithm", ["ppo", "sac", "dpg"])
def test_divergence_is_a_typed_error(algorithm: str, states: StateTensors, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = recipes.RECIPES[algorithm, "default"]
    monkeypatch.setitem(recipes.RECIPES, (algorithm, "default"), dataclasses.replace(chosen, learning_rate=1e38))
    with pytest.raises(TrainingDivergedError, match=f"{algorithm}_lstm 1992 default"):
        train_full(f"{algorithm}_lstm", LAST_YEAR, states, "default", min_years=YEARS)


@pytest.mark.usefixtures("short_recipes")
@pytest.mark.parametrize("algorithm", ["ppo", "sac", "dpg"])
def test_what_is_served_is_shrunk_by_the_cross_fit(algorithm: str, states: StateTensors) -> None:
    trained = train_full(f"{algorithm}_lstm", LAST_YEAR, states, "default", min_years=YEARS)
    policy = Policy.from_files(trained.files)
    assert policy.shrinkage.weeks == len(training_weeks(states, LAST_YEAR, YEARS))
    assert trained.facts["served_share"] == policy.shrinkage.share > 0.5
    assert trained.facts["cross_fit_t"] == policy.shrinkage.t > 1.5


def test_an_unknown_recipe_is_refused(states: StateTensors) -> None:
    with pytest.raises(ConfigurationError, match="no recipe 'best'"):
        train_full("ppo_lstm", LAST_YEAR, states, "best", min_years=YEARS)
