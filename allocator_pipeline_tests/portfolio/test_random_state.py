from __future__ import annotations

import numpy as np
import pytest

from allocator_pipeline.errors import CorruptArtifactError
from allocator_pipeline.portfolio.random_state import generator_state, load_generator


def test_goes_on_where_it_stood() -> None:
    first, second = np.random.default_rng(1), np.random.default_rng(2)
    first.integers(0, 10, size=3, dtype=np.int32)  # half a draw is kept for the next
    load_generator(second, generator_state(first))
    np.testing.assert_array_equal(first.integers(0, 10, 9, dtype=np.int32), second.integers(0, 10, 9, dtype=np.int32))
    np.testing.assert_array_equal(first.random(9), second.random(9))


@pytest.mark.parametrize("state", [b"", b"{}", b'{"bit_generator": "MT19937"}', b'{"bit_generator": "PCG64"}'])
def test_refuses_what_is_no_state_and_stays(state: bytes) -> None:
    generator = np.random.default_rng(1)
    with pytest.raises(CorruptArtifactError):
        load_generator(generator, np.frombuffer(state, dtype=np.uint8))
    assert generator.random() == np.random.default_rng(1).random()
