"""Tensors to bytes and back through safetensors, and nothing else: no format that can carry code is ever read.

`PPO.load` and `SAC.load` of stable-baselines3 and `torch.load` unpickle, which runs what the file says. Here a network
is built from our own configuration first; the file only fills in numbers whose names, shapes and kinds are known.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

import torch
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors

from allocator_pipeline.errors import CorruptArtifactError

MAX_BYTES = 16 * 2**20
"""Largest file read; the largest policy of the recipes is under 1 MiB."""

MAX_HEADER_BYTES = 2**20


def tensors_to_bytes(tensors: Mapping[str, torch.Tensor]) -> bytes:
    """Serialise tensors by name; equal tensors give equal bytes."""
    return save_safetensors({name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()})


def tensors_from_bytes(payload: bytes, source: str) -> dict[str, torch.Tensor]:
    """Read back what `tensors_to_bytes` wrote.

    Parameters
    ----------
    payload : bytes
        A safetensors file.
    source : str
        Its name, for the message.

    Raises
    ------
    CorruptArtifactError
        If it is anything else, is too large, or holds a number that is not finite.
    """
    try:
        if not 8 <= len(payload) <= MAX_BYTES:
            raise ValueError(f"it has {len(payload)} bytes")
        header = struct.unpack("<Q", payload[:8])[0]
        if header > min(MAX_HEADER_BYTES, len(payload) - 8):
            raise ValueError(f"its header claims {header} bytes")
        tensors = load_safetensors(payload)
    except Exception as error:  # safetensors raises its own types for every kind of damage
        raise _corrupt(source, f"is not a safetensors file: {error}") from error
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise _corrupt(source, f"holds a number that is not finite in {name!r}")
    return tensors


def fill(target: Mapping[str, torch.Tensor], tensors: Mapping[str, torch.Tensor], source: str) -> None:
    """Copy tensors into equally named tensors in place, so that whatever refers to them (an optimiser) still does.

    Raises
    ------
    CorruptArtifactError
        If a name is absent or unknown, or a shape or kind differs; nothing was copied then.
    """
    if set(target) != set(tensors):
        raise _corrupt(source, f"has other tensors than its recipe: {sorted(set(target) ^ set(tensors))[:4]}")
    for name, tensor in tensors.items():
        if tensor.shape != target[name].shape or tensor.dtype != target[name].dtype:
            raise _corrupt(
                source,
                f"holds {name!r} as {tensor.dtype} {tuple(tensor.shape)}, "
                f"not {target[name].dtype} {tuple(target[name].shape)}",
            )
    with torch.no_grad():
        for name, tensor in tensors.items():
            target[name].copy_(tensor)


def adam_tensors(optimizer: torch.optim.Optimizer, prefix: str) -> dict[str, torch.Tensor]:
    """Return Adam's step counts and moment estimates by ``prefix.index.name``.

    An optimiser that has not stepped yet has none; its zeros are made here, so that the names never differ.
    """
    tensors: dict[str, torch.Tensor] = {}
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for index, parameter in enumerate(parameters):
        state = optimizer.state[parameter]
        if not state:
            state["step"] = torch.zeros(())
            state["exp_avg"] = torch.zeros_like(parameter, requires_grad=False)
            state["exp_avg_sq"] = torch.zeros_like(parameter, requires_grad=False)
        tensors.update({f"{prefix}.{index}.{name}": state[name] for name in ("step", "exp_avg", "exp_avg_sq")})
    return tensors


def _corrupt(source: str, problem: str) -> CorruptArtifactError:
    return CorruptArtifactError(
        f"{source} {problem}.", todo="restore the artefact from a copy, or train the policy again.", source=source
    )
