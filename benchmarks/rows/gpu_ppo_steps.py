"""PPO on a GPU, end to end: rollouts and updates resident on it. Skipped where there is none."""

from __future__ import annotations

from typing import cast

import torch

from allocator_pipeline.allocators.recipes import PPORecipe, recipe
from allocator_pipeline.training.stacked import Part
from benchmarks import device
from benchmarks.market import random_states
from benchmarks.row import Row, Skipped
from benchmarks.rows.ppo_throughput import wide
from benchmarks.training import describe, stack, train

PORTFOLIOS = 16_384


def row(where: str = device.DEVICE, portfolios: int = PORTFOLIOS, repeats: int = 5) -> Row | Skipped:
    if where == device.DEVICE and device.absent():
        return device.NO_DEVICE
    weeks, base = random_states(), cast(PPORecipe, recipe("ppo", "default"))
    ppo = wide(base, portfolios)

    def ours() -> float:
        return ppo.total_steps / device.seconds(lambda: train(stack(ppo, [Part(weeks, 1)], where)), where)

    def breakdown() -> dict[str, float]:
        default = stack(base, [Part(weeks, 256)], where)
        taken = device.seconds(lambda: train(default), where)
        return {"steps per second of 256 networks with `default`": default.steps * 256 / taken}

    return Row(
        recipe=f"{describe(ppo)}, one network, from market to last update",
        unit="environment steps per second",
        ours=ours,
        breakdown=breakdown if where == device.DEVICE else None,
        repeats=repeats,
        facts=lambda: {"device": device.name(where), "memory, GiB": _peak(where)},
    )


def _peak(where: str) -> float | None:
    return torch.cuda.max_memory_allocated() / 2**30 if where == device.DEVICE else None
