"""Fits chains of forecasters side by side: a chain is one task of `processes`, its models come back one by one."""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from allocator_pipeline.artifact import Artifact
from allocator_pipeline.atomic import canonical_json, table_bytes, table_from_bytes
from allocator_pipeline.forecasters.chains import fit_chain
from allocator_pipeline.forecasters.walk_forward import ArtifactLike, parts_of
from allocator_pipeline.paths import inside
from allocator_pipeline.processes import Progress, in_processes, serve

MODULE = "allocator_pipeline.forecasters.workers"

PRICES, PARENTS, MANIFEST = "prices", "parents", "manifest"


@dataclass(frozen=True)
class ChainTask:
    """Consecutive years of one forecaster to fit.

    Parameters
    ----------
    name : {"lstm", "patchtst", "ridge"}
    years : tuple of int
    prices : str
        Name of the price table, which holds what every one of the years may read.
    parent : str or None
        Version of the model that the first year starts from; a cold start without.
    seed : int
    has_open, has_volume : bool
        As of `fit_forecaster`.
    """

    name: str
    years: tuple[int, ...]
    prices: str
    parent: str | None = None
    seed: int = 0
    has_open: bool = False
    has_volume: bool = False

    @property
    def label(self) -> str:
        """Its name in messages."""
        return f"{self.name} {self.years[0]}-{self.years[-1]}"

    def to_json(self) -> dict[str, Any]:
        """Return the task as JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ChainTask:
        """Read back what `to_json` gave."""
        return cls(**{**values, "years": tuple(values["years"])})

    def run(
        self, prices: pd.DataFrame, parent: ArtifactLike | None, progress: Callable[[str], None]
    ) -> Iterator[Artifact]:
        """Fit here and now, and yield each year's model when it is done."""
        return fit_chain(
            self.name,
            self.years,
            dict.fromkeys(self.years, prices),
            parent,
            progress,
            seed=self.seed,
            has_open=self.has_open,
            has_volume=self.has_volume,
        )


def fit_in_processes(
    tasks: Sequence[ChainTask],
    prices: Mapping[str, pd.DataFrame],
    parents: Mapping[str, ArtifactLike],
    processes: int,
    progress: Progress,
) -> Iterator[Artifact]:
    """Fit chains side by side and yield each model when it is done; the bytes are those of fitting one by one.

    Parameters
    ----------
    tasks : sequence of ChainTask
    prices : mapping of str to DataFrame
        The tables (`schemas.PRICES`) that tasks name; asked for when a task needs it, and not kept.
    parents : mapping of str to (Artifact or tuple of (manifest, files))
        The models that tasks name, by version.
    processes : int
        Processes at most, of one thread each; with one, or one task, everything happens in this process.
    progress : callable
        Receives the messages of all fits, in the thread that iterates.

    Raises
    ------
    WorkerError, AllocatorError
        As of `processes.in_processes`.
    """
    if min(processes, len(tasks)) <= 1:
        for task in tasks:
            yield from task.run(prices[task.prices], parents[task.parent] if task.parent else None, progress)
        return
    with tempfile.TemporaryDirectory(prefix="forecasters-") as name:
        folder = Path(name)
        for key in sorted({task.prices for task in tasks}):
            _write(inside(folder, PRICES, key), table_bytes(prices[key]))
        for version in sorted({task.parent for task in tasks if task.parent}):
            manifest, files = parts_of(parents[version])
            for file, payload in {MANIFEST: canonical_json(manifest), **files}.items():
                _write(inside(folder, PARENTS, version, file), payload)
        for _, artifact in in_processes(tasks, MODULE, folder, processes, progress):
            yield artifact


def _write(path: Path, payload: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(payload)


def perform(folder: Path, values: dict[str, Any], progress: Progress) -> Iterator[Artifact]:
    """Fit the chain of a task that has crossed over."""
    task = ChainTask.from_json(values)
    parent: ArtifactLike | None = None
    if task.parent:
        files = {path.name: path.read_bytes() for path in (folder / PARENTS / task.parent).iterdir()}
        parent = (json.loads(files.pop(MANIFEST)), files)
    yield from task.run(table_from_bytes((folder / PRICES / task.prices).read_bytes()), parent, progress)


def main() -> None:
    """Fit what comes in until no more can come."""
    torch.set_num_threads(1)
    serve(Path(sys.argv[1]), perform)


if __name__ == "__main__":
    main()
