"""The weekly environment for N portfolios at once, as stable-baselines3 wants it: the same numbers, without a loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn

from allocator_pipeline.config import WEEKS_PER_YEAR, CostConfig
from allocator_pipeline.portfolio.batch import PortfolioBatch
from allocator_pipeline.portfolio.constraints import project
from allocator_pipeline.portfolio.env import check_start, last_start, make_spaces
from allocator_pipeline.portfolio.objective import (
    REWARD_ONLY,
    Objective,
    Path,
    objective_terms,
    restart_path,
    start_path,
)
from allocator_pipeline.portfolio.random_state import generator_state, load_generator
from allocator_pipeline.portfolio.scaler import StateScaler
from allocator_pipeline.portfolio.starts import cumulative_starts
from allocator_pipeline.portfolio.state import StateTensors


class PortfolioVecEnv(VecEnv):
    """N portfolios that live through their episodes side by side; parameters as of `env.WeeklyPortfolioEnv`.

    Finished episodes start again by themselves at a random week. As everywhere in stable-baselines3, the info of a
    finished episode holds its ``terminal_observation`` and ``TimeLimit.truncated``, which is always true here. One
    generator draws all starts: `seed` before `reset` makes them reproducible; `set_options` with ``{"start": row}``
    names them for the next reset.

    Parameters
    ----------
    n_envs : int
        Number of portfolios.
    start_weights : ndarray, optional
        How often an episode starts in each week that leaves room for it; equally often if absent.
    """

    def __init__(
        self,
        states: StateTensors,
        scaler: StateScaler,
        costs: CostConfig,
        n_envs: int,
        *,
        episode_weeks: int = WEEKS_PER_YEAR,
        action_bound: float = 5.0,
        starting: Mapping[str, Mapping[str, float]] | None = None,
        objective: Objective = REWARD_ONLY,
        start_weights: np.ndarray | None = None,
    ) -> None:
        self.last_start = last_start(states, episode_weeks)
        starts = self.last_start + 1
        self._cumulative = None if start_weights is None else cumulative_starts(start_weights, starts)
        self.episode_weeks = episode_weeks
        self._batch = PortfolioBatch(states, scaler, costs, n_envs, starting)
        self._ends = np.zeros(n_envs, dtype=np.int64)
        self._returns = np.zeros(n_envs)
        self._objective, self._path = objective, start_path(self._returns)
        self._generator = np.random.default_rng()
        self._actions = np.zeros((n_envs, 0))
        self.render_mode = None
        super().__init__(n_envs, *make_spaces(scaler, action_bound))

    def reset(self) -> VecEnvObs:
        """Start all episodes; return observations of shape (N, 136)."""
        if self._seeds[0] is not None:
            self._generator = np.random.default_rng(self._seeds[0])
        drawn = self._draw(self.num_envs)
        named = [options.get("start", row) for options, row in zip(self._options, drawn, strict=True)]
        self._start(np.arange(self.num_envs), np.array([check_start(row, self.last_start) for row in named]))
        self.reset_infos = [{} for _ in range(self.num_envs)]
        self._reset_seeds()
        self._reset_options()
        return self._batch.observe()

    @property
    def rows(self) -> np.ndarray:
        """The row of the states that each portfolio decides next, shape (N,)."""
        return self._batch.rows

    def _draw(self, count: int) -> np.ndarray:
        if self._cumulative is not None:
            return np.searchsorted(self._cumulative, self._generator.random(count), side="right")
        return self._generator.integers(0, self.last_start + 1, size=count)

    def _start(self, which: np.ndarray, rows: np.ndarray) -> None:
        self._batch.start(which, rows)
        self._ends[which] = rows + self.episode_weeks
        self._returns[which] = 0.0
        if not self._objective.off:
            started = np.zeros(self.num_envs, dtype=bool)
            started[which] = True
            self._path = restart_path(self._path, started)

    def step_async(self, actions: np.ndarray) -> None:
        """Keep the logits, shape (N, 16), for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Live through one week.

        Returns
        -------
        tuple
            Observations (N, 136), rewards (N,), dones (N,) and infos.

        Raises
        ------
        WeightsError
            If an action is not finite.
        """
        week = self._batch.step(project(self._actions, self._batch.costs))
        rewards = week.reward
        if not self._objective.off:
            terms, self._path = objective_terms(week, self._path, self._objective, self._batch.costs)
            rewards = terms.utility + terms.added
        self._returns += rewards
        observations = self._batch.observe()
        dones = self._batch.rows == self._ends
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        finished = np.flatnonzero(dones)
        if finished.size:
            for i in finished:
                infos[i] = {
                    "terminal_observation": observations[i],
                    "TimeLimit.truncated": True,
                    "episode": {"r": float(self._returns[i]), "l": self.episode_weeks},
                }
            self._start(finished, self._draw(finished.size))
            observations = self._batch.observe()
        return observations, rewards, dones, infos

    def state(self) -> dict[str, np.ndarray]:
        """Return copies of all that the next steps depend on, by name."""
        return {
            **self._batch.state(),
            **{f"path.{name}": np.array(values) for name, values in self._path._asdict().items()},
            "ends": self._ends.copy(),
            "returns": self._returns.copy(),
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
        self._ends, self._returns = np.array(state["ends"]), np.array(state["returns"])

    def close(self) -> None:
        """Nothing to release."""

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return an attribute, the same for all portfolios."""
        return [getattr(self, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Refuse: portfolios share their attributes."""
        raise NotImplementedError("The portfolios of a PortfolioVecEnv share their attributes.")

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Refuse: there are no single environments inside."""
        raise NotImplementedError("A PortfolioVecEnv holds arrays, no single environments.")

    def env_is_wrapped(self, wrapper_class: type, indices: VecEnvIndices = None) -> list[bool]:
        """Return False for each: nothing is wrapped."""
        return [False for _ in self._get_indices(indices)]

    def get_images(self) -> Sequence[np.ndarray | None]:
        """Return no pictures: there is nothing to render."""
        return [None] * self.num_envs
