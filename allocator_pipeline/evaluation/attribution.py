"""Integrated gradients (Sundararajan, Taly and Yan 2017) of a policy's distance from equal weight, by `captum`.

The path runs from stocks that all look alike to what was seen; scaler, networks and constraint map are the policy's own
(`TiltEnsemble.weights_of`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from allocator_pipeline.evaluation.response import FEATURES
from allocator_pipeline.portfolio.constraints import equal_weights
from allocator_pipeline.portfolio.scaler import N_FEATURES
from allocator_pipeline.portfolio.state import Observation

if TYPE_CHECKING:
    import torch

    from allocator_pipeline.allocators.policy import Policy

STEPS = 32
"""Points of the Gauss-Legendre rule along the path."""


def integrated_gradients(policy: Policy, seen: Observation, steps: int = STEPS) -> dict[str, Any] | None:
    """Divide a policy's distance from equal weight among features and stocks.

    Parameters
    ----------
    policy : Policy
        Of the stacked learners. All of its tilt is looked at, whatever share is served.
    seen : Observation
        Of N portfolios; what they hold stays as it is along the path.
    steps : int

    Returns
    -------
    dict or None
        ``features`` (name -> part) and ``stocks`` (symbol -> part), each adding up to ``active_share`` less
        ``unexplained``: means over the observations of the one-way distance ``0.5 * sum |w - e|`` from equal weight, a
        fraction of wealth, and of what is there already while all stocks look alike (for what is held differs), with
        the error of the integral. A part is negative where it draws the weights back. None for a network that was not
        trained by the stacked learners.
    """
    import torch
    from captum.attr import IntegratedGradients

    from allocator_pipeline.allocators.ensemble import TiltEnsemble

    if not isinstance(policy.network, TiltEnsemble):
        return None

    network, costs = policy.network, policy.costs
    equal = torch.from_numpy(equal_weights(costs)).float()
    view = torch.from_numpy(policy.inputs(seen))

    def distance(features: torch.Tensor, rest: torch.Tensor, side: torch.Tensor) -> torch.Tensor:
        cash = torch.zeros_like(features[:, :1])  # no feature speaks of cash
        inputs = torch.cat([torch.cat([features, cash], dim=1), rest], dim=-1)
        return 0.5 * (side * (network.weights_of(inputs, costs) - equal)).sum(dim=-1)

    features, rest = view[:, :-1, :N_FEATURES].contiguous(), view[..., N_FEATURES:].contiguous()
    with torch.no_grad():
        side = torch.sign(network.weights_of(view, costs) - equal)
        active = distance(features, rest, side).double().mean()
    parts = IntegratedGradients(distance, multiply_by_inputs=True).attribute(
        features, torch.zeros_like(features), additional_forward_args=(rest, side), n_steps=steps
    )
    mean = parts.detach().double().numpy().mean(axis=0)
    return {
        "features": dict(zip(FEATURES, mean.sum(axis=0).tolist(), strict=True)),
        "stocks": dict(zip(np.asarray(seen.symbols).tolist(), mean.sum(axis=1).tolist(), strict=True)),
        "active_share": float(active),
        "unexplained": float(active) - float(mean.sum()),
    }
