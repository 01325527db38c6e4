"""L small networks of one shape, stacked: one matrix product serves them all, in training and in serving."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch

Parameters = dict[str, torch.Tensor]
"""``weight.i`` of shape (L, in, out) and ``bias.i`` of shape (L, 1, out), layer by layer."""

ACTIVATIONS = {"tanh": torch.tanh, "relu": torch.relu}


def empty(sizes: Sequence[int], count: int) -> Parameters:
    """Return parameters of zeros for ``count`` networks with these inputs, hidden units and outputs."""
    parameters: Parameters = {}
    for i, (inputs, outputs) in enumerate(pairwise(sizes)):
        parameters[f"weight.{i}"] = torch.zeros(count, inputs, outputs)
        parameters[f"bias.{i}"] = torch.zeros(count, 1, outputs)
    return parameters


def forward(parameters: Mapping[str, torch.Tensor], inputs: torch.Tensor, activation: str) -> torch.Tensor:
    """Apply the networks.

    Parameters
    ----------
    parameters : Parameters
    inputs : Tensor, shape (L, rows, in)
    activation : {"tanh", "relu"}
        Between the layers; the last one is linear.

    Returns
    -------
    Tensor, shape (L, rows, out)
    """
    layers = len(parameters) // 2
    values = inputs
    for i in range(layers):
        values = torch.baddbmm(parameters[f"bias.{i}"], values, parameters[f"weight.{i}"])
        if i < layers - 1:
            values = ACTIVATIONS[activation](values)
    return values
