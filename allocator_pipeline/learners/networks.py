"""Starting, differentiating and optimising L small networks of one shape: one matrix product serves them all."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch.autograd.function import once_differentiable

from allocator_pipeline.allocators.networks import Parameters
from allocator_pipeline.errors import CorruptArtifactError

__all__ = [
    "Parameters",
    "StackedAdam",
    "exp",
    "forward",
    "generators",
    "initial",
    "load_random_state",
    "normal",
    "permutations",
    "random_state",
    "uniform",
]

VECTOR = 64
"""Numbers that fill the vectors of any processor, unrolled loops included."""


def generators(seeds: Sequence[int], device: torch.device) -> list[torch.Generator]:
    """Return one source of random numbers for each learner, so that none depends on what trains beside it."""
    return [torch.Generator(device).manual_seed(seed) for seed in seeds]


def normal(sources: Sequence[torch.Generator], shape: Sequence[int]) -> torch.Tensor:
    """Draw standard normal numbers, shape (L, *shape)."""
    return torch.stack([torch.randn(*shape, generator=source, device=source.device) for source in sources])


def uniform(sources: Sequence[torch.Generator], shape: Sequence[int]) -> torch.Tensor:
    """Draw numbers from [0, 1), shape (L, *shape)."""
    return torch.stack([torch.rand(*shape, generator=source, device=source.device) for source in sources])


def permutations(sources: Sequence[torch.Generator], count: int) -> torch.Tensor:
    """Draw an order of ``count`` things for each learner, int64, shape (L, count)."""
    return torch.stack([torch.randperm(count, generator=source, device=source.device) for source in sources])


def random_state(sources: Sequence[torch.Generator]) -> torch.Tensor:
    """Return where the sources stand, uint8, shape (L, bytes), on the host."""
    return torch.stack([source.get_state() for source in sources])


def load_random_state(sources: Sequence[torch.Generator], state: torch.Tensor) -> None:
    """Put the sources where `random_state` found them.

    Raises
    ------
    CorruptArtifactError
        If it is not the state of so many sources of this kind.
    """
    now = random_state(sources)
    if state.shape != now.shape or state.dtype != now.dtype:
        raise CorruptArtifactError(
            f"The state of the random numbers is {state.dtype} {tuple(state.shape)}, "
            f"not {now.dtype} {tuple(now.shape)}.",
            todo="continue on the kind of device that training began on, or train from the start.",
        )
    for source, row in zip(sources, state.cpu(), strict=True):
        source.set_state(row.clone())  # torch 2.13 crashes on a view, such as a row


def initial(
    sizes: Sequence[int], sources: Sequence[torch.Generator], *, last_gain: float, orthogonal: bool
) -> Parameters:
    """Return new parameters.

    Parameters
    ----------
    sizes : sequence of int
        Inputs, hidden units, outputs.
    sources : sequence of Generator, length L
    last_gain : float
        Scale of the last layer where ``orthogonal``.
    orthogonal : bool
        Orthogonal weights with gain sqrt(2) and no bias, as stable-baselines3's PPO starts; else uniform ones within
        1 / sqrt(inputs), as torch's linear layers do.
    """
    parameters: Parameters = {}
    for i, (inputs, outputs) in enumerate(pairwise(sizes)):
        if orthogonal:
            gain = last_gain if i == len(sizes) - 2 else math.sqrt(2.0)
            weight = torch.stack([_orthogonal(inputs, outputs, source) for source in sources]) * gain
            bias = torch.zeros(len(sources), 1, outputs, device=weight.device)
        else:
            bound = 1.0 / math.sqrt(inputs)
            weight = (2.0 * uniform(sources, (inputs, outputs)) - 1.0) * bound
            bias = (2.0 * uniform(sources, (1, outputs)) - 1.0) * bound
        parameters[f"weight.{i}"], parameters[f"bias.{i}"] = weight, bias
    return parameters


def _orthogonal(inputs: int, outputs: int, source: torch.Generator) -> torch.Tensor:
    tall, narrow = max(inputs, outputs), min(inputs, outputs)
    drawn = torch.randn(tall, narrow, generator=source, device=source.device)
    q, r = torch.linalg.qr(drawn)
    q = q * torch.sign(torch.diagonal(r))
    return q if inputs >= outputs else q.T


def forward(parameters: Mapping[str, torch.Tensor], inputs: torch.Tensor, activation: str) -> torch.Tensor:
    """Apply the networks, differentiably: `allocators.networks.forward`, several times as fast.

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
    layers = range(len(parameters) // 2)
    flat = [parameters[f"{kind}.{i}"] for i in layers for kind in ("weight", "bias")]
    output: torch.Tensor = _Network.apply(inputs, activation, *flat)
    return output


class _Network(torch.autograd.Function):
    """The derivative of the networks by hand: memory is written once, in the layout that the next product reads."""

    @staticmethod
    def forward(ctx: Any, inputs: torch.Tensor, activation: str, *flat: torch.Tensor) -> torch.Tensor:
        weights, biases = flat[::2], flat[1::2]
        values = [inputs]
        for i, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            values.append(_affine(bias, values[-1], weight))
            if i < len(weights) - 1:
                _activate(values[-1], activation)
        ctx.activation = activation
        ctx.save_for_backward(*values[:-1], *weights)
        return values[-1]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        layers = len(ctx.saved_tensors) // 2
        values, weights = ctx.saved_tensors[:layers], ctx.saved_tensors[layers:]
        found: list[torch.Tensor | None] = []
        for i in reversed(range(layers)):
            if ctx.needs_input_grad[2 + 2 * i]:
                found[:0] = _product(values[i], slope), slope.sum(1, keepdim=True)
            else:
                found[:0] = None, None
            if i == 0 and not ctx.needs_input_grad[0]:
                return None, None, *found
            slope = _back(slope, weights[i])
            if i > 0 and ctx.activation == "tanh":
                torch.ops.aten.tanh_backward(slope, values[i], grad_input=slope)
            elif i > 0:
                torch.ops.aten.threshold_backward(slope, values[i], 0.0, grad_input=slope)
        return slope, None, *found


def exp(column: torch.Tensor) -> torch.Tensor:
    """Return the exponential of one number for each learner, shape (L, 1), in whole vectors, as `StackedAdam` works."""
    return torch.exp(column.expand(-1, VECTOR).contiguous())[:, :1]


def _affine(bias: torch.Tensor, values: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return ``bias + values weight`` of each learner."""
    if weight.shape[-1] > 1:
        return torch.baddbmm(bias, values, weight)
    return torch.baddbmm(bias, _four_rows(weight), values.transpose(1, 2))[:, :1].transpose(1, 2)


def _product(values: torch.Tensor, slope: torch.Tensor) -> torch.Tensor:
    """Return ``values^T slope`` of each learner."""
    if slope.shape[-1] > 1:
        return torch.bmm(values.transpose(1, 2), slope)
    return torch.bmm(_four_rows(slope), values)[:, :1].transpose(1, 2)


def _back(slope: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return ``slope weight^T`` of each learner, contiguous; of one column it is no matrix product at all."""
    if slope.shape[-1] > 1:
        return torch.bmm(slope, weight.transpose(1, 2))
    back = torch.empty((*slope.shape[:2], weight.shape[1]), dtype=slope.dtype, device=slope.device)
    return torch.mul(slope, weight.transpose(1, 2), out=back)


def _four_rows(column: torch.Tensor) -> torch.Tensor:
    """Return a column of each learner, shape (L, n, 1), as four equal rows, shape (L, 4, n).

    The product of a matrix and one column goes to a routine that is slow for many learners, and to another one that
    rounds otherwise for a single one: a learner's bits would depend on whether others train beside it.
    """
    return column.transpose(1, 2).expand(-1, 4, -1).contiguous()


def _activate(values: torch.Tensor, activation: str) -> None:
    """Apply the activation in place. Torch's sigmoid is ten times as fast as its tanh on a CPU, and as exact here."""
    if activation == "relu":
        values.relu_()
    elif values.device.type == "cpu":
        values.mul_(2.0).sigmoid_().mul_(2.0).sub_(1.0)
    else:
        values.tanh_()


class StackedAdam:
    """Adam for stacked parameters, with the gradient of each learner clipped by itself.

    Kingma & Ba (2015), Adam: A Method for Stochastic Optimization, arXiv:1412.6980. It works on one row of all numbers
    for each learner, in whole vectors of the processor: what is left over after these is rounded otherwise, and would
    let a learner's bits depend on how many there are.

    Parameters
    ----------
    parameters : sequence of Tensor
        Each with learners on its first axis; changed in place.
    eps, weight_decay : float
        As in `torch.optim.Adam`.
    max_norm : float, optional
        Greatest norm of one learner's gradient; not clipped if absent.
    """

    def __init__(
        self,
        parameters: Sequence[torch.Tensor],
        *,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        max_norm: float | None = None,
    ) -> None:
        self.parameters = [parameter.requires_grad_() for parameter in parameters]
        self.max_norm = max_norm
        self._sizes = [parameter[0].numel() for parameter in parameters]
        first = self.parameters[0].detach()
        self._padding = first.new_zeros(len(first), -sum(self._sizes) % VECTOR)
        self._all = self._joined(self.parameters)
        self._adam = torch.optim.Adam([self._all], lr=0.0, eps=eps, weight_decay=weight_decay, fused=True)
        self._adam.state[self._all] = {
            "step": first.new_zeros((), dtype=torch.float32),
            "exp_avg": torch.zeros_like(self._all),
            "exp_avg_sq": torch.zeros_like(self._all),
        }

    def _joined(self, tensors: Sequence[torch.Tensor]) -> torch.Tensor:
        return torch.cat([*(tensor.detach().flatten(1) for tensor in tensors), self._padding], 1)

    def _parts(self) -> list[torch.Tensor]:
        return list(self._all.split([*self._sizes, self._padding.shape[1]], 1))[:-1]

    def step(self, loss: torch.Tensor, learning_rate: float) -> None:
        """Descend along the gradient of ``loss``, a sum over learners."""
        slope = self._joined(torch.autograd.grad(loss, self.parameters))
        if self.max_norm is not None:
            norm = slope.square().sum(1, keepdim=True).sqrt()
            slope.mul_((self.max_norm / (norm + 1e-6)).clamp(max=1.0))
        self._all.copy_(self._joined(self.parameters))  # others may have filled them
        self._all.grad = slope
        self._adam.param_groups[0]["lr"] = learning_rate
        self._adam.step()
        with torch.no_grad():
            for parameter, part in zip(self.parameters, self._parts(), strict=True):
                parameter.copy_(part.view(parameter.shape))

    def state(self) -> dict[str, torch.Tensor]:
        """Return step count and moment estimates, shape (L, numbers), by ``0.name``: the optimiser's own, no copies."""
        return {f"0.{name}": tensor for name, tensor in self._adam.state[self._all].items()}
