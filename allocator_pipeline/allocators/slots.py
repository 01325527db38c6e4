"""Which slot a symbol takes for a network that knows slots, not symbols.

A symbol that the network knows keeps the slot it was trained in; one that has joined takes a slot that a leaver freed,
in the order of the universe.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from allocator_pipeline.portfolio.state import Observation, StateTensors


def slot_order(known: Sequence[str] | np.ndarray, symbols: Sequence[str] | np.ndarray) -> np.ndarray:
    """Return for each slot of the network where the universe has the symbol that takes it.

    Parameters
    ----------
    known : sequence of str, length 15
        Symbols by slot as the network was trained.
    symbols : sequence of str, length 15
        Symbols of the universe, in its own order.

    Returns
    -------
    ndarray of int, shape (15,)
        ``symbols[slot_order(known, symbols)]`` is the universe in the network's slots.
    """
    place = {str(symbol): index for index, symbol in enumerate(symbols)}
    here = {str(symbol) for symbol in known}
    joiners = iter([index for symbol, index in place.items() if symbol not in here])
    return np.array([place[str(symbol)] if str(symbol) in place else next(joiners) for symbol in known], dtype=np.int64)


def reorder(observation: Observation, order: np.ndarray) -> Observation:
    """Return an observation with its slots in another order."""
    return Observation(
        observation.week,
        observation.symbols[order],
        observation.features[..., order, :],
        observation.missing[..., order, :],
        observation.weights[..., np.append(order, len(order))],
    )


def follow_slots(states: StateTensors, known: Sequence[str] | np.ndarray) -> StateTensors:
    """Return the weeks with each symbol in the slot of a network trained on ``known``, week after week."""
    orders = []
    for symbols in states.symbols:
        orders.append(slot_order(known, symbols))
        known = symbols[orders[-1]]
    index = np.array(orders)
    rows = np.arange(len(states))[:, None]
    arrays = {item.name: getattr(states, item.name) for item in dataclasses.fields(states) if item.name != "weeks"}
    return StateTensors(weeks=states.weeks, **{name: values[rows, index] for name, values in arrays.items()})
