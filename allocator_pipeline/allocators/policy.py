"""A trained policy that serves: scaler, network or networks, constraints, shrinkage towards equal weight.

There is one path, for evaluation and for Monday's decision alike, and its numbers are those that training saw.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.policies import BasePolicy

from allocator_pipeline.allocators import ppo, sac
from allocator_pipeline.allocators.ensemble import TiltEnsemble
from allocator_pipeline.allocators.recipes import (
    PPORecipe,
    Recipe,
    SACRecipe,
    algorithm_of_recipe,
    recipe_from_values,
    recipe_values,
)
from allocator_pipeline.allocators.slots import reorder, slot_order
from allocator_pipeline.allocators.tensors import fill, tensors_from_bytes, tensors_to_bytes
from allocator_pipeline.atomic import canonical_json
from allocator_pipeline.config import ALGORITHMS, N_STOCKS, STATE_SIZE, CostConfig
from allocator_pipeline.errors import ConfigurationError, CorruptArtifactError
from allocator_pipeline.portfolio.agents_env import AGENT_INPUTS, agent_logits, agent_view
from allocator_pipeline.portfolio.constraints import N_ASSETS, equal_weights, project
from allocator_pipeline.portfolio.scaler import StateScaler
from allocator_pipeline.portfolio.state import Observation

POLICY_FILE = "policy.json"
NETWORK_FILE = "policy.safetensors"
TRAINING_FILE = "training.safetensors"
"""What continued training needs beside the network: optimisers and alpha. Serving never opens it."""

MAX_JSON_BYTES = 2**20


def action_space(recipe: Recipe) -> spaces.Box:
    """Return what one network decides: 16 logits, or one."""
    size = N_ASSETS if recipe.view == "flat" else 1
    return spaces.Box(-recipe.action_bound, recipe.action_bound, (size,), dtype=np.float32)


def observation_space(recipe: Recipe) -> spaces.Box:
    """Return what one network sees: the 136 numbers, or the 10 of its asset."""
    size = STATE_SIZE if recipe.view == "flat" else AGENT_INPUTS
    return spaces.Box(-np.inf, np.inf, (size,), dtype=np.float32)


@dataclass(frozen=True)
class Shrinkage:
    """How much of a policy's distance from equal weight is served, and why (`training.crossfit` measures it).

    Parameters
    ----------
    share : float
        From 0 (equal weight) to 1 (the policy as trained).
    t : float
        t statistic of the weekly net return above equal weight on weeks that the networks judged had not seen.
    weeks : int
        Number of those weeks; 0 where nothing was measured.
    """

    share: float = 1.0
    t: float = 0.0
    weeks: int = 0


@dataclass(frozen=True)
class Policy:
    """An allocator that asks trained networks.

    Parameters
    ----------
    recipe : PPORecipe, SACRecipe or DPGRecipe
        How it was trained; it says what the network looks like.
    costs : CostConfig
        The constraints it was trained under and serves under.
    scaler : StateScaler
        Fitted on its training weeks.
    symbols : tuple of str, length 15
        Symbols by slot in its last training week. The ``flat`` view keeps known symbols in their slots (see `slots`);
        the ``agents`` view treats all alike.
    network : BasePolicy or TiltEnsemble
        The network of stable-baselines3, or the members that the stacked learners trained.
    shrinkage : Shrinkage
        Applied to the weights: a mean of admissible weights is admissible.
    """

    recipe: Recipe
    costs: CostConfig
    scaler: StateScaler
    symbols: tuple[str, ...]
    network: BasePolicy | TiltEnsemble
    shrinkage: Shrinkage = field(default_factory=Shrinkage)

    @property
    def algorithm(self) -> str:
        """``"ppo"``, ``"sac"`` or ``"dpg"``."""
        return algorithm_of_recipe(self.recipe)

    def target_weights(self, observation: Observation) -> np.ndarray:
        """Return the weights to trade to, shape (16,), CASH last; one row for each of several portfolios that decide.

        Raises
        ------
        WeightsError
            If a network's answer is not finite.
        """
        weights = project(self.logits(observation), self.costs).mean(axis=0)
        if self.shrinkage.share == 1.0:
            return weights
        equal = equal_weights(self.costs)
        return equal + self.shrinkage.share * (weights - equal)

    def logits(self, observation: Observation) -> np.ndarray:
        """Return what the constraint map is given, for each member, shape (K, ..., 16), in the slots observed."""
        inputs = self.inputs(observation)
        if isinstance(self.network, TiltEnsemble):
            return agent_logits(self.network.tilts(inputs), self.costs)
        actions, _ = self.network.predict(inputs.reshape(-1, inputs.shape[-1]), deterministic=True)
        if self.recipe.view == "agents":
            return agent_logits(np.asarray(actions, dtype=np.float64).reshape(1, *inputs.shape[:-1]), self.costs)
        order = slot_order(self.symbols, observation.symbols)
        logits = np.empty((1, *observation.weights.shape))
        logits[..., np.append(order, N_STOCKS)] = actions.reshape(logits.shape)
        return logits

    def inputs(self, observation: Observation) -> np.ndarray:
        """Return what the network sees, float32: shape (1, 136), or (16, 10) with one row per asset and CASH last.

        Of N portfolios it is (N, 136), or (N, 16, 10).
        """
        if self.recipe.view == "agents":
            seen = self.scaler.vector(observation)
            return agent_view(np.atleast_2d(seen)).reshape(*seen.shape[:-1], N_ASSETS, AGENT_INPUTS)
        return np.atleast_2d(self.scaler.vector(reorder(observation, slot_order(self.symbols, observation.symbols))))

    @property
    def members(self) -> int:
        """How many networks it averages."""
        return self.recipe.members if isinstance(self.network, TiltEnsemble) else 1

    def member(self, index: int) -> Policy:
        """Return a member that walks alone; scaler, constraints and share stay. A single network is its only one."""
        if not isinstance(self.network, TiltEnsemble):
            return self
        alone = self.network.member(index)
        return dataclasses.replace(self, recipe=alone.recipe, network=alone)

    def unshrunk(self) -> Policy:
        """Return the policy as trained, all of its tilt served."""
        return dataclasses.replace(self, shrinkage=Shrinkage())

    def to_files(self) -> dict[str, bytes]:
        """Return the files that `from_files` reads."""
        description = {
            "algorithm": self.algorithm,
            "recipe": recipe_values(self.recipe),
            "costs": dataclasses.asdict(self.costs),
            "scaler": self.scaler.to_dict(),
            "symbols": list(self.symbols),
            "shrinkage": dataclasses.asdict(self.shrinkage),
        }
        return {POLICY_FILE: canonical_json(description), NETWORK_FILE: tensors_to_bytes(self.network.state_dict())}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Policy:
        """Build the network that the description names and fill in the stored numbers.

        Parameters
        ----------
        files : mapping of str to bytes
            At least ``policy.json`` and ``policy.safetensors``.

        Raises
        ------
        CorruptArtifactError
            If a file is absent, of another format, or does not fit its recipe.
        """
        for name in (POLICY_FILE, NETWORK_FILE):
            if name not in files:
                raise _corrupt(f"{name} is absent", name)
        description = _parse(files[POLICY_FILE])
        network = network_of(description["recipe"])
        fill(network.state_dict(), tensors_from_bytes(files[NETWORK_FILE], NETWORK_FILE), NETWORK_FILE)
        return cls(**description, network=network)


def network_of(recipe: Recipe) -> BasePolicy | TiltEnsemble:
    """Return the untrained network or networks of a recipe, in the shapes that training gives them."""
    if recipe.engine == "stacked":
        return TiltEnsemble.untrained(recipe)
    seen, decided = observation_space(recipe), action_space(recipe)
    if isinstance(recipe, SACRecipe):
        return sac.network(recipe, seen, decided)
    if isinstance(recipe, PPORecipe):
        return ppo.network(recipe, seen, decided)
    raise ConfigurationError(f"{recipe.name!r} is not trained by stable-baselines3.", todo="use the stacked engine.")


def _parse(payload: bytes) -> dict[str, Any]:
    try:
        if len(payload) > MAX_JSON_BYTES:
            raise ValueError(f"it has {len(payload)} bytes")
        description = json.loads(payload)
        costs = CostConfig(**description["costs"])
        scaler = StateScaler.from_dict(description["scaler"])
        symbols = tuple(description["symbols"])
        numbers = dataclasses.astuple(costs)
        shrinkage = _shrinkage(description["shrinkage"])
        if description["algorithm"] not in ALGORITHMS:
            raise ValueError(f"the algorithm is {description['algorithm']!r}")
        if not all(isinstance(number, int | float) and np.isfinite(number) and number >= 0 for number in numbers):
            raise ValueError(f"the costs are {numbers}")
        if len(set(symbols)) != N_STOCKS or not all(isinstance(symbol, str) for symbol in symbols):
            raise ValueError(f"there are {len(symbols)} symbols, not {N_STOCKS} different ones")
        recipe = recipe_from_values(description["algorithm"], description["recipe"])
        return {"recipe": recipe, "costs": costs, "scaler": scaler, "symbols": symbols, "shrinkage": shrinkage}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _corrupt(f"{POLICY_FILE} is no description of a policy: {error!r}", POLICY_FILE) from error


def _shrinkage(values: Mapping[str, Any]) -> Shrinkage:
    shrinkage = Shrinkage(**values)
    if not (0.0 <= shrinkage.share <= 1.0 and np.isfinite(shrinkage.t) and type(shrinkage.weeks) is int):
        raise ValueError(f"the shrinkage is {values}")
    return shrinkage


def _corrupt(problem: str, source: str) -> CorruptArtifactError:
    return CorruptArtifactError(
        f"{problem}.", todo="restore the artefact from a copy, or train the policy again.", source=source
    )
