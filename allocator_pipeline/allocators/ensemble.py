"""The tilts of several small networks that share their task: what the stacked learners train and Monday serves."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from allocator_pipeline.allocators.networks import empty, forward
from allocator_pipeline.allocators.recipes import DPGRecipe, Recipe, SACRecipe
from allocator_pipeline.config import CostConfig
from allocator_pipeline.portfolio.agents_env import AGENT_INPUTS
from allocator_pipeline.portfolio.constraints import equal_weight_anchor
from allocator_pipeline.portfolio.tensor_market import project_tensor


@dataclass(frozen=True)
class TiltEnsemble:
    """K networks from what an asset sees to its tilt.

    Parameters
    ----------
    recipe : PPORecipe, SACRecipe or DPGRecipe
        Of the ``agents`` view. It says how an output becomes a tilt: PPO clips it to the bound, SAC and DPG squash it.
    actor : mapping of str to Tensor
        ``weight.i`` (K, in, out) and ``bias.i`` (K, 1, out).
    """

    recipe: Recipe
    actor: Mapping[str, torch.Tensor]

    @classmethod
    def untrained(cls, recipe: Recipe) -> TiltEnsemble:
        """Return networks of zeros in the shapes of a recipe, to be filled in."""
        return cls(recipe, empty(actor_sizes(recipe), recipe.members))

    def tilts(self, inputs: np.ndarray) -> np.ndarray:
        """Return each member's tilts, float64, shape (K, ..., 16), of what agents see, float32, shape (..., 16, 10)."""
        with torch.no_grad():
            return self.tilts_of(torch.from_numpy(inputs)).double().numpy()

    def tilts_of(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the same of a tensor, with its gradient."""
        seen = inputs.reshape(-1, AGENT_INPUTS)
        outputs = forward(self.actor, seen.expand(self.recipe.members, *seen.shape), self.recipe.activation)
        return squash(outputs, self.recipe).reshape(self.recipe.members, *inputs.shape[:-1])

    def weights_of(self, inputs: torch.Tensor, costs: CostConfig) -> torch.Tensor:
        """Return the members' mean weights, unshrunk, shape (..., 16), with their gradient: `Policy` in torch."""
        anchor = torch.from_numpy(equal_weight_anchor(costs)).to(inputs)
        return project_tensor(anchor + self.tilts_of(inputs), costs).mean(dim=0)

    def member(self, index: int) -> TiltEnsemble:
        """Return one of the networks alone."""
        alone = dataclasses.replace(self.recipe, members=1)
        return TiltEnsemble(alone, {name: values[index : index + 1] for name, values in self.actor.items()})

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return the members' numbers by name, as `BasePolicy.state_dict` does."""
        return dict(self.actor)


def actor_sizes(recipe: Recipe) -> tuple[int, ...]:
    """Return inputs, hidden units and outputs of the network that decides a tilt; SAC's has its deviation beside it."""
    if isinstance(recipe, SACRecipe):
        return (AGENT_INPUTS, *recipe.actor_sizes, 2)
    return (AGENT_INPUTS, *recipe.hidden_sizes, 1)


def squash(output: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    """Return the tilts, shape (...), of the actors' outputs, shape (..., out), without exploration."""
    bound = recipe.action_bound
    if isinstance(recipe, SACRecipe):
        return bound * torch.tanh(output[..., 0])
    if isinstance(recipe, DPGRecipe):
        return bound * torch.tanh(output[..., 0] / bound)
    return output[..., 0].clamp(-bound, bound)
