"""The market of `batch` in torch: L learners times N portfolios on one device, differentiable from weights to rewards.

A learner is one network in training; each has weeks and a scaler of its own, and all step together. The accounting is
that of `rollout`, the constraint map that of `constraints`, in the same order of operations: numpy and torch differ by
rounding only. Nothing is copied between the device and the host while it steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from allocator_pipeline.config import WEEKS_PER_YEAR, CostConfig
from allocator_pipeline.errors import NotEnoughDataError
from allocator_pipeline.portfolio.agents_env import AGENT_INPUTS, agent_view
from allocator_pipeline.portfolio.batch import PortfolioBatch
from allocator_pipeline.portfolio.constraints import N_ASSETS, equal_weight_anchor
from allocator_pipeline.portfolio.env import last_start
from allocator_pipeline.portfolio.rollout import Settlement, drift, settle_batch
from allocator_pipeline.portfolio.scaler import N_FEATURES, StateScaler
from allocator_pipeline.portfolio.starts import cumulative_starts
from allocator_pipeline.portfolio.state import StateTensors


def project_tensor(logits: torch.Tensor, costs: CostConfig) -> torch.Tensor:
    """Map logits to the nearest admissible weights: `constraints.project`, differentiable almost everywhere.

    Which names are capped and whether the cash buffer binds is found without gradients; what is left is one softmax.

    Parameters
    ----------
    logits : Tensor, shape (..., 16)
        CASH last; finite.
    costs : CostConfig

    Returns
    -------
    Tensor, same shape
    """
    cap, buffer = costs.max_position_weight, costs.cash_buffer
    with torch.no_grad():
        # Are the stocks' shares too much at the scale that gives cash exactly its buffer? Then the buffer binds.
        relative = torch.exp(logits[..., :-1] - logits[..., -1:])
        stocks = (buffer * relative).clamp(max=cap).sum(-1)
        binds = stocks > (1.0 - buffer) * (1.0 + 1e-12)
        fixed = torch.zeros(logits.shape, dtype=torch.bool, device=logits.device)
        fixed[..., -1] = binds
        weight = torch.zeros_like(logits)
        weight[..., -1].masked_fill_(binds, buffer)
        for _ in range(int((1.0 - buffer) / cap) + 1):
            over = _share(logits, fixed, weight)[..., :-1] > cap
            if logits.device.type == "cpu" and not over.any():  # elsewhere, asking would wait for the device
                break
            fixed[..., :-1] |= over
            weight[..., :-1].masked_fill_(over, cap)
    return torch.where(fixed, weight, _share(logits, fixed, weight))


def _share(logits: torch.Tensor, fixed: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return what the free assets get of the weight that the fixed ones leave, by softmax."""
    budget = 1.0 - weight.sum(-1, keepdim=True)
    return budget * torch.softmax(logits.masked_fill(fixed, -torch.inf), -1)


@dataclass(frozen=True)
class Window:
    """What one learner learns from.

    Parameters
    ----------
    states : StateTensors
        Successive weeks with known returns.
    scaler : StateScaler
        Fitted on them, or a champion's.
    starting : mapping of str to Holdings, optional
        What is held when an episode starts in a week (ISO date of its Monday); all cash where absent.
    start_weights : ndarray, optional
        How often an episode starts in each week that leaves room for it; equally often if absent.
    """

    states: StateTensors
    scaler: StateScaler
    starting: Mapping[str, Mapping[str, float]] | None = None
    start_weights: np.ndarray | None = None


class TensorMarket:
    """Portfolios in the slots of their week, as `batch.PortfolioBatch`, with a leading axis of learners.

    All portfolios live through their episodes in step; their first weeks are stratified over the weeks there are.

    Parameters
    ----------
    windows : sequence of Window
        Different windows.
    window_of : sequence of int, length L
        The window of each learner.
    costs : CostConfig
    n_portfolios : int
        N, for each learner.
    episode_weeks : int
    device : str or torch.device
    dtype : torch.dtype
        Of all numbers; float32 is enough to learn.

    Attributes
    ----------
    rows : Tensor of int64, shape (L, N)
        The week each portfolio decides next.
    held, seen : Tensor, shape (L, N, 16)
        Weights at the next execution, and as far as the decision may see them.
    left : Tensor, shape (L, N)
        Weight at the next execution of what has left the universe.

    Raises
    ------
    NotEnoughDataError
        If a window has fewer weeks than an episode, or one is not known.
    """

    def __init__(
        self,
        windows: Sequence[Window],
        window_of: Sequence[int],
        costs: CostConfig,
        n_portfolios: int,
        *,
        episode_weeks: int = WEEKS_PER_YEAR,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        if not windows:
            raise NotEnoughDataError("There are no weeks to learn from.", todo="give the market a window.")
        self.costs, self.n_portfolios, self.episode_weeks = costs, n_portfolios, episode_weeks
        self.n_learners, self.device, self.dtype = len(window_of), torch.device(device), dtype
        self.anchor = self._tensor(equal_weight_anchor(costs))
        starts = [last_start(window.states, episode_weeks) + 1 for window in windows]
        length = max(len(window.states) for window in windows) + 1
        tables = [_tables(window, costs, length) for window in windows]
        first_rows = length * torch.tensor(list(window_of), device=self.device)[:, None]
        self._first_rows = first_rows.expand(-1, n_portfolios)
        self._n_starts = torch.tensor([starts[i] for i in window_of], device=self.device, dtype=torch.float64)
        self._cumulative = self._start_distribution(windows, window_of, starts)
        joint = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
        self._view, self._returns, self._marks, self._start_held, self._start_left = (
            self._tensor(joint[name]) for name in ("view", "returns", "marks", "held", "left")
        )
        self._origin, self._joined, self._leaving = (
            torch.from_numpy(joint[name]).to(self.device) for name in ("origin", "joined", "leaving")
        )
        self._changes = bool(joint["joined"].any() or (joint["origin"] != np.arange(N_ASSETS - 1)).any())
        self.start(torch.zeros((self.n_learners, n_portfolios), device=self.device, dtype=torch.int64))

    def _start_distribution(
        self, windows: Sequence[Window], window_of: Sequence[int], starts: Sequence[int]
    ) -> torch.Tensor | None:
        """Return where each learner's episodes start, shape (L, starts); None for equally often."""
        if all(window.start_weights is None for window in windows):
            return None
        rows = np.ones((len(windows), max(starts)))
        for row, window, count in zip(rows, windows, starts, strict=True):
            weights = np.ones(count) if window.start_weights is None else window.start_weights
            row[:count] = cumulative_starts(weights, count)
        return torch.from_numpy(rows[list(window_of)]).to(self.device)

    def _tensor(self, values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self.device, self.dtype)

    def start(self, rows: torch.Tensor) -> None:
        """Put all portfolios at the start of an episode in the weeks ``rows``, shape (L, N)."""
        self._move_to(rows)
        self.held, self.left = self._of_week(self._start_held), self._of_week(self._start_left)
        self.seen = torch.cat([self.held[..., :-1], self.held[..., -1:] + self.left[..., None]], -1)

    def start_spread(self, uniform: torch.Tensor) -> None:
        """Start episodes spread over the weeks, each moved by ``uniform`` in [0, 1), shape (L, N).

        Evenly, or as the weights of the windows say.
        """
        # In float32 the last stratum could round up to a week too many.
        spread = (torch.arange(self.n_portfolios, device=self.device) + uniform.double()) / self.n_portfolios
        if self._cumulative is not None:
            self.start(torch.searchsorted(self._cumulative, spread, right=True))
        else:
            self.start((spread * self._n_starts[:, None]).long())

    def observe(self) -> torch.Tensor:
        """Return what the agents see, shape (L, N, 16, 10)."""
        view = self._of_week(self._view)
        view[..., N_FEATURES] = self.seen * (N_ASSETS - 1) - 1.0
        return view

    def weights(self, tilts: torch.Tensor) -> torch.Tensor:
        """Return admissible weights of tilts from equal weight, both of shape (L, N, 16)."""
        return project_tensor(self.anchor + tilts, self.costs)

    def returns(self) -> torch.Tensor:
        """Return the simple returns of the week decided next, shape (L, N, 15)."""
        return self._paid

    def step(self, targets: torch.Tensor) -> Settlement:
        """Live through one week and move on to the next.

        Parameters
        ----------
        targets : Tensor, shape (L, N, 16)
            Admissible weights, as `weights` gives.

        Returns
        -------
        Settlement
            Of shape (L, N), with the gradient of ``targets`` and of the weeks before.
        """
        week = settle_batch(targets, self.held, self.left, self._paid, self.costs)
        seen = drift(targets, self._of_week(self._marks))
        self._move_to(self.rows + 1)
        self.held, self.left, self.seen = week.held_after, torch.zeros_like(self.left), seen
        if self._changes:
            self.held, self.left = self._follow(week.held_after)
            seen, left = self._follow(seen)
            self.seen = torch.cat([seen[..., :-1], seen[..., -1:] + left[..., None]], -1)
        return week

    def _move_to(self, rows: torch.Tensor) -> None:
        self.rows, self._at = rows, (self._first_rows + rows).flatten()
        self._paid = self._of_week(self._returns)

    def _of_week(self, table: torch.Tensor) -> torch.Tensor:
        """Return each portfolio's row of a table, shape (L, N, ...)."""
        return table.index_select(0, self._at).view(*self.rows.shape, *table.shape[1:])

    def _follow(self, weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Move weights from the slots of the week before to those of ``rows``; also what leaves."""
        stocks = weights[..., :-1]
        moved = stocks.gather(-1, self._of_week(self._origin)).masked_fill(self._of_week(self._joined), 0.0)
        left = stocks.masked_fill(~self._of_week(self._leaving), 0.0).sum(-1)
        return torch.cat([moved, weights[..., -1:]], -1), left


def _tables(window: Window, costs: CostConfig, length: int) -> dict[str, np.ndarray]:
    """Return a window's arrays as `PortfolioBatch` holds them, padded to ``length`` weeks by the last one."""
    batch = PortfolioBatch(window.states, window.scaler, costs, 1, window.starting)
    count = len(window.states)
    observations = batch.features_of(np.arange(count + 1))
    tables = {
        "view": agent_view(observations).reshape(count + 1, N_ASSETS, AGENT_INPUTS),
        "returns": window.states.returns,
        "marks": window.states.marks,
        **batch.slots(),
    }
    return {name: _pad(table, length) for name, table in tables.items()}


def _pad(table: np.ndarray, length: int) -> np.ndarray:
    return np.concatenate([table, np.repeat(table[-1:], length - len(table), axis=0)])
