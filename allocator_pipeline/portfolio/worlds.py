"""One allocator's walk through several worlds side by side: the same weeks and returns, other things to see.

What a week pays is settled by `batch.PortfolioBatch`, hence by `rollout.settle_batch`; a walk through one world is that
of `rollout.simulate` up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from allocator_pipeline.config import CostConfig
from allocator_pipeline.errors import ConflictError, NotEnoughDataError, WeightsError
from allocator_pipeline.portfolio.batch import PortfolioBatch
from allocator_pipeline.portfolio.constraints import N_ASSETS, check_weights
from allocator_pipeline.portfolio.rollout import Rollout, as_holdings, drift
from allocator_pipeline.portfolio.scaler import N_FEATURES, StateScaler
from allocator_pipeline.portfolio.state import Observation, StateTensors

_UNSCALED = StateScaler(np.zeros(N_FEATURES), np.ones(N_FEATURES))
"""Allocators see unscaled features; the batch keeps accounts only."""

_NUMBERS = ("turnover", "cost", "gross", "net", "reward")


def simulate_worlds(
    decide: Callable[[Observation], np.ndarray], worlds: Sequence[StateTensors], costs: CostConfig
) -> list[Rollout]:
    """Let an allocator walk through each of N worlds, starting in cash, all of them in step.

    Parameters
    ----------
    decide : callable
        From an `Observation` of N portfolios to target weights of shape (N, 16); a `Policy.target_weights`.
    worlds : sequence of StateTensors
        They differ in signals, what is missing, and forecasts only.
    costs : CostConfig

    Returns
    -------
    list of Rollout
        In the order of the worlds.

    Raises
    ------
    ConflictError
        If the worlds differ in weeks, symbols, returns or marks.
    NotEnoughDataError
        If there is no world, no week, or a week's return or mark is not known yet.
    WeightsError
        If a decision breaks a constraint; it names the week.
    """
    _check_alike(worlds)
    states, size = worlds[0], len(worlds)
    batch = PortfolioBatch(states, _UNSCALED, costs, size)
    features = np.stack([world.features for world in worlds], axis=1)
    missing = np.stack([world.missing for world in worlds], axis=1)
    targets = np.empty((len(states), size, N_ASSETS))
    numbers = {name: np.empty((len(states), size)) for name in _NUMBERS}
    for t in range(len(states)):
        seen = Observation(states.weeks[t], states.symbols[t], features[t], missing[t], batch.seen)
        try:
            targets[t] = check_weights(decide(seen), costs)
        except WeightsError as error:
            raise WeightsError(error.problem, todo=error.todo, week=str(states.weeks[t])) from error
        week = batch.step(targets[t])
        for name, values in numbers.items():
            values[t] = getattr(week, name)
    observed = drift(targets[-1], states.marks[-1])
    return [
        Rollout(
            weeks=states.weeks,
            symbols=states.symbols,
            targets=targets[:, n],
            **{name: values[:, n] for name, values in numbers.items()},
            holdings_after=as_holdings(week.held_after[n], states.symbols[-1]),
            observed_after=as_holdings(observed[n], states.symbols[-1]),
        )
        for n in range(size)
    ]


def _check_alike(worlds: Sequence[StateTensors]) -> None:
    if not worlds:
        raise NotEnoughDataError("There is no world to walk through.", todo="pass the states of one or more.")
    first = worlds[0]
    for world in worlds[1:]:
        if not all(
            np.array_equal(getattr(world, name), getattr(first, name))
            for name in ("weeks", "symbols", "returns", "marks")
        ):
            raise ConflictError(
                "The worlds differ in weeks, symbols or in what the weeks paid.",
                todo="change only what is seen: signals, what is missing, or forecasts.",
            )
