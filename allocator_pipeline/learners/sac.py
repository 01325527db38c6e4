"""SAC for L learners at once.

Haarnoja et al. (2018), Soft Actor-Critic Algorithms and Applications, arXiv:1812.05905, with the details of
stable-baselines3 (the order of the three losses, a learned alpha, log standard deviations clamped to [-20, 2]): the
tests find the same weights after updates by either. Where the discount is 0 a week is its own problem, and there are
neither target critics nor next observations.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch

from allocator_pipeline.allocators.networks import drop_features
from allocator_pipeline.allocators.recipes import SACRecipe
from allocator_pipeline.errors import ConfigurationError, CorruptArtifactError
from allocator_pipeline.learners.networks import (
    StackedAdam,
    exp,
    forward,
    generators,
    initial,
    load_random_state,
    normal,
    random_state,
    uniform,
)
from allocator_pipeline.portfolio.agents_env import AGENT_INPUTS, agent_rewards
from allocator_pipeline.portfolio.constraints import N_ASSETS
from allocator_pipeline.portfolio.objective import Path, objective_terms, restart_path, start_path
from allocator_pipeline.portfolio.tensor_market import TensorMarket

LOG_STD_MIN, LOG_STD_MAX = -20.0, 2.0
LOG_ROOT_2PI = 0.5 * math.log(2.0 * math.pi)

SQUASH_EPS = 1e-6
"""Keeps the density of a squashed action finite at its bounds."""

TARGET_ENTROPY = -1.0
"""Less the number of dimensions of an action, which is one number."""


class StackedSAC:
    """L policies that SAC trains side by side; an iteration is one whole episode of all portfolios.

    One update follows each of its weeks. None depends on the others: each has its own weeks, random numbers,
    parameters, alpha and replay buffer. Its very bits do not where hidden sizes are multiples of four (a matrix product
    is rounded by where in memory its result lies).

    Parameters
    ----------
    recipe : SACRecipe
        Of the ``agents`` view. ``batch_size`` counts rows; a minibatch takes all 16 of a portfolio's week together.
    market : TensorMarket
        Of L learners with ``recipe.n_envs`` portfolios each; the policies take its dtype and device.
    seeds : sequence of int, length L

    Attributes
    ----------
    actor : dict of Tensor
        Parameters of the policies, whose outputs are the mean and the logarithm of the standard deviation of an
        asset's action before tanh; the tilt is ``bound * tanh(mean)``.
    critic, target : dict of Tensor
        Parameters of the two critics of each learner, learner by learner, ``weight.i`` of shape (2 L, in, out); of the
        averaged ones, none where the discount is 0.
    log_alpha : Tensor, shape (L, 1)
        Logarithm of the entropy coefficient.
    played : Tensor, shape (L, capacity, 16, 11)
        What the agents saw and, last, what they did in [-1, 1].
    paid : Tensor, shape (L, capacity, 16)
        What they received for it.
    after : Tensor, shape (L, capacity, 16, 10)
        What they saw then; the capacity is 0 where the discount is. Behind the capacity lies what `remember` was given.
    path : Path
        Of the objective, shape (L, N).
    steps : int
        Environment steps that each learner has done.

    Raises
    ------
    ConfigurationError
        If the recipe is of the ``flat`` view, or its buffer cannot hold one week of all portfolios.
    """

    def __init__(self, recipe: SACRecipe, market: TensorMarket, seeds: Sequence[int]) -> None:
        if recipe.view != "agents" or recipe.buffer_steps < recipe.n_envs:
            raise ConfigurationError(
                f"Stacked learners cannot follow the recipe {recipe.name!r}: view {recipe.view!r}, a buffer of "
                f"{recipe.buffer_steps} steps for {recipe.n_envs} portfolios.",
                todo="use the view 'agents' and a larger buffer, or the engine 'sb3'.",
            )
        self.recipe, self.market = recipe, market
        self.sources = generators(seeds, market.device)
        self.actor = self._network((AGENT_INPUTS, *recipe.actor_sizes, 2))
        sizes = (AGENT_INPUTS + 1, *recipe.critic_sizes, 1)
        both = [self._network(sizes) for _ in range(2)]
        self.critic = {name: torch.stack([one[name] for one in both], 1).flatten(0, 1) for name in both[0]}
        self.target = {name: tensor.clone() for name, tensor in self.critic.items()} if recipe.gamma else {}
        self.log_alpha = torch.full(
            (len(seeds), 1), math.log(recipe.init_alpha), dtype=market.dtype, device=market.device
        )
        self.actor_optimizer = StackedAdam(list(self.actor.values()), weight_decay=recipe.weight_decay)
        self.critic_optimizer = StackedAdam(list(self.critic.values()), weight_decay=recipe.weight_decay)
        self.alpha_optimizer = StackedAdam([self.log_alpha])
        # The same memory without a gradient: the actor's loss needs none of the critics' parameters.
        self._fixed_critic = {name: tensor.detach() for name, tensor in self.critic.items()}
        # As in stable-baselines3, whole weeks of all portfolios.
        self._capacity = recipe.buffer_steps // recipe.n_envs * recipe.n_envs
        self.played = self._room(self._capacity, N_ASSETS, AGENT_INPUTS + 1)
        self.paid = self._room(self._capacity, N_ASSETS)
        self.after = self._room(self._capacity if recipe.gamma else 0, N_ASSETS, AGENT_INPUTS)
        self._recorded, self._recorded_share = 0, 0.0
        self.path = start_path(market.left)
        self.steps = 0

    def _network(self, sizes: Sequence[int]) -> dict[str, torch.Tensor]:
        drawn = initial(sizes, self.sources, last_gain=1.0, orthogonal=False)
        return {name: tensor.to(self.market.dtype) for name, tensor in drawn.items()}

    def _room(self, *shape: int) -> torch.Tensor:
        return torch.zeros(len(self.sources), *shape, dtype=self.market.dtype, device=self.market.device)

    @property
    def _block(self) -> int:
        return self.recipe.n_envs * self.recipe.episode_weeks

    @property
    def total_steps(self) -> int:
        """Steps of the recipe, the last episode completed."""
        return -(-self.recipe.total_steps // self._block) * self._block

    def advance(self) -> dict[str, float]:
        """Live through one episode of all portfolios, with one update after each week behind the warm-up.

        Returns
        -------
        dict of str to float
            Means over learners: ``rollout/reward`` of an environment step, that is above equal weight's and with the
            objective's terms; ``train/ent_coef``; ``train/learning_rate``; and of the episode's updates, if it had
            any, ``train/critic_loss`` and ``train/actor_loss``.
        """
        recipe, market = self.recipe, self.market
        market.start_spread(uniform(self.sources, (recipe.n_envs,)))
        self.path = restart_path(self.path, torch.ones_like(market.left, dtype=torch.bool))
        moves = normal(self.sources, (recipe.episode_weeks, recipe.n_envs, N_ASSETS)).to(market.dtype)
        places, noise = self.draws(recipe.episode_weeks)
        seen, rewards, losses, rate = market.observe(), [], [], recipe.learning_rate
        for week in range(recipe.episode_weeks):
            if recipe.decay:
                rate = recipe.learning_rate * (1.0 - self.steps / self.total_steps)
            seen, reward = self._live(seen, moves[:, week])
            rewards.append(reward)
            if self.steps > recipe.warmup_steps:
                filled = min(self.steps, self._capacity)
                losses.append(self.update(self._places(places[:, week], filled), noise[:, week], rate))
        scalars = {
            "rollout/reward": float(torch.stack(rewards).sum(-1).mean()),
            "train/ent_coef": float(self.log_alpha.detach().exp().mean()),
            "train/learning_rate": rate,
        }
        if losses:
            critic, actor = torch.stack(losses).mean(0).tolist()
            scalars |= {"train/critic_loss": critic, "train/actor_loss": actor}
        return scalars

    def remember(self, played: torch.Tensor, paid: torch.Tensor, after: torch.Tensor, share: float) -> None:
        """Put transitions of others behind the replay buffer; every minibatch has its share of them from now on.

        A fixed share of each minibatch, as Ball et al. (2023), arXiv:2302.02948, mix data that came from elsewhere.
        They are no part of a `position`: whoever builds the learner again gives them again.

        Parameters
        ----------
        played : Tensor, shape (L, E, 16, 11)
            As the attribute.
        paid : Tensor, shape (L, E, 16)
            Scaled as the recipe scales rewards.
        after : Tensor, shape (L, E, 16, 10)
            Not read where the discount is 0.
        share : float
            Of the portfolio-weeks of a minibatch, rounded to whole ones.
        """
        self.played = torch.cat([self.played, played.to(self.played)], 1)
        self.paid = torch.cat([self.paid, paid.to(self.paid)], 1)
        if self.recipe.gamma:
            self.after = torch.cat([self.after, after.to(self.after)], 1)
        self._recorded, self._recorded_share = self.played.shape[1] - self._capacity, share

    def _places(self, uniform: torch.Tensor, filled: int) -> torch.Tensor:
        """Return the places in the buffer of numbers in [0, 1), shape (L, batch): what was recorded comes first."""
        places = (uniform * filled).long()
        if self._recorded:
            count = round(self._recorded_share * uniform.shape[1])
            places[:, :count] = self._capacity + (uniform[:, :count] * self._recorded).long()
        return places

    def draws(self, updates: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw the random numbers of several updates at once.

        Returns
        -------
        tuple of Tensor
            Where in the filled part of the buffer each portfolio-week of a minibatch is, in [0, 1), float64 (in
            float32 the last could round up to a place too many), shape (L, updates, batch); and standard normal
            numbers for the actions on its rows and, with a discount, on those after them, shape
            (L, updates, 1 or 2, 16 batch).
        """
        weeks = max(1, self.recipe.batch_size // N_ASSETS)
        places = uniform(self.sources, (updates, weeks)).double()
        noise = normal(self.sources, (updates, 2 if self.recipe.gamma else 1, weeks * N_ASSETS))
        return places, noise.to(self.market.dtype)

    @torch.no_grad()
    def _live(self, seen: torch.Tensor, noise: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Live through one week and remember it; return what is seen then and the unscaled rewards, (L, N, 16)."""
        recipe, market = self.recipe, self.market
        if self.steps < recipe.warmup_steps and recipe.warmup == "random":
            action = torch.erf(noise * math.sqrt(0.5))  # uniform in (-1, 1), of numbers that are drawn anyway
        else:
            action = self._act(seen.flatten(1, 2), noise.flatten(1))[0].view(noise.shape)
        target = market.weights(recipe.action_bound * action)
        reward = agent_rewards(target, market.held, market.left, market.returns(), market.costs, recipe.objective)
        settled = market.step(target)
        if not recipe.objective.off:
            terms, self.path = objective_terms(settled, self.path, recipe.objective, market.costs)
            reward = terms.factor[..., None] * reward
        first = self.steps % self._capacity
        rows = slice(first, first + recipe.n_envs)
        self.played[:, rows, :, :AGENT_INPUTS] = seen
        self.played[:, rows, :, AGENT_INPUTS] = action
        self.paid[:, rows] = recipe.reward_scale * reward
        seen = market.observe()
        if recipe.gamma:  # also behind the last week: an episode is truncated, which is no terminal state
            self.after[:, rows] = seen
        self.steps += recipe.n_envs
        return seen, reward

    def update(self, places: torch.Tensor, noise: torch.Tensor, learning_rate: float) -> torch.Tensor:
        """Take one step of alpha, critics and actor each.

        Parameters
        ----------
        places : Tensor of int64, shape (L, batch)
            Portfolio-weeks of the replay buffer, recorded ones behind its capacity.
        noise : Tensor, shape (L, 1 or 2, 16 batch)
            As of `draws`.
        learning_rate : float

        Returns
        -------
        Tensor, shape (2,)
            Losses of critics and actor, means over learners.
        """
        room = self._capacity + self._recorded
        at = (places + room * torch.arange(len(places), device=places.device)[:, None]).flatten()
        played, paid = _rows(self.played, at), _rows(self.paid, at)
        # Contiguous: products of a slice are rounded otherwise for a lone learner.
        inputs = played[..., :AGENT_INPUTS].contiguous()
        actions, log_probs = self._act(inputs, noise[:, 0])
        alpha = exp(self.log_alpha.detach())
        surplus = (log_probs.detach() + TARGET_ENTROPY).mean(1, keepdim=True)
        self.alpha_optimizer.step(-(self.log_alpha * surplus).sum(), learning_rate)

        goal = paid + self._later(_rows(self.after, at), noise[:, 1], alpha) if self.recipe.gamma else paid
        errors = self._values(self.critic, played) - goal[:, None]
        critic_loss = 0.5 * errors.square().mean(2).sum()
        self.critic_optimizer.step(critic_loss, learning_rate)

        first, second = self._values(self._fixed_critic, torch.cat([inputs, actions[..., None]], -1)).unbind(1)
        actor_loss = (alpha * log_probs - torch.minimum(first, second)).mean(1).sum()
        self.actor_optimizer.step(actor_loss, learning_rate)
        drop_features(self.actor["weight.0"], learning_rate * self.recipe.feature_penalty)
        with torch.no_grad():
            for name, tensor in self.target.items():
                tensor.lerp_(self.critic[name], self.recipe.tau)
        return torch.stack([critic_loss.detach(), actor_loss.detach()]) / len(places)

    @torch.no_grad()
    def _later(self, after: torch.Tensor, noise: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
        """Return the discounted soft value, shape (L, rows), of what was seen then, shape (L, rows, 10)."""
        actions, log_probs = self._act(after, noise)
        values = self._values(self.target, torch.cat([after, actions[..., None]], -1))
        return self.recipe.gamma * (values.amin(1) - alpha * log_probs)

    def _act(self, inputs: torch.Tensor, noise: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return actions in (-1, 1) and the logarithm of their density, shape (L, rows), of inputs (L, rows, 10)."""
        mean, log_std = forward(self.actor, inputs, self.recipe.activation).unbind(-1)
        log_std = log_std.clamp(LOG_STD_MIN, LOG_STD_MAX)
        actions = torch.tanh(mean + log_std.exp() * noise)
        squashed = torch.log(1.0 - actions.square() + SQUASH_EPS)
        return actions, -0.5 * noise.square() - log_std - LOG_ROOT_2PI - squashed

    def _values(self, critics: Mapping[str, torch.Tensor], played: torch.Tensor) -> torch.Tensor:
        """Return what both critics expect of inputs and actions, shape (L, rows, 11): shape (L, 2, rows)."""
        twice = played[:, None].expand(-1, 2, -1, -1)
        return forward(critics, twice.flatten(0, 1), self.recipe.activation).view(twice.shape[:3])

    def trained(self) -> dict[str, torch.Tensor]:
        """Return networks, alpha and optimisers in the learner's own memory; `tensors.fill` puts others in.

        Those of the critics have shape (L, 2, in, out).
        """
        return {
            **{f"actor.{name}": tensor for name, tensor in self.actor.items()},
            **{f"critic.{name}": _paired(tensor) for name, tensor in self.critic.items()},
            **{f"target.{name}": _paired(tensor) for name, tensor in self.target.items()},
            "log_alpha": self.log_alpha,
            **{f"actor_optimizer.{name}": tensor for name, tensor in self.actor_optimizer.state().items()},
            **{f"critic_optimizer.{name}": _paired(tensor) for name, tensor in self.critic_optimizer.state().items()},
            **{f"alpha_optimizer.{name}": tensor for name, tensor in self.alpha_optimizer.state().items()},
        }

    def position(self) -> dict[str, torch.Tensor]:
        """Return what else is needed to go on bit for bit; between episodes that is no state of the market.

        Of the replay buffer it is the filled part.
        """
        filled = min(self.steps, self._capacity)
        return {
            **{f"path.{name}": tensor.clone() for name, tensor in self.path._asdict().items()},
            **{name: buffer[:, :filled].clone() for name, buffer in self._replay().items()},
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
        steps = position.get("steps", torch.tensor(-1))
        taken = int(steps) if steps.dim() == 0 else -1
        filled = min(taken, self._capacity)
        shapes = {f"path.{name}": self.market.left.shape for name in Path._fields}
        shapes |= {name: buffer[:, : max(filled, 0)].shape for name, buffer in self._replay().items()}
        known = set(position) == {*shapes, "random", "steps"}
        if not known or taken < 0 or taken % self._block or any(position[k].shape != v for k, v in shapes.items()):
            raise CorruptArtifactError("The position is not one of this recipe.", todo="train from the start.")
        load_random_state(self.sources, position["random"])
        self.path = Path(*(position[f"path.{name}"].to(self.market.left) for name in Path._fields))
        for name, buffer in self._replay().items():
            buffer[:, :filled] = position[name].to(buffer)
        self.steps = taken

    def _replay(self) -> dict[str, torch.Tensor]:
        return {"played": self.played, "paid": self.paid, "after": self.after}


def _rows(buffer: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
    """Return the agents' rows, shape (L, rows, ...), of portfolio-weeks counted through all learners."""
    return buffer.flatten(0, 1).index_select(0, at).view(len(buffer), -1, *buffer.shape[3:])


def _paired(tensor: torch.Tensor) -> torch.Tensor:
    """Return a view of critics, shape (2 L, ...), with learners first, shape (L, 2, ...); of a counter, itself."""
    return tensor.detach().view(-1, 2, *tensor.shape[1:]) if tensor.dim() else tensor
