"""What every learning algorithm offers to training: iterations, tensors, and a position to continue from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch


class Learner(Protocol):
    """L learners of one recipe that train side by side; none depends on what is stacked beside it.

    A training that was interrupted continues bit for bit on a CPU: build the learner again from the same recipe, market
    and seeds, copy the stored tensors into those of `trained`, and give the stored `position` to `load_position`.

    Attributes
    ----------
    steps : int
        Environment steps done, of each learner.
    actor : dict of str to Tensor
        The networks that act: ``weight.i`` of shape (L, in, out) and ``bias.i`` of shape (L, 1, out).
    """

    steps: int
    actor: dict[str, torch.Tensor]

    @property
    def total_steps(self) -> int:
        """Environment steps of a whole training of each learner: the recipe's, rounded up to whole iterations."""

    def advance(self) -> dict[str, float]:
        """Train for one iteration.

        Returns
        -------
        dict of str to float
            Means over learners, named as stable-baselines3 names them, such as ``"rollout/reward"`` (of an environment
            step) and ``"train/loss"``. One that is not finite means that training has failed.
        """

    def trained(self) -> dict[str, torch.Tensor]:
        """Return what was learned: networks and optimisers, the learner's own tensors and no copies.

        The first axis of each is that of the learners, but for the optimisers' step counts, which are scalars.
        """

    def position(self) -> dict[str, torch.Tensor]:
        """Return copies of all else that the next iteration depends on: random numbers, steps, portfolios, replay."""

    def load_position(self, position: Mapping[str, torch.Tensor]) -> None:
        """Continue from a `position`.

        Raises
        ------
        CorruptArtifactError
            If its tensors are not those of this recipe, market and seeds.
        """
