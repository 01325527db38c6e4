"""The weekly portfolio environment: one action a week, the same accounting as evaluation and labelling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from allocator_pipeline.config import STATE_SIZE, WEEKS_PER_YEAR, CostConfig
from allocator_pipeline.errors import ConfigurationError, NotEnoughDataError
from allocator_pipeline.portfolio.batch import PortfolioBatch
from allocator_pipeline.portfolio.constraints import N_ASSETS, project
from allocator_pipeline.portfolio.objective import REWARD_ONLY, Objective, objective_terms, restart_path, start_path
from allocator_pipeline.portfolio.scaler import StateScaler
from allocator_pipeline.portfolio.state import StateTensors


class WeeklyPortfolioEnv(gymnasium.Env[np.ndarray, np.ndarray]):
    """One portfolio, week by week.

    The observation is the scaled state (136 numbers); the action is 16 logits, which `constraints.project` turns into
    weights; the reward is the scaled log of the week's wealth multiplier, or what the objective makes of it.
    An episode starts at a random week and ends by truncation, never by termination: the market goes on, so learners
    must bootstrap.

    Parameters
    ----------
    states : StateTensors
        Successive weeks with known returns.
    scaler : StateScaler
    costs : CostConfig
    episode_weeks : int
    action_bound : float
        A logit lies in [-action_bound, action_bound]: at 5 the greatest weight can be 22,000 times the least.
    starting : mapping of str to Holdings, optional
        What is held when an episode starts in a week (ISO date of its Monday); all cash where absent.
    objective : Objective
        Penalties and the kind of reward; its running estimates go on from episode to episode.

    Raises
    ------
    NotEnoughDataError
        If there are fewer weeks than an episode has, or a week is not known yet.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012  (gymnasium declares it as an instance attribute)

    def __init__(
        self,
        states: StateTensors,
        scaler: StateScaler,
        costs: CostConfig,
        *,
        episode_weeks: int = WEEKS_PER_YEAR,
        action_bound: float = 5.0,
        starting: Mapping[str, Mapping[str, float]] | None = None,
        objective: Objective = REWARD_ONLY,
    ) -> None:
        self.last_start = last_start(states, episode_weeks)
        self.episode_weeks = episode_weeks
        self.observation_space, self.action_space = make_spaces(scaler, action_bound)
        self._batch = PortfolioBatch(states, scaler, costs, 1, starting)
        self._end = 0
        self._objective, self._path = objective, start_path(np.zeros(1))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start an episode at a random week, or at row ``options["start"]`` of the states."""
        super().reset(seed=seed)
        drawn = int(self.np_random.integers(0, self.last_start + 1))
        row = check_start((options or {}).get("start", drawn), self.last_start)
        self._batch.start(np.array([0]), np.array([row]))
        self._end = row + self.episode_weeks
        self._path = restart_path(self._path, np.array([True]))
        return self._batch.observe()[0], {"week": str(self._batch.states.weeks[row])}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Trade to the weights of the action's logits and live through the week.

        Raises
        ------
        WeightsError
            If the action is not finite.
        NotEnoughDataError
            If the episode is over.
        """
        row = int(self._batch.rows[0])
        if row >= self._end:
            raise NotEnoughDataError("The episode is over.", todo="call reset before the next step.")
        targets = project(np.asarray(action)[None], self._batch.costs)
        week = self._batch.step(targets)
        reward = week.reward
        if not self._objective.off:
            terms, self._path = objective_terms(week, self._path, self._objective, self._batch.costs)
            reward = terms.utility + terms.added
        info = {
            "week": str(self._batch.states.weeks[row]),
            "weights": targets[0],
            "turnover": float(week.turnover[0]),
            "cost": float(week.cost[0]),
            "net": float(week.net[0]),
        }
        return self._batch.observe()[0], float(reward[0]), False, row + 1 == self._end, info


def make_spaces(scaler: StateScaler, action_bound: float) -> tuple[spaces.Box, spaces.Box]:
    """Return the observation space (scaled features within the scaler's clip, weights in [0, 1]) and the action space.

    Raises
    ------
    ConfigurationError
        If the bound is not positive.
    """
    if not action_bound > 0:
        raise ConfigurationError(f"action_bound is {action_bound}.", todo="give a positive number.")
    high = np.full(STATE_SIZE, scaler.clip, dtype=np.float32)
    high[-N_ASSETS:] = 1.0
    low = -high
    low[-N_ASSETS:] = 0.0
    bound = float(action_bound)
    return spaces.Box(low, high, dtype=np.float32), spaces.Box(-bound, bound, (N_ASSETS,), dtype=np.float32)


def last_start(states: StateTensors, episode_weeks: int) -> int:
    """Return the last row at which an episode can start.

    Raises
    ------
    NotEnoughDataError
        If there is no room for one episode.
    """
    if not 1 <= episode_weeks <= len(states):
        raise NotEnoughDataError(
            f"There are {len(states)} weeks for episodes of {episode_weeks}.",
            todo="give more weeks or shorter episodes (of at least one week).",
        )
    return len(states) - episode_weeks


def check_start(row: Any, last: int) -> int:
    """Return an episode's first row if it leaves room for the whole episode.

    Raises
    ------
    ConfigurationError
        If it does not.
    """
    if not isinstance(row, int | np.integer) or not 0 <= row <= last:
        raise ConfigurationError(f"An episode cannot start at row {row!r}.", todo=f"start at 0 to {last}.")
    return int(row)
