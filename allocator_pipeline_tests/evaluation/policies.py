"""Small policies with made-up networks for the market of conftest, and an allocator's summary of them."""

from __future__ import annotations

from typing import Any

import torch

from allocator_pipeline.allocators.baselines import EqualWeight
from allocator_pipeline.allocators.policy import Policy, Shrinkage, network_of
from allocator_pipeline.allocators.recipes import recipe
from allocator_pipeline.config import CostConfig
from allocator_pipeline.evaluation.allocator_summary import allocator_summary
from allocator_pipeline.portfolio.scaler import StateScaler
from allocator_pipeline.portfolio.state import StateTensors
from allocator_pipeline_tests.evaluation.conftest import CONTEXT, VERSIONS, Tilted

COSTS = CostConfig()


def made_up(states: StateTensors, seed: int, share: float = 0.5, key: tuple[str, str] = ("ppo", "default")) -> Policy:
    """Return a policy of random numbers, far enough from zero that it tilts."""
    torch.manual_seed(seed)
    chosen = recipe(*key)
    network = network_of(chosen)
    generator = torch.Generator().manual_seed(seed)
    for values in network.state_dict().values():
        values.copy_(torch.randn(values.shape, generator=generator) * 0.3)
    symbols = tuple(states.symbols[-1].tolist())
    return Policy(chosen, COSTS, StateScaler.fit(states), symbols, network, Shrinkage(share, 1.0, 100))


def summary_of(states: StateTensors, seed: int = 0, share: float = 0.5, **changes: Any) -> dict[str, Any]:
    """Return the summary of made-up policies over the years of conftest, with some inputs changed."""
    inputs: dict[str, Any] = {
        "allocator": "ppo_lstm",
        "policies": {y: (version, made_up(states, 10 * seed + y, share)) for y, version in VERSIONS.items()},
        "states": states,
        "baselines": {"equal_weight": EqualWeight(COSTS), "hrp": Tilted((0, 2, 4, 6, 8, 10))},
        "costs": COSTS,
        "context": CONTEXT,
        "placebos": 3,
    }
    return allocator_summary(**(inputs | changes))
