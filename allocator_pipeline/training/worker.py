"""A process that trains policies one after the other, started by `workers` (see `processes`).

State tensors lie in its folder and are mapped into memory, not copied.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from allocator_pipeline.artifact import Artifact
from allocator_pipeline.config import CostConfig
from allocator_pipeline.portfolio.objective import Objective
from allocator_pipeline.portfolio.state import StateTensors
from allocator_pipeline.processes import serve
from allocator_pipeline.training.full import train_full
from allocator_pipeline.training.progress import Progress

STATES = "states"

FIELDS = tuple(item.name for item in dataclasses.fields(StateTensors))


@dataclass(frozen=True)
class Task:
    """One policy to train; the words are those of `full.train_full`.

    Parameters
    ----------
    allocator : str
    year : int
    states : str
        Name of the state tensors, such as the forecaster's.
    recipe : str
    seed, costs, min_years
        As of `train_full`.
    rows : tuple of int, optional
        First row of the states, and the one behind the last; all where absent.
    objective, checkpoints, tensorboard
        As of `train_full`.
    """

    allocator: str
    year: int
    states: str
    recipe: str = "default"
    seed: int = 42
    costs: CostConfig = field(default_factory=CostConfig)
    min_years: int = 10
    rows: tuple[int, int] | None = None
    objective: Objective | None = None
    checkpoints: Path | None = None
    tensorboard: Path | None = None

    @property
    def label(self) -> str:
        """Its name in messages."""
        return f"{self.allocator} {self.year} {self.recipe}"

    def to_json(self) -> dict[str, Any]:
        """Return the task as JSON values."""
        values = dataclasses.asdict(self)
        return {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Task:
        """Read back what `to_json` gave."""
        paths = {name: Path(values[name]) for name in ("checkpoints", "tensorboard") if values[name] is not None}
        rows = None if values["rows"] is None else tuple(values["rows"])
        objective = None if values["objective"] is None else Objective(**values["objective"])
        read = {"rows": rows, "costs": CostConfig(**values["costs"]), "objective": objective}
        return cls(**{**values, **paths, **read})

    def run(self, states: StateTensors, progress: Progress) -> Artifact:
        """Train the policy here and now."""
        return train_full(
            self.allocator,
            self.year,
            states if self.rows is None else states[slice(*self.rows)],
            self.recipe,
            self.seed,
            self.costs,
            self.min_years,
            progress,
            objective=self.objective,
            checkpoints=self.checkpoints,
            tensorboard=self.tensorboard,
        )


def share_states(folder: Path, states: StateTensors) -> None:
    """Write state tensors so that processes can map them: one uncompressed file each."""
    folder.mkdir(parents=True)
    for name in FIELDS:
        np.save(folder / f"{name}.npy", getattr(states, name), allow_pickle=False)


def shared_states(folder: Path) -> StateTensors:
    """Return the state tensors of `share_states`, read-only and in the memory that all processes share."""
    return StateTensors(
        **{name: np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)) for name in FIELDS}
    )


def perform(folder: Path, values: dict[str, Any], progress: Progress) -> Iterator[Artifact]:
    """Train the policy of a task that has crossed over."""
    task = Task.from_json(values)
    yield task.run(shared_states(folder / STATES / task.states), progress)


def main() -> None:
    """Train what comes in until no more can come."""
    torch.set_num_threads(1)
    serve(Path(sys.argv[1]), perform)


if __name__ == "__main__":
    main()
