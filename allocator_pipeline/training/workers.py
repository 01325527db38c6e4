"""Trains many policies at once in `processes`, with state tensors in memory that all share."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from allocator_pipeline.artifact import Artifact
from allocator_pipeline.errors import AllocatorError, ConfigurationError
from allocator_pipeline.paths import inside
from allocator_pipeline.portfolio.state import StateTensors
from allocator_pipeline.processes import in_processes
from allocator_pipeline.training.progress import Progress, silent
from allocator_pipeline.training.worker import STATES, Task, share_states

MODULE = "allocator_pipeline.training.worker"


def train_in_processes(
    tasks: Sequence[Task],
    states: Mapping[str, StateTensors],
    processes: int,
    progress: Progress = silent,
    failed: Callable[[Task, AllocatorError], None] = lambda task, error: None,
) -> Iterator[tuple[Task, Artifact]]:
    """Train policies side by side and yield each when it is done; the artefacts are those of training one by one.

    A process that dies is replaced and its task begun again once, from its checkpoint if it has one. Whatever ends the
    iteration early also ends the processes; what they leave is whole checkpoints.

    Parameters
    ----------
    tasks : sequence of Task
    states : mapping of str to StateTensors
        The state tensors that tasks name; shared, not copied.
    processes : int
        Processes at most; with one, or one task, everything happens in this process.
    progress : callable
        Receives the messages of all trainings, in the thread that iterates.
    failed : callable
        Receives a task that its training has given up, and why, before the error is raised.

    Yields
    ------
    tuple of (Task, Artifact)
        In the order of completion.

    Raises
    ------
    ConfigurationError
        If a task names state tensors that are not there.
    WorkerError
        If a process died twice over the same task, or met an error that is not an AllocatorError.
    AllocatorError
        Of the very kind that a training has raised.
    """
    for task in tasks:
        if task.states not in states:
            raise ConfigurationError(
                f"There are no state tensors {task.states!r}.", todo=f"name one of {', '.join(sorted(states))}."
            )
    if min(processes, len(tasks)) <= 1:
        for task in tasks:
            try:
                artifact = task.run(states[task.states], progress)
            except AllocatorError as error:
                failed(task, error)
                raise
            yield task, artifact
        return
    with tempfile.TemporaryDirectory(prefix="training-") as name:
        folder = Path(name)
        for key in sorted({task.states for task in tasks}):
            share_states(inside(folder, STATES, key), states[key])
        yield from in_processes(tasks, MODULE, folder, processes, progress, failed)
