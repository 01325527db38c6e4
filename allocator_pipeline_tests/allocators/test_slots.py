from __future__ import annotations

import dataclasses

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from allocator_pipeline.allocators.slots import follow_slots, reorder, slot_order
from allocator_pipeline.config import N_STOCKS
from allocator_pipeline.studies.planted import planted_states

NAMES = [f"N{number:02d}" for number in range(2 * N_STOCKS)]
FIFTEEN = st.permutations(NAMES).map(lambda names: names[:N_STOCKS])


@given(FIFTEEN, FIFTEEN)
def test_every_symbol_takes_one_slot_and_known_ones_keep_theirs(known: list[str], symbols: list[str]) -> None:
    order = slot_order(known, symbols)
    assert sorted(order) == list(range(N_STOCKS))
    placed = np.array(symbols)[order]
    assert all(placed[slot] == symbol for slot, symbol in enumerate(known) if symbol in symbols)
    joined = [symbol for slot, symbol in enumerate(placed) if known[slot] not in symbols]
    assert joined == [symbol for symbol in symbols if symbol not in known]  # in the universe's order


def test_reordering_moves_everything_that_belongs_to_a_symbol() -> None:
    states = planted_states(1, 3, 0.1)
    weights = np.append(np.arange(1.0, 16.0), 16.0)
    observation = states.observation(1, weights)
    moved = reorder(observation, np.arange(N_STOCKS)[::-1])
    assert moved.symbols[0] == observation.symbols[-1]
    np.testing.assert_array_equal(moved.features[0], observation.features[-1])
    np.testing.assert_array_equal(moved.weights, [*range(15, 0, -1), 16.0])


def test_weeks_follow_the_network_through_a_change() -> None:
    states = planted_states(1, 4, 0.1)
    symbols = states.symbols.copy()
    symbols[2:, 5] = "NEW"
    symbols[2:, [0, 1]] = symbols[2:, [1, 0]]
    changed = dataclasses.replace(states, symbols=symbols)
    followed = follow_slots(changed, states.symbols[0])
    assert followed.symbols[3, 0] == states.symbols[0, 0]
    assert followed.symbols[3, 5] == "NEW"
    np.testing.assert_array_equal(followed.returns[3, 0], changed.returns[3, 1])
    np.testing.assert_array_equal(followed.returns[:2], changed.returns[:2])
