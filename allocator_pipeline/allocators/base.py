"""What every allocator is: something that turns an observation into target weights."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from allocator_pipeline.portfolio.state import Observation


class Allocator(Protocol):
    """A policy or a baseline; it sees nothing but the observation."""

    def target_weights(self, observation: Observation) -> np.ndarray:
        """Decide one week.

        Parameters
        ----------
        observation : Observation
            Unscaled features and the weights held; a policy applies its own scaler.

        Returns
        -------
        ndarray of float64, shape (16,)
            Target weights within the constraints, CASH last.
        """
        ...
