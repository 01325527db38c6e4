"""What a week pays: the wealth multiplier after costs, and its scaled logarithm as reward."""

from __future__ import annotations

from typing import Any

import numpy as np
from array_api_compat import array_namespace

from allocator_pipeline.config import CostConfig


def wealth_multiplier(gross_return: Any, cost: Any) -> Any:
    """Return ``(1 - cost) * (1 + gross_return)``: the cost is paid from wealth before the week's return is earned."""
    return (1.0 - cost) * (1.0 + gross_return)


def reward(multiplier: Any, costs: CostConfig) -> Any:
    """Return ``reward_scale * log(multiplier)``: 1 % of log growth is a reward of 1 at the default scale of 100."""
    xp = np if isinstance(multiplier, float) else array_namespace(multiplier)
    return costs.reward_scale * xp.log(multiplier)
