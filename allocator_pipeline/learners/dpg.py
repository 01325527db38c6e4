"""Deterministic policy gradient through the differentiable market, for many learners at once.

The market pays by known formulas, so no critic need be learned: a deterministic policy (in the sense of Silver et al.
2014) is improved by the exact gradient of what its weeks pay, as in direct reinforcement (Moody & Saffell 2001). It
flows back through the weeks of an episode: through the constraint map, the costs, the drift of what is held and what
the policy sees of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from allocator_pipeline.allocators.networks import drop_features
from allocator_pipeline.allocators.recipes import DPGRecipe
from allocator_pipeline.errors import ConfigurationError, CorruptArtifactError
from allocator_pipeline.learners.networks import (
    StackedAdam,
    forward,
    generators,
    initial,
    load_random_state,
    random_state,
    uniform,
)
from allocator_pipeline.portfolio.agents_env import AGENT_INPUTS
from allocator_pipeline.portfolio.constraints import N_ASSETS, equal_weights
from allocator_pipeline.portfolio.objective import Path, objective_terms, restart_path, start_path
from allocator_pipeline.portfolio.rewards import reward
from allocator_pipeline.portfolio.tensor_market import TensorMarket

FIRST_GAIN = 0.01
"""Gain of the last layer at the start: a new policy is next to equal weight."""


class StackedDPG:
    """L policies that follow their gradient side by side.

    None depends on the others: each has its own weeks, random numbers, parameters and gradient norm.

    Parameters
    ----------
    recipe : DPGRecipe
    market : TensorMarket
        Of L learners with ``recipe.n_envs`` portfolios each; the policies take its dtype and device.
    seeds : sequence of int, length L

    Attributes
    ----------
    actor : dict of Tensor
        Parameters of the policies; the tilt of an asset is ``bound * tanh(output / bound)``.
    path : Path
        Of the objective, shape (L, N).
    steps : int
        Environment steps that each learner has done.

    Raises
    ------
    ConfigurationError
        If the recipe is not of the ``agents`` view.
    """

    def __init__(self, recipe: DPGRecipe, market: TensorMarket, seeds: Sequence[int]) -> None:
        if recipe.view != "agents":
            raise ConfigurationError(
                f"DPG cannot follow the recipe {recipe.name!r}: its view is {recipe.view!r}.",
                todo="use the view 'agents'.",
            )
        self.recipe, self.market = recipe, market
        self.sources = generators(seeds, market.device)
        drawn = initial((AGENT_INPUTS, *recipe.hidden_sizes, 1), self.sources, last_gain=FIRST_GAIN, orthogonal=True)
        self.actor = {name: tensor.to(market.dtype) for name, tensor in drawn.items()}
        self.actor_optimizer = StackedAdam(
            list(self.actor.values()), weight_decay=recipe.weight_decay, max_norm=recipe.max_grad_norm
        )
        self._equal = torch.as_tensor(equal_weights(market.costs)[:-1], dtype=market.dtype, device=market.device)
        self.path = start_path(market.left)
        self.steps = 0

    @property
    def total_steps(self) -> int:
        """Steps of the recipe, the last episode completed."""
        block = self.recipe.n_envs * self.recipe.episode_weeks
        return -(-self.recipe.total_steps // block) * block

    def advance(self) -> dict[str, float]:
        """Live through one episode of all portfolios and take one step up its gradient.

        Returns
        -------
        dict of float
            Means over learners: ``rollout/reward``, the week's reward above equal weight's (which pays no costs here);
            ``rollout/turnover``; ``train/loss``, less what the episode's weeks are worth to the objective; and
            ``train/learning_rate``.
        """
        recipe = self.recipe
        rate = recipe.learning_rate * (1.0 - self.steps / self.total_steps if recipe.decay else 1.0)
        self.market.start_spread(uniform(self.sources, (recipe.n_envs,)).to(self.market.dtype))
        worth, rewards, traded = self.episode()
        loss = -worth.mean((1, 2))
        self.actor_optimizer.step(loss.sum(), rate)
        drop_features(self.actor["weight.0"], rate * recipe.feature_penalty)
        self.steps += recipe.n_envs * recipe.episode_weeks
        return {
            "rollout/reward": float(rewards.detach().mean()),
            "rollout/turnover": float(traded.detach().mean()),
            "train/loss": float(loss.detach().mean()),
            "train/learning_rate": rate,
        }

    def episode(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Live through an episode from where the market stands.

        Returns
        -------
        tuple of Tensor, each of shape (L, N, weeks)
            What each week is worth to the objective, with its gradient; its reward above equal weight's; its turnover.
            Where the objective is the log return the first is the second and penalties: a constant less.
        """
        recipe, market = self.recipe, self.market
        path = restart_path(self.path, torch.ones_like(market.left, dtype=torch.bool))
        worth, rewards, traded = [], [], []
        for _ in range(recipe.episode_weeks):
            equal = reward(1.0 + (self._equal * market.returns()).sum(-1), market.costs)
            week = market.step(self.targets(market.observe()))
            above = value = week.reward - equal
            if not recipe.objective.off:
                terms, path = objective_terms(week, path, recipe.objective, market.costs)
                value = terms.added + (terms.utility if recipe.objective.differential_sharpe else above)
            worth.append(value)
            rewards.append(above)
            traded.append(week.turnover)
        self.path = Path(*(tensor.detach() for tensor in path))
        return torch.stack(worth, -1), torch.stack(rewards, -1), torch.stack(traded, -1)

    def targets(self, seen: torch.Tensor) -> torch.Tensor:
        """Return target weights, shape (L, N, 16), of what the agents see, shape (L, N, 16, 10)."""
        bound = self.recipe.action_bound
        outputs = forward(self.actor, seen.flatten(1, 2), self.recipe.activation).view(*seen.shape[:2], N_ASSETS)
        return self.market.weights(bound * torch.tanh(outputs / bound))

    def trained(self) -> dict[str, torch.Tensor]:
        """Return parameters and optimiser, the learner's own tensors; `allocators.tensors.fill` puts others in."""
        return {
            **{f"actor.{name}": tensor for name, tensor in self.actor.items()},
            **{f"actor_optimizer.{name}": tensor for name, tensor in self.actor_optimizer.state().items()},
        }

    def position(self) -> dict[str, torch.Tensor]:
        """Return what else is needed to go on bit for bit; between episodes that is no state of the market."""
        return {
            **{f"path.{name}": tensor.clone() for name, tensor in self.path._asdict().items()},
            "random": random_state(self.sources),
            "steps": torch.tensor(self.steps),
        }

    def load_position(self, position: Mapping[str, torch.Tensor]) -> None:
        """Go on from a `position`.

        Raises
        ------
        CorruptArtifactError
            If it is not one of this recipe and so many seeds.
        """
        own = self.position()
        block = self.recipe.n_envs * self.recipe.episode_weeks
        fits = set(position) == set(own) and all(position[name].shape == own[name].shape for name in own)
        if not fits or int(position["steps"]) % block:
            raise CorruptArtifactError("The position is not one of this recipe.", todo="train from the start.")
        load_random_state(self.sources, position["random"])
        self.path = Path(*(position[f"path.{name}"].to(self.market.left) for name in Path._fields))
        self.steps = int(position["steps"])
