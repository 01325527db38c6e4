"""Short recipes and a short market, so that a training takes a fraction of a second."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from allocator_pipeline.allocators import recipes
from allocator_pipeline.artifact import Artifact
from allocator_pipeline.portfolio.state import StateTensors
from allocator_pipeline.studies.planted import planted_states
from allocator_pipeline.training.full import train_full

YEARS = 3
LAST_YEAR = 1992

_PPO = {"n_envs": 4, "total_steps": 3 * 4 * 52, "batch_size": 832}
_SAC = {"n_envs": 4, "episode_weeks": 13, "total_steps": 520, "warmup_steps": 104}
_TEAM = {"members": 2}

SHORT: dict[tuple[str, str], dict[str, Any]] = {
    ("ppo", "default"): _PPO | _TEAM,
    ("sac", "default"): _SAC | _TEAM,
    ("dpg", "default"): {"n_envs": 4, "total_steps": 3 * 4 * 52} | _TEAM,
    ("ppo", "default_sb3"): _PPO,
    ("sac", "default_sb3"): _SAC,
    ("ppo", "reference"): {"total_steps": 104},
    ("sac", "reference"): {"total_steps": 160, "warmup_steps": 100},
}
EVERY = [f"{algorithm}-{name}" for algorithm, name in SHORT]


@dataclass(frozen=True)
class Stored:
    """What the registry hands over."""

    manifest: Mapping[str, Any]
    files: Mapping[str, bytes]


@pytest.fixture
def short_recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    for key, changes in SHORT.items():
        monkeypatch.setitem(recipes.RECIPES, key, dataclasses.replace(recipes.RECIPES[key], **changes))


@pytest.fixture(scope="session")
def states() -> StateTensors:
    """1990 to 1994 and a bit; the universe changes with 1992 and with 1993. The plant is plain enough to be served."""
    planted = planted_states(3, 280, 0.5)
    symbols = planted.symbols.astype("<U10")
    first_of_1992, first_of_1993 = (
        np.searchsorted(planted.weeks, np.datetime64(day)) for day in ("1992-01-06", "1993-01-04")
    )
    symbols[first_of_1992:, 4] = "JOINER92"
    symbols[first_of_1993:, 7] = "JOINER93"
    symbols[first_of_1993:, [1, 2]] = symbols[first_of_1993:, [2, 1]]
    return dataclasses.replace(planted, symbols=symbols)


@pytest.fixture
def trained(short_recipes: None, states: StateTensors, request: pytest.FixtureRequest) -> Artifact:
    """A policy of 1992 by short training; parametrised indirectly by algorithm and recipe."""
    algorithm, name = request.param.split("-")
    return train_full(f"{algorithm}_lstm", LAST_YEAR, states, name, min_years=YEARS)


@pytest.fixture
def champion(trained: Artifact) -> Stored:
    return Stored(trained.manifest(), trained.files)
