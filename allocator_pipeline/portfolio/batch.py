"""N portfolios walking through one market in arrays: the engine below every environment. No loop over portfolios.

Two sets of weights are kept for each portfolio. What is *held* has drifted by returns, from execution to execution:
turnover and cost are measured from it. What is *seen* has drifted by marks, up to the decision's close: it is all that
an observation may contain, for the next execution price is not known when deciding.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from allocator_pipeline.config import N_STOCKS, STATE_SIZE, CostConfig
from allocator_pipeline.errors import NotEnoughDataError
from allocator_pipeline.portfolio.constraints import N_ASSETS
from allocator_pipeline.portfolio.rollout import ALL_CASH, Settlement, check_known, drift, in_slots, settle_batch
from allocator_pipeline.portfolio.scaler import StateScaler, state_order
from allocator_pipeline.portfolio.state import StateTensors


class PortfolioBatch:
    """Portfolios in the slots of their week, each in a week of its own.

    Parameters
    ----------
    states : StateTensors
        Successive weeks with known returns and marks.
    scaler : StateScaler
        The policy's.
    costs : CostConfig
    size : int
        Number of portfolios, N.
    starting : mapping of str to Holdings, optional
        What a portfolio that starts in a week (ISO date of its Monday) holds there; all cash where absent.

    Attributes
    ----------
    rows : ndarray of int, shape (N,)
        The week each portfolio decides next; ``len(states)`` behind the last one.
    held : ndarray, shape (N, 16)
        Weights at the next execution, CASH last.
    left : ndarray, shape (N,)
        Weight of what has left the universe since the last week; the next execution sells it.
    seen : ndarray, shape (N, 16)
        Weights that the decision may observe; what has left the universe counts as CASH.

    Raises
    ------
    NotEnoughDataError
        If there are no weeks, or a week's return or mark is not known.
    WeightsError
        If a return is -1 or less, or starting holdings are no portfolio.
    """

    def __init__(
        self,
        states: StateTensors,
        scaler: StateScaler,
        costs: CostConfig,
        size: int,
        starting: Mapping[str, Mapping[str, float]] | None = None,
    ) -> None:
        if len(states) == 0:
            raise NotEnoughDataError("There are no weeks to live through.", todo="give the environment training weeks.")
        check_known(states)
        self.states, self.costs, self.size = states, costs, size
        scaled = state_order(scaler.transform(states.features, states.missing)).astype(np.float32)
        # A portfolio behind the last week still observes, to value a truncated episode: the last features stand in.
        self._scaled = np.concatenate([scaled, scaled[-1:]])
        self._returns, self._marks = states.returns, states.marks
        carry = np.concatenate([states.carry(), np.arange(N_STOCKS)[None]])
        self._changed = (carry != np.arange(N_STOCKS)).any(axis=1)
        self._joined, self._origin = carry < 0, np.maximum(carry, 0)
        self._leaving = ~(carry[:, :, None] == np.arange(N_STOCKS)).any(axis=1)
        self._start_held, self._start_left = self._starts(starting or {})
        self.rows = np.zeros(size, dtype=np.int64)
        self.held = np.empty((size, N_ASSETS))
        self.left = np.empty(size)
        self.seen = np.empty((size, N_ASSETS))
        self.start(np.arange(size), self.rows)

    def _starts(self, starting: Mapping[str, Mapping[str, float]]) -> tuple[np.ndarray, np.ndarray]:
        held, left = np.empty((len(self.states), N_ASSETS)), np.empty(len(self.states))
        for t, week in enumerate(self.states.weeks.astype("datetime64[D]").astype(str)):
            held[t], left[t] = in_slots(starting.get(week, ALL_CASH), self.states.symbols[t])
        return held, left

    def start(self, which: np.ndarray, rows: np.ndarray) -> None:
        """Put some portfolios at the start of an episode.

        Parameters
        ----------
        which : ndarray of int, shape (k,)
        rows : ndarray of int, shape (k,)
            Their first weeks.
        """
        self.rows[which] = rows
        self.held[which], self.left[which] = self._start_held[rows], self._start_left[rows]
        seen = self._start_held[rows]
        seen[:, -1] += self._start_left[rows]
        self.seen[which] = seen

    def observe(self) -> np.ndarray:
        """Return the observations, float32, shape (N, 136): scaled features as of the decision, and weights seen."""
        observations = self.features_of(self.rows)
        observations[:, -N_ASSETS:] = self.seen
        return observations

    def features_of(self, rows: np.ndarray) -> np.ndarray:
        """Return the observations of some weeks, float32, shape (k, 136), with the places of the weights left at 0."""
        observations = np.zeros((len(rows), STATE_SIZE), dtype=np.float32)
        observations[:, :-N_ASSETS] = self._scaled[rows]
        return observations

    def slots(self) -> dict[str, np.ndarray]:
        """Return where weights come from at each week, and what episodes that start in it hold.

        Returns
        -------
        dict of str to ndarray
            ``origin`` (T + 1, 15): the slot of the week before; ``joined`` (T + 1, 15): True for a new symbol;
            ``leaving`` (T + 1, 15): True where the symbol of the week before has left; ``held`` (T, 16) and ``left``
            (T,): the starting weights, and the part of them in no slot.
        """
        return {
            "origin": self._origin,
            "joined": self._joined,
            "leaving": self._leaving,
            "held": self._start_held,
            "left": self._start_left,
        }

    def step(self, targets: np.ndarray) -> Settlement:
        """Live through one week and move on to the next.

        Parameters
        ----------
        targets : ndarray, shape (N, 16)
            Admissible weights, as `constraints.project` gives.

        Returns
        -------
        Settlement
        """
        week = settle_batch(targets, self.held, self.left, self._returns[self.rows], self.costs)
        self.seen = drift(targets, self._marks[self.rows])
        self.held = week.held_after.copy()
        self.left = np.zeros(self.size)
        self.rows += 1
        moved = np.flatnonzero(self._changed[self.rows])
        if moved.size:
            self.held[moved], self.left[moved] = self._follow(self.held[moved], self.rows[moved])
            seen, left = self._follow(self.seen[moved], self.rows[moved])
            seen[:, -1] += left
            self.seen[moved] = seen
        return week

    def state(self) -> dict[str, np.ndarray]:
        """Return copies of the portfolios' weeks and weights, by name."""
        return {name: getattr(self, name).copy() for name in ("rows", "held", "left", "seen")}

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Put the portfolios where `state` found them."""
        for name in self.state():
            setattr(self, name, np.array(state[name]))

    def _follow(self, weights: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Move weights of shape (k, 16) from the slots of the week before to those of ``rows``; also what leaves."""
        stocks = weights[:, :-1]
        moved = weights.copy()
        moved[:, :-1] = np.take_along_axis(stocks, self._origin[rows], axis=1)
        moved[:, :-1][self._joined[rows]] = 0.0
        return moved, np.where(self._leaving[rows], stocks, 0.0).sum(axis=1)
