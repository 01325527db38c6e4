"""The portfolio seen as 16 agents that share one small network: the 15 stocks, and CASH.

Each agent sees ten numbers of its own asset, a view of the 136, and answers with one: a tilt, added to the logarithm of
its equal weight before the constraint map. A network over all 136 numbers learns nothing from a thousand weeks; one
network over ten numbers sees sixteen times as many examples and cannot confuse the stocks
(docs/decisions/0001-default-recipes.md).

Stable-baselines3 sees ``16 * n_envs`` environments with a one-number action. Weights and weeks are those of `batch`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace, device
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvStepReturn

from allocator_pipeline.config import N_STOCKS, SIGNALS, WEEKS_PER_YEAR, CostConfig
from allocator_pipeline.portfolio.batch import PortfolioBatch
from allocator_pipeline.portfolio.constraints import N_ASSETS, equal_weight_anchor, equal_weights, project
from allocator_pipeline.portfolio.env import last_start
from allocator_pipeline.portfolio.objective import (
    REWARD_ONLY,
    UNIT,
    Objective,
    Path,
    objective_terms,
    restart_path,
    start_path,
)
from allocator_pipeline.portfolio.random_state import generator_state, load_generator
from allocator_pipeline.portfolio.scaler import N_FEATURES, StateScaler
from allocator_pipeline.portfolio.starts import cumulative_starts
from allocator_pipeline.portfolio.state import StateTensors

AGENT_INPUTS = N_FEATURES + 2


def agent_view(observations: np.ndarray) -> np.ndarray:
    """Return what the agents of N portfolios see.

    Parameters
    ----------
    observations : ndarray of float32, shape (N, 136)
        Scaled states.

    Returns
    -------
    ndarray of float32, shape (N, 16, 10)
        For each asset its 7 signals and forecast as distances from the mean of the 15 stocks (0 for CASH); its weight
        held, times 15, less 1, so that about 0 is an equal weight; and 1 for CASH, 0 for a stock.
    """
    n_signals = N_STOCKS * len(SIGNALS)
    view = np.zeros((len(observations), N_ASSETS, AGENT_INPUTS), dtype=np.float32)
    features = view[:, :-1, :N_FEATURES]
    features[..., :-1] = observations[:, :n_signals].reshape(-1, N_STOCKS, len(SIGNALS))
    features[..., -1] = observations[:, n_signals:-N_ASSETS]
    features -= features.mean(axis=1, keepdims=True)
    view[..., N_FEATURES] = observations[:, -N_ASSETS:] * N_STOCKS - 1.0
    view[:, -1, -1] = 1.0
    return view


def agent_logits(tilts: np.ndarray, costs: CostConfig) -> np.ndarray:
    """Return the logits of the agents' tilts, both of shape (..., 16): no tilt is equal weight."""
    return equal_weight_anchor(costs) + tilts


def agent_rewards(
    target: Any, held: Any, left: Any, returns: Any, costs: CostConfig, objective: Objective = REWARD_ONLY
) -> Any:
    """Return each agent's part in beating equal weight, shape (N, 16), of numpy arrays or torch tensors.

    ``scale * [(w_i - e_i)(r_i - r_e) - rate * |dw_i| / 2]`` with equal weights e, their return r_e, and r = 0 for cash.
    Over the agents of a portfolio it sums to ``scale * (w . r - r_e - cost)``. What has left the universe is CASH's
    trade.

    Parameters
    ----------
    target, held : array, shape (N, 16)
        Weights wanted, and held at execution. Any axes may stand before the last.
    left : array, shape (N,)
        Weight held that is no longer in the universe.
    returns : array, shape (N, 15)
        Simple returns of the week.
    costs : CostConfig
    objective : Objective
        Its turnover penalty is a higher rate of cost; all else of it is `objective_terms`'.
    """
    xp = array_namespace(target)
    equal = xp.asarray(equal_weights(costs), dtype=target.dtype, device=device(target))
    moves = xp.concat([returns, xp.zeros_like(returns[..., :1])], axis=-1)
    active = (target - equal) * (moves - (moves * equal).sum(axis=-1, keepdims=True))
    traded = abs(target - held)
    traded[..., -1] += left
    rate = costs.cost_bps / 10_000.0 + objective.turnover / UNIT
    return costs.reward_scale * (active - rate * 0.5 * traded)


class AgentsVecEnv(VecEnv):
    """``n_portfolios`` portfolios of 16 agents each, stepped in arrays.

    All portfolios live through their episodes in step. Their first weeks are stratified: spread evenly over the weeks
    there are (or as weights say), with a random offset each. The end of an episode is a truncation, never a terminal
    state.

    Parameters
    ----------
    states, scaler, costs, episode_weeks, action_bound, starting, objective, start_weights
        As of `vec_env.PortfolioVecEnv`; the action bound is that of a tilt. An agent's reward is its part times the
        marginal utility of the portfolio's reward, and all of the portfolio's penalty.
    n_portfolios : int
    reward_factor : float
        Multiplies the rewards.
    bootstrap : bool
        Whether ends of episodes carry their last observation. It is pointless where the discount is 0, and
        stable-baselines3 would spend more time on the values of 640 of them than on everything else.

    Raises
    ------
    NotEnoughDataError
        If there are fewer weeks than an episode has, or one is not known.
    """

    def __init__(
        self,
        states: StateTensors,
        scaler: StateScaler,
        costs: CostConfig,
        n_portfolios: int,
        *,
        episode_weeks: int = WEEKS_PER_YEAR,
        action_bound: float = 4.0,
        starting: Mapping[str, Mapping[str, float]] | None = None,
        reward_factor: float = 1.0,
        bootstrap: bool = True,
        objective: Objective = REWARD_ONLY,
        start_weights: np.ndarray | None = None,
    ) -> None:
        self.n_starts = last_start(states, episode_weeks) + 1
        self._cumulative = None if start_weights is None else cumulative_starts(start_weights, self.n_starts)
        self.n_portfolios, self.episode_weeks = n_portfolios, episode_weeks
        self.reward_factor, self.bootstrap = reward_factor, bootstrap
        self.render_mode = None
        self._returns = states.returns
        self._objective, self._path = objective, start_path(np.zeros(n_portfolios))
        self._batch = PortfolioBatch(states, scaler, costs, n_portfolios, starting)
        self._generator = np.random.default_rng()
        self._week = 0
        super().__init__(
            n_portfolios * N_ASSETS,
            spaces.Box(-np.inf, np.inf, (AGENT_INPUTS,), dtype=np.float32),
            spaces.Box(-action_bound, action_bound, (1,), dtype=np.float32),
        )

    def reset(self) -> np.ndarray:
        """Start all episodes; return what the agents see, shape (16 n_portfolios, 10)."""
        if self._seeds[0] is not None:
            self._generator = np.random.default_rng(self._seeds[0])
        self._reset_seeds()
        self._start()
        return self._observe()

    def _start(self) -> None:
        spread = (np.arange(self.n_portfolios) + self._generator.random(self.n_portfolios)) / self.n_portfolios
        if self._cumulative is not None:
            rows = np.searchsorted(self._cumulative, spread, side="right")
        else:
            rows = (spread * self.n_starts).astype(np.int64)
        self._batch.start(np.arange(self.n_portfolios), rows)
        self._week = 0
        self._path = restart_path(self._path, np.ones(self.n_portfolios, dtype=bool))

    def step_async(self, actions: np.ndarray) -> None:
        """Keep the tilts, shape (16 n_portfolios, 1), for `step_wait`."""
        self._tilts = np.asarray(actions, dtype=np.float64).reshape(self.n_portfolios, N_ASSETS)

    def step_wait(self) -> VecEnvStepReturn:
        """Live through one week.

        Returns
        -------
        tuple
            Observations (16 n_portfolios, 10), rewards and dones (16 n_portfolios,), and infos.

        Raises
        ------
        WeightsError
            If an action is not finite.
        """
        batch = self._batch
        target = project(agent_logits(self._tilts, batch.costs), batch.costs)
        rewards = agent_rewards(target, batch.held, batch.left, self._returns[batch.rows], batch.costs, self._objective)
        week = batch.step(target)
        if not self._objective.off:
            terms, self._path = objective_terms(week, self._path, self._objective, batch.costs)
            rewards = terms.factor[:, None] * rewards
        self._week += 1
        done = self._week == self.episode_weeks
        observations = self._observe()
        infos: list[dict[str, Any]] = [{"TimeLimit.truncated": True} if done else {} for _ in range(self.num_envs)]
        if done:
            if self.bootstrap:
                for info, last in zip(infos, observations, strict=True):
                    info["terminal_observation"] = last
            self._start()
            observations = self._observe()
        return observations, self.reward_factor * rewards.reshape(-1), np.full(self.num_envs, done), infos

    def _observe(self) -> np.ndarray:
        return agent_view(self._batch.observe()).reshape(self.num_envs, AGENT_INPUTS)

    def state(self) -> dict[str, np.ndarray]:
        """Return copies of all that the next steps depend on, by name."""
        return {
            **self._batch.state(),
            **{f"path.{name}": np.array(values) for name, values in self._path._asdict().items()},
            "week": np.array(self._week),
            "generator": generator_state(self._generator),
        }

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Put the portfolios where `state` found them.

        Raises
        ------
        CorruptArtifactError
            If the state of the generator is none.
        """
        load_generator(self._generator, state["generator"])
        self._batch.load_state(state)
        self._path = Path(*(np.array(state[f"path.{name}"]) for name in Path._fields))
        self._week = int(state["week"])

    def close(self) -> None:
        """Nothing to release."""

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return an attribute, the same for all agents."""
        return [getattr(self, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Refuse: agents share their attributes."""
        raise NotImplementedError("The agents of an AgentsVecEnv share their attributes.")

    def env_method(self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any) -> list[Any]:
        """Refuse: there are no single environments inside."""
        raise NotImplementedError("An AgentsVecEnv holds arrays, no single environments.")

    def env_is_wrapped(self, wrapper_class: type, indices: VecEnvIndices = None) -> list[bool]:
        """Return False for each: nothing is wrapped."""
        return [False for _ in self._get_indices(indices)]
