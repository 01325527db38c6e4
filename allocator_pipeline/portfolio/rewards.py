"""What a week pays: the wealth multiplier after costs, and its scaled logarithm as reward."""

from __future__ import annotations

import numpy as np

from allocator_pipeline.config import CostConfig


def wealth_multiplier(gross_return: np.ndarray | float, cost: np.ndarray | float) -> np.ndarray | float:
    """Return ``(1 - cost) * (1 + gross_return)``: the cost is paid from wealth before the week's return is earned."""
    return (1.0 - cost) * (1.0 + gross_return)


def reward(multiplier: np.ndarray | float, costs: CostConfig) -> np.ndarray | float:
    """Return ``reward_scale * log(multiplier)``: 1 % of log growth is a reward of 1 at the default scale of 100."""
    return costs.reward_scale * np.log(multiplier)
