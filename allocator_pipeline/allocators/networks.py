"""L small networks of one shape, stacked: one matrix product serves them all, in training and in serving."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch

from allocator_pipeline.portfolio.scaler import N_FEATURES

Parameters = dict[str, torch.Tensor]
"""``weight.i`` of shape (L, in, out) and ``bias.i`` of shape (L, 1, out), layer by layer."""

ACTIVATIONS = {"tanh": torch.tanh, "relu": torch.relu}

_TINY = 1e-12  # what is 0 already stays 0


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


@torch.no_grad()
def drop_features(weight: torch.Tensor, threshold: float) -> None:
    """Take one proximal step of the group lasso on what a first layer reads of signals and forecast, in place.

    Yuan & Lin (2006), Model selection and estimation in regression with grouped variables, JRSS B 68: the weights of
    an input lose ``threshold`` of their joint norm and are 0 below it. Called after each step of Adam, which divides
    gradients by their noise, with the learning rate times a penalty: an input stays where the gradient's signal exceeds
    the penalty's share of its noise. What the agents hold, and the flag of CASH, are never dropped.

    Parameters
    ----------
    weight : Tensor, shape (..., in, hidden)
        The first `N_FEATURES` inputs are signals and forecast.
    threshold : float
        0 changes nothing.
    """
    if threshold:
        read = weight[..., :N_FEATURES, :]
        norm = read.square().sum(-1, keepdim=True).sqrt()
        read.mul_((1.0 - threshold / (norm + _TINY)).clamp(min=0.0))


def dropping_features(optimizer: torch.optim.Optimizer, weight: torch.Tensor, penalty: float) -> None:
    """Let `drop_features` follow each step of a torch optimiser; ``weight`` is a linear layer's, (hidden, in)."""
    if penalty:
        optimizer.register_step_post_hook(
            lambda stepped, *_: drop_features(weight.T, stepped.param_groups[0]["lr"] * penalty)
        )
