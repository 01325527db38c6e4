"""PPO for L learners at once.

Schulman, Wolski, Dhariwal, Radford, Klimov (2017), Proximal Policy Optimization Algorithms, arXiv:1707.06347, with the
details of stable-baselines3 (advantages standardised by minibatch, the norm of the gradient, the weight of the value
loss, Adam's eps, values at truncated ends): the tests find the same weights after an update by either.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch

from allocator_pipeline.allocators.networks import drop_features
from allocator_pipeline.allocators.ppo import VALUE_WEIGHT
from allocator_pipeline.allocators.recipes import PPORecipe
from allocator_pipeline.errors import ConfigurationError, CorruptArtifactError
from allocator_pipeline.learners.networks import (
    StackedAdam,
    exp,
    forward,
    generators,
    initial,
    load_random_state,
    normal,
    permutations,
    random_state,
    uniform,
)
from allocator_pipeline.portfolio.agents_env import AGENT_INPUTS, agent_rewards
from allocator_pipeline.portfolio.constraints import N_ASSETS
from allocator_pipeline.portfolio.objective import Path, objective_terms, restart_path, start_path
from allocator_pipeline.portfolio.tensor_market import TensorMarket

MAX_GRADIENT_NORM, ADAM_EPS = 0.5, 1e-5
LOG_ROOT_2PI = 0.5 * math.log(2.0 * math.pi)


class Rollout(NamedTuple):
    """What L x N portfolios lived through in T weeks.

    Parameters
    ----------
    inputs : Tensor, shape (L, T, N, 16, 10)
        What the agents saw.
    actions, log_probs, rewards : Tensor, shape (L, T, N, 16)
        What they did (before the bound), the logarithm of its probability then, and what it paid.
    last : Tensor, shape (L, N, 16, 10)
        What they saw behind the last week.
    """

    inputs: torch.Tensor
    actions: torch.Tensor
    log_probs: torch.Tensor
    rewards: torch.Tensor
    last: torch.Tensor


class StackedPPO:
    """L policies that PPO trains side by side; an iteration is one whole episode of all portfolios, then updates.

    None depends on the others: each has its own weeks, random numbers, parameters and gradient norm.

    Parameters
    ----------
    recipe : PPORecipe
        Of the ``agents`` view. ``batch_size`` counts rows; a minibatch takes all 16 of a portfolio's week together.
    market : TensorMarket
        Of L learners with ``recipe.n_envs`` portfolios each; the policies take its dtype and device.
    seeds : sequence of int, length L

    Attributes
    ----------
    actor, critic : dict of Tensor
        Parameters of the policies, whose output is an asset's mean tilt before the bound, and of the value networks;
        without a critic there are none, and all values are 0.
    log_std : Tensor, shape (L, 1)
        Logarithm of the standard deviation of the exploration.
    path : Path
        What the objective's terms remember of each portfolio.
    steps : int
        Environment steps that each learner has done.

    Raises
    ------
    ConfigurationError
        If the recipe is of the ``flat`` view, or its rollouts are no whole episodes.
    """

    def __init__(self, recipe: PPORecipe, market: TensorMarket, seeds: Sequence[int]) -> None:
        if recipe.view != "agents" or recipe.rollout_steps != recipe.episode_weeks:
            raise ConfigurationError(
                f"Stacked learners cannot follow the recipe {recipe.name!r}: view {recipe.view!r}, rollouts of "
                f"{recipe.rollout_steps} and episodes of {recipe.episode_weeks} weeks.",
                todo="give rollouts the length of episodes in the view 'agents', or use the engine 'sb3'.",
            )
        self.recipe, self.market = recipe, market
        self.sources = generators(seeds, market.device)
        self.actor = self._network(last_gain=0.01)
        self.critic = self._network(last_gain=1.0) if recipe.critic else {}
        self.log_std = torch.full((len(seeds), 1), recipe.log_std_init, dtype=market.dtype, device=market.device)
        trained = [*self.actor.values(), self.log_std, *self.critic.values()]
        self.optimizer = StackedAdam(trained, eps=ADAM_EPS, max_norm=MAX_GRADIENT_NORM)
        self.path = start_path(market.left)
        self.steps = 0

    def _network(self, last_gain: float) -> dict[str, torch.Tensor]:
        sizes = (AGENT_INPUTS, *self.recipe.hidden_sizes, 1)
        drawn = initial(sizes, self.sources, last_gain=last_gain, orthogonal=True)
        return {name: tensor.to(self.market.dtype) for name, tensor in drawn.items()}

    @property
    def total_steps(self) -> int:
        """Steps of the recipe, the last episode completed."""
        block = self.recipe.n_envs * self.recipe.episode_weeks
        return -(-self.recipe.total_steps // block) * block

    def advance(self) -> dict[str, float]:
        """Live through one episode of all portfolios and learn from it.

        Returns
        -------
        dict of str to float
            Means over learners: ``rollout/reward`` of an environment step, that is above equal weight's and with the
            objective's terms; ``train/loss``; ``train/std`` of the exploration; and ``train/learning_rate``.
        """
        recipe = self.recipe
        rate = recipe.learning_rate * (1.0 - self.steps / self.total_steps if recipe.decay else 1.0)
        self.market.start_spread(uniform(self.sources, (recipe.n_envs,)))
        rollout = self.rollout()
        loss = self.update(rollout, rate)
        self.steps += recipe.n_envs * recipe.episode_weeks
        return {
            "rollout/reward": float(rollout.rewards.sum(-1).mean()),
            "train/loss": float(loss),
            "train/std": float(self.log_std.detach().exp().mean()),
            "train/learning_rate": rate,
        }

    @torch.no_grad()
    def rollout(self) -> Rollout:
        """Live through an episode from where the market stands."""
        recipe, market, learners = self.recipe, self.market, len(self.sources)
        shape = (recipe.episode_weeks, recipe.n_envs, N_ASSETS)
        noise = normal(self.sources, shape).to(market.dtype)
        moves = noise * _like(exp(self.log_std), noise)
        inputs = torch.empty(learners, *shape, AGENT_INPUTS, dtype=market.dtype, device=market.device)
        rewards, actions = torch.empty_like(noise), torch.empty_like(noise)
        self.path = restart_path(self.path, torch.ones_like(market.left, dtype=torch.bool))
        for t in range(recipe.episode_weeks):
            seen = inputs[:, t] = market.observe()
            mean = forward(self.actor, seen.flatten(1, 2), recipe.activation).view(learners, *shape[1:])
            action = actions[:, t] = mean + moves[:, t]
            target = market.weights(action.clamp(-recipe.action_bound, recipe.action_bound))
            paid = agent_rewards(target, market.held, market.left, market.returns(), market.costs, recipe.objective)
            week = market.step(target)
            if not recipe.objective.off:
                terms, self.path = objective_terms(week, self.path, recipe.objective, market.costs)
                paid = terms.factor[..., None] * paid
            rewards[:, t] = paid
        log_probs = -0.5 * noise.square() - _like(self.log_std, noise) - LOG_ROOT_2PI
        return Rollout(inputs, actions, log_probs, rewards, market.observe())

    def update(self, rollout: Rollout, learning_rate: float) -> torch.Tensor:
        """Learn from a rollout in ``n_epochs`` passes; return the mean loss over minibatches and learners."""
        advantages, values = self.advantages(rollout)
        parts = (rollout.inputs, rollout.actions, rollout.log_probs, advantages, values)
        weeks = [part.flatten(1, 2) for part in parts]  # the portfolio-weeks of each learner
        losses = []
        for _ in range(self.recipe.n_epochs):
            for batch in self._batches(weeks):
                loss = self._loss(*batch)
                self.optimizer.step(loss.sum(), learning_rate)
                drop_features(self.actor["weight.0"], learning_rate * self.recipe.feature_penalty)
                losses.append(loss.detach())
        return torch.stack(losses).mean()

    @torch.no_grad()
    def advantages(self, rollout: Rollout) -> tuple[torch.Tensor, torch.Tensor]:
        """Return each row's advantage and what its value should have been, both of shape (L, T, N, 16).

        Generalised advantage estimation (Schulman et al. 2016, arXiv:1506.02438). An episode ends by truncation: the
        value of what was seen then stands for the weeks behind it.
        """
        recipe, rewards = self.recipe, rollout.rewards
        if not recipe.gamma:
            return (rewards - self._values(rollout.inputs) if recipe.critic else rewards), rewards
        values = self._values(torch.cat([rollout.inputs, rollout.last[:, None]], 1))
        errors = rewards + recipe.gamma * values[:, 1:] - values[:, :-1]
        advantages = torch.empty_like(rewards)
        running = torch.zeros_like(rewards[:, 0])
        for t in reversed(range(recipe.episode_weeks)):
            running = advantages[:, t] = errors[:, t] + recipe.gamma * recipe.gae_lambda * running
        return advantages, advantages + values[:, :-1]

    def _values(self, inputs: torch.Tensor) -> torch.Tensor:
        if not self.critic:
            return torch.zeros_like(inputs[..., 0])
        return forward(self.critic, inputs.flatten(1, -2), self.recipe.activation).view(inputs.shape[:-1])

    def _batches(self, weeks: Sequence[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
        """Yield minibatches of whole portfolio-weeks, in an order of its own for each learner.

        Each has the parts of ``weeks``, of shape (L, weeks, ...), as rows: shape (L, 16 weeks, 10) and (L, 16 weeks).
        """
        learners, count = weeks[0].shape[:2]
        order = permutations(self.sources, count)
        order = order + count * torch.arange(learners, device=order.device)[:, None]
        for chosen in order.split(max(1, self.recipe.batch_size // N_ASSETS), 1):
            picked = [part.flatten(0, 1).index_select(0, chosen.flatten()) for part in weeks]
            yield [part.view(learners, -1, *part.shape[2:]) for part in picked]

    def _loss(
        self,
        inputs: torch.Tensor,
        actions: torch.Tensor,
        log_probs: torch.Tensor,
        advantages: torch.Tensor,
        values: torch.Tensor,
    ) -> torch.Tensor:
        """Return each learner's loss on a minibatch, shape (L,); inputs (L, rows, 10), all else (L, rows)."""
        recipe = self.recipe
        spread, centre = torch.std_mean(advantages, 1, keepdim=True)
        advantages = (advantages - centre) / (spread + 1e-8)
        mean = forward(self.actor, inputs, recipe.activation)[..., 0]
        now = -0.5 * ((actions - mean) * exp(-self.log_std)).square() - self.log_std - LOG_ROOT_2PI
        ratio = (now - log_probs).exp()
        clipped = ratio.clamp(1.0 - recipe.clip_range, 1.0 + recipe.clip_range)
        loss = -torch.minimum(advantages * ratio, advantages * clipped).mean(1)
        if recipe.critic:
            found = forward(self.critic, inputs, recipe.activation)[..., 0]
            loss = loss + VALUE_WEIGHT * (found - values).square().mean(1)
        if recipe.ent_coef:
            loss = loss - recipe.ent_coef * (0.5 + LOG_ROOT_2PI + self.log_std[:, 0])
        return loss

    def trained(self) -> dict[str, torch.Tensor]:
        """Return networks, exploration and optimiser, the learner's own tensors; `tensors.fill` puts others in."""
        return {
            **{f"actor.{name}": tensor for name, tensor in self.actor.items()},
            **{f"critic.{name}": tensor for name, tensor in self.critic.items()},
            "log_std": self.log_std,
            **{f"optimizer.{name}": tensor for name, tensor in self.optimizer.state().items()},
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
            If it is not one of this recipe and so many learners on this kind of device.
        """
        names = {f"path.{name}" for name in Path._fields}
        if set(position) != {*names, "random", "steps"} or any(
            position[name].shape != self.market.left.shape for name in names
        ):
            raise CorruptArtifactError("The position is not one of this recipe.", todo="train from the start.")
        load_random_state(self.sources, position["random"])
        self.path = Path(*(position[f"path.{name}"].to(self.market.left) for name in Path._fields))
        self.steps = int(position["steps"])


def _like(column: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Return one number for each learner, shape (L, 1), so that it broadcasts against a tensor of L learners."""
    return column.view(-1, *[1] * (other.dim() - 1))
