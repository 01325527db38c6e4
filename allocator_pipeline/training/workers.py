"""Trains many policies at once: one process a core, one thread a process, state tensors in memory that all share.

The processes are new ones, no forks: a Dagster process has threads, which a fork would leave behind with their locks.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import allocator_pipeline
from allocator_pipeline import errors
from allocator_pipeline.artifact import Artifact, Identity
from allocator_pipeline.errors import AllocatorError, ConfigurationError, WorkerError
from allocator_pipeline.paths import inside
from allocator_pipeline.portfolio.state import StateTensors
from allocator_pipeline.training.progress import Progress, silent
from allocator_pipeline.training.worker import RESULTS, STATES, Task, share_states

MODULE = "allocator_pipeline.training.worker"

TRIES = 2
"""How often a task is begun before its process's death is an error."""

STOP_SECONDS = 10.0

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def train_in_processes(
    tasks: Sequence[Task],
    states: Mapping[str, StateTensors],
    processes: int,
    progress: Progress = silent,
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
            yield task, task.run(states[task.states], progress)
        return
    with tempfile.TemporaryDirectory(prefix="training-") as name:
        folder = Path(name)
        for key in sorted({task.states for task in tasks}):
            share_states(inside(folder, STATES, key), states[key])
        yield from _Crew(folder, tasks, progress).work(min(processes, len(tasks)))


class _Worker:
    """One process, and the task that it has in hand."""

    def __init__(self, folder: Path, seat: int, events: queue.SimpleQueue[tuple[int, dict[str, Any] | None]]) -> None:
        root = str(Path(allocator_pipeline.__file__).parents[1])
        search = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
        self.number: int | None = None
        # A session of its own: an interrupt from the keyboard is for the parent, which then closes stdin.
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", MODULE, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **ONE_THREAD, "PYTHONPATH": search},
            start_new_session=True,
        )
        self._thread = threading.Thread(target=self._listen, args=(seat, events), daemon=True)
        self._thread.start()

    def _listen(self, seat: int, events: queue.SimpleQueue[tuple[int, dict[str, Any] | None]]) -> None:
        for line in self.process.stdout or ():
            with contextlib.suppress(ValueError):  # half a line, of a process that was killed
                events.put((seat, json.loads(line)))
        self.process.wait()
        events.put((seat, None))

    def give(self, number: int, task: Task) -> None:
        """Hand over a task."""
        self.number = number
        with contextlib.suppress(OSError):  # of a dead process we hear by `_listen`
            assert self.process.stdin is not None  # noqa: S101  (for mypy)
            self.process.stdin.write(json.dumps({"number": number, "task": task.to_json()}) + "\n")
            self.process.stdin.flush()

    def stop(self) -> None:
        """End the process, whatever it does."""
        with contextlib.suppress(OSError):
            assert self.process.stdin is not None  # noqa: S101  (for mypy)
            self.process.stdin.close()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._thread.join()
        if self.process.stdout is not None:
            self.process.stdout.close()


class _Crew:
    """Some processes and the tasks that wait for them."""

    def __init__(self, folder: Path, tasks: Sequence[Task], progress: Progress) -> None:
        self.folder, self.tasks, self.progress = folder, tasks, progress
        self.waiting = deque(range(len(tasks)))
        self.tries = [0] * len(tasks)
        self.events: queue.SimpleQueue[tuple[int, dict[str, Any] | None]] = queue.SimpleQueue()
        self.workers: dict[int, _Worker] = {}

    def work(self, processes: int) -> Iterator[tuple[Task, Artifact]]:
        """Yield each task with what came of it."""
        try:
            for seat in range(processes):
                self._hire(seat, self.waiting.popleft())
            done = 0
            while done < len(self.tasks):
                seat, message = self.events.get()
                worker = self.workers[seat]
                if message is None:
                    self._bury(seat, worker)
                elif message["kind"] == "progress":
                    self.progress(message["message"])
                elif message["kind"] == "done":
                    done += 1
                    worker.number = None
                    if self.waiting:
                        self._give(worker, self.waiting.popleft())
                    yield self.tasks[message["number"]], self._artifact(message)
                else:
                    raise self._error(message, worker)
        finally:
            for worker in self.workers.values():
                worker.stop()

    def _hire(self, seat: int, number: int) -> None:
        self.workers[seat] = _Worker(self.folder, seat, self.events)
        self._give(self.workers[seat], number)

    def _give(self, worker: _Worker, number: int) -> None:
        self.tries[number] += 1
        worker.give(number, self.tasks[number])

    def _bury(self, seat: int, worker: _Worker) -> None:
        """Replace a process that has died over a task, once for each task."""
        worker.stop()
        if worker.number is None:
            return
        how = _ending(worker.process.returncode)
        what = _name(self.tasks[worker.number])
        if self.tries[worker.number] >= TRIES:
            raise WorkerError(
                f"The process that trains {what} {how}, {TRIES} times.",
                todo="look at its messages on stderr; if memory ran out, train with fewer processes.",
            )
        self.progress(f"{what}: its process {how}; another one takes over")
        self._hire(seat, worker.number)

    def _artifact(self, message: Mapping[str, Any]) -> Artifact:
        folder = self.folder / RESULTS / str(message["number"])
        files = {name: (folder / name).read_bytes() for name in message["files"]}
        return Artifact(Identity(**message["identity"]), files, message["facts"])

    def _error(self, message: Mapping[str, Any], worker: _Worker) -> AllocatorError:
        kind = getattr(errors, str(message.get("error")), None)
        if isinstance(kind, type) and issubclass(kind, AllocatorError):
            found: AllocatorError = kind(**message["fields"])
            return found
        what = "" if worker.number is None else f" over {_name(self.tasks[worker.number])}"
        last = str(message.get("trace", "")).strip().splitlines()[-1:]
        failure = WorkerError(
            f"A training process failed{what}: {' '.join(last)}.", todo="report it with the trace of this error."
        )
        failure.add_note(str(message.get("trace", "")))
        return failure


def _name(task: Task) -> str:
    return f"{task.allocator} {task.year} {task.recipe}"


def _ending(code: int) -> str:
    if code >= 0:
        return f"has ended with status {code}"
    with contextlib.suppress(ValueError):
        return f"was ended by {signal.Signals(-code).name}"
    return f"was ended by signal {-code}"
