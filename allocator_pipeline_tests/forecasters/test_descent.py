from __future__ import annotations

import pytest
import torch
from torch import nn

from allocator_pipeline.forecasters.descent import Descent, parameter_groups

STEPS, RATE, DECAY = 7, 0.05, 0.1


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(5, 3)
        self.position = nn.Parameter(torch.randn(3, 2))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return (self.linear(inputs) @ self.position).sum(dim=-1)


def network() -> Small:
    torch.manual_seed(3)
    return Small()


def losses(of: Small) -> list[torch.Tensor]:
    inputs = torch.randn(12, 5, generator=torch.Generator().manual_seed(4))
    return [(of(part) - 2.0).square().sum() for part in inputs.split(4)]


def plain(clip: float) -> Small:
    """What torch's own parts do, weight by weight."""
    moved = network()
    optimiser = torch.optim.AdamW(parameter_groups(moved, DECAY), lr=RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=STEPS)
    for _ in range(STEPS):
        optimiser.zero_grad()
        sum(losses(moved)).backward()
        nn.utils.clip_grad_norm_(moved.parameters(), clip)
        optimiser.step()
        schedule.step()
    return moved


@pytest.mark.parametrize("clip", [0.5, 1e6])
def test_it_is_adamw_weight_by_weight_with_the_gradient_clipped(clip):
    moved = network()
    descent = Descent(moved, STEPS, RATE, DECAY, clip)
    for _ in range(STEPS):
        for part in losses(moved):
            descent.add(part)
        descent.step()
    for mine, theirs in zip(moved.parameters(), plain(clip).parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)
    assert not torch.equal(moved.linear.weight, network().linear.weight)


def test_matrices_decay_and_biases_and_positions_do_not():
    of = network()
    decayed, free = parameter_groups(of, DECAY)
    assert [id(p) for p in decayed["params"]] == [id(of.linear.weight)]
    assert {id(p) for p in free["params"]} == {id(of.linear.bias), id(of.position)}
    assert (decayed["weight_decay"], free["weight_decay"]) == (DECAY, 0.0)


def test_a_gradient_is_forgotten_with_its_step():
    moved = network()
    descent = Descent(moved, 2, RATE, 0.0, 1e6)
    descent.add(losses(moved)[0])
    descent.step()
    once = moved.linear.weight.clone()
    descent.add(0.0 * losses(moved)[0])
    descent.step()
    other = network()
    again = Descent(other, 2, RATE, 0.0, 1e6)
    again.add(losses(other)[0])
    again.step()
    assert torch.equal(once, other.linear.weight)
    again.step()  # nothing added at all
    assert torch.equal(moved.linear.weight, other.linear.weight)
