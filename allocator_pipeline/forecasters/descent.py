"""Gradient descent on all weights of a network as two vectors, those that decay and those that do not.

AdamW (Loshchilov & Hutter 2019) on the one-cycle schedule of Smith & Topin (2018), with the gradient clipped by its
norm. Networks as small as ours have dozens of weights of a few numbers each: one by one, clipping and stepping would
cost as much as a layer.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


def parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Return the groups of an optimiser: decay pulls matrices to zero; biases, norms and positions are left alone."""
    free = [p for name, p in network.named_parameters() if p.ndim < 2 or name.endswith("position")]
    decayed = [p for name, p in network.named_parameters() if not (p.ndim < 2 or name.endswith("position"))]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": free, "weight_decay": 0.0}]


class Descent:
    """Moves the weights of a network, a step at a time, along gradients that may come in parts.

    Parameters
    ----------
    network : torch.nn.Module
        Its weights become views of two vectors.
    steps : int
        Steps of the whole schedule.
    learning_rate : float
        Peak of the schedule.
    weight_decay : float
        Decoupled, of the weights that decay.
    gradient_clip : float
        Largest norm of a gradient.
    """

    def __init__(
        self, network: nn.Module, steps: int, learning_rate: float, weight_decay: float, gradient_clip: float
    ) -> None:
        groups = parameter_groups(network, weight_decay)
        self._weights = [weight for group in groups for weight in group["params"]]
        self._vectors = [_as_one(group["params"]) for group in groups]
        self._gradient = torch.zeros(sum(len(vector) for vector in self._vectors))
        for vector, part in zip(
            self._vectors, self._gradient.split([len(vector) for vector in self._vectors]), strict=True
        ):
            vector.grad = part
        joined = [group | {"params": [vector]} for group, vector in zip(groups, self._vectors, strict=True)]
        self._clip = gradient_clip
        self._optimiser = torch.optim.AdamW(joined, lr=learning_rate, fused=True)
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(self._optimiser, learning_rate, total_steps=steps)

    def add(self, loss: torch.Tensor) -> None:
        """Add the gradient of a part of the step's loss."""
        parts = torch.autograd.grad(loss, self._weights)
        self._gradient += torch.cat([part.flatten() for part in parts])

    def step(self) -> None:
        """Move along the gradient that has been added up, and forget it."""
        norm = torch.linalg.vector_norm(self._gradient)
        self._gradient *= (self._clip / (norm + 1e-6)).clamp(max=1.0)  # torch's clip_grad_norm_, without its detours
        self._optimiser.step()
        self._schedule.step()
        self._gradient.zero_()


def _as_one(weights: list[nn.Parameter]) -> nn.Parameter:
    """Return weights as one vector, of which they are views from now on."""
    vector = torch.cat([weight.detach().flatten() for weight in weights])
    for weight, part in zip(weights, vector.split([weight.numel() for weight in weights]), strict=True):
        weight.data = part.view_as(weight)
    return nn.Parameter(vector)
