"""How often an episode starts in each week."""

from __future__ import annotations

import numpy as np

from allocator_pipeline.errors import ConfigurationError


def cumulative_starts(weights: np.ndarray, count: int) -> np.ndarray:
    """Return the distribution function of the first rows of episodes.

    A number u in [0, 1) starts at the first row whose value exceeds it.

    Parameters
    ----------
    weights : ndarray, shape (count,)
        How often an episode starts in each row, relative to the others.
    count : int
        Rows in which an episode can start.

    Returns
    -------
    ndarray of float64, shape (count,)
        Increasing, ending in 1.

    Raises
    ------
    ConfigurationError
        If there is another number of weights, or they are not all finite and positive.
    """
    weights = np.asarray(weights, dtype=np.float64)
    if weights.shape != (count,) or not np.isfinite(weights).all() or not (weights > 0).all():
        raise ConfigurationError(
            f"Weights of shape {weights.shape} cannot say where episodes start.",
            todo=f"give {count} positive numbers, one for each week an episode can start in.",
        )
    total = np.cumsum(weights)
    found = total / total[-1]
    found[-1] = 1.0
    return found
