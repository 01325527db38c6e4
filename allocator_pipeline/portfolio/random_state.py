"""The state of numpy's generators as an array, so that it can be stored beside other arrays; no pickle."""

from __future__ import annotations

import json

import numpy as np

from allocator_pipeline.atomic import canonical_json
from allocator_pipeline.errors import CorruptArtifactError


def json_array(value: object) -> np.ndarray:
    """Return a JSON value as bytes in an array, uint8."""
    return np.frombuffer(canonical_json(value), dtype=np.uint8).copy()


def generator_state(generator: np.random.Generator) -> np.ndarray:
    """Return where a generator stands, uint8."""
    return json_array(generator.bit_generator.state)


def load_generator(generator: np.random.Generator, state: np.ndarray) -> None:
    """Put a generator where `generator_state` found one.

    Raises
    ------
    CorruptArtifactError
        If it is the state of another kind of generator, or of none; the generator is unchanged then.
    """
    before = generator.bit_generator.state
    try:
        generator.bit_generator.state = json.loads(state.tobytes())
    except (ValueError, TypeError, KeyError) as error:
        generator.bit_generator.state = before
        raise CorruptArtifactError(
            f"The state of a random generator cannot be used: {error!r}.", todo="train from the start."
        ) from error
