"""Fits many models at once: one process a core, one thread a process, what they read in a folder that all share.

The processes are new ones, no forks: a Dagster process has threads, which a fork would leave behind with their locks.
A worker module serves tasks as JSON lines on stdin and answers in JSON lines on stdout; finished files are left in the
folder. It ends when its stdin does, hence with its parent.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import allocator_pipeline
from allocator_pipeline import errors
from allocator_pipeline.artifact import Artifact, Identity
from allocator_pipeline.errors import AllocatorError, WorkerError

Progress = Callable[[str], None]

RESULTS = "results"

TRIES = 2
"""How often a task is begun before its process's death is an error."""

STOP_SECONDS = 10.0

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class Task(Protocol):
    """Something to fit, that crosses to another process as JSON."""

    @property
    def label(self) -> str:
        """Its name in messages."""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""


T = TypeVar("T", bound=Task)


def in_processes(
    tasks: Sequence[T],
    module: str,
    folder: Path,
    processes: int,
    progress: Progress,
    failed: Callable[[T, AllocatorError], None] = lambda task, error: None,
) -> Iterator[tuple[T, Artifact]]:
    """Run tasks side by side and yield each artefact when it is done.

    A process that dies is replaced and its task begun again once; what it had finished is then yielded again. Whatever
    ends the iteration early also ends the processes.

    Parameters
    ----------
    tasks : sequence of Task
    module : str
        Module that calls `serve` when it is run.
    folder : Path
        What the processes read and where they leave their files.
    processes : int
        Processes at most.
    progress : callable
        Receives the messages of all tasks, in the thread that iterates.
    failed : callable
        Receives a task that has failed, and why, before the error is raised; not of a process that died.

    Yields
    ------
    tuple of (Task, Artifact)
        In the order of completion.

    Raises
    ------
    WorkerError
        If a process died twice over the same task, or met an error that is not an AllocatorError.
    AllocatorError
        Of the very kind that a task has raised.
    """
    yield from _Crew(tasks, module, folder, progress, failed).work(min(processes, len(tasks)))


def serve(folder: Path, perform: Callable[[Path, dict[str, Any], Progress], Iterator[Artifact]]) -> None:
    """Do what comes in until no more can come; the part that runs in a worker.

    Parameters
    ----------
    folder : Path
    perform : callable
        Receives the folder, a task's JSON values and a callable for messages; yields artefacts.
    """
    # Whatever prints to stdout goes to stderr, so that the answers stay JSON.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    tasks: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_hear, args=(tasks,), daemon=True).start()

    def tell(**values: Any) -> None:
        answers.write(json.dumps(values) + "\n")
        answers.flush()

    while True:
        values = json.loads(tasks.get())
        _answer(folder, values["number"], perform, values["task"], tell)


def _hear(tasks: queue.SimpleQueue[str]) -> None:
    for line in sys.stdin:
        tasks.put(line)
    os._exit(0)  # the parent is gone or wants no more; checkpoints are whole at any moment


def _answer(folder: Path, number: int, perform: Callable[..., Iterator[Artifact]], task: Any, tell: Any) -> None:
    try:
        for artifact in perform(folder, task, lambda message: tell(kind="progress", message=message)):
            target = folder / RESULTS / str(number) / artifact.version
            target.mkdir(parents=True, exist_ok=True)
            for name, payload in artifact.files.items():
                (target / name).write_bytes(payload)
            identity, facts = dataclasses.asdict(artifact.identity), dict(artifact.facts)
            tell(kind="artifact", number=number, identity=identity, facts=facts, files=sorted(artifact.files))
        tell(kind="done")
    except AllocatorError as error:
        fields = {name: getattr(error, name) for name in ("problem", "todo", "source", "symbol", "week")}
        tell(kind="failed", error=type(error).__name__, fields=fields)
    except Exception:
        tell(kind="crashed", trace=traceback.format_exc())


class _Worker:
    """One process, and the task that it has in hand."""

    def __init__(
        self, module: str, folder: Path, seat: int, events: queue.SimpleQueue[tuple[int, dict[str, Any] | None]]
    ) -> None:
        root = str(Path(allocator_pipeline.__file__).parents[1])
        search = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
        self.number: int | None = None
        # A session of its own: an interrupt from the keyboard is for the parent, which then closes stdin.
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", module, str(folder)],
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

    def __init__(
        self,
        tasks: Sequence[Any],
        module: str,
        folder: Path,
        progress: Progress,
        failed: Callable[[Any, AllocatorError], None],
    ) -> None:
        self.tasks, self.module, self.folder = tasks, module, folder
        self.progress, self.failed = progress, failed
        self.waiting = deque(range(len(tasks)))
        self.tries = [0] * len(tasks)
        self.events: queue.SimpleQueue[tuple[int, dict[str, Any] | None]] = queue.SimpleQueue()
        self.workers: dict[int, _Worker] = {}

    def work(self, processes: int) -> Iterator[tuple[Any, Artifact]]:
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
                elif message["kind"] == "artifact":
                    yield self.tasks[message["number"]], self._artifact(message)
                elif message["kind"] == "done":
                    done += 1
                    worker.number = None
                    if self.waiting:
                        self._give(worker, self.waiting.popleft())
                else:
                    error = self._error(message, worker)
                    if worker.number is not None:
                        self.failed(self.tasks[worker.number], error)
                    raise error
        finally:
            for worker in self.workers.values():
                worker.stop()

    def _hire(self, seat: int, number: int) -> None:
        self.workers[seat] = _Worker(self.module, self.folder, seat, self.events)
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
        what = self.tasks[worker.number].label
        if self.tries[worker.number] >= TRIES:
            raise WorkerError(
                f"The process that trains {what} {how}, {TRIES} times.",
                todo="look at its messages on stderr; if memory ran out, train with fewer processes.",
            )
        self.progress(f"{what}: its process {how}; another one takes over")
        self._hire(seat, worker.number)

    def _artifact(self, message: Mapping[str, Any]) -> Artifact:
        identity = Identity(**message["identity"])
        folder = self.folder / RESULTS / str(message["number"]) / identity.version
        return Artifact(identity, {name: (folder / name).read_bytes() for name in message["files"]}, message["facts"])

    def _error(self, message: Mapping[str, Any], worker: _Worker) -> AllocatorError:
        kind = getattr(errors, str(message.get("error")), None)
        if isinstance(kind, type) and issubclass(kind, AllocatorError):
            found: AllocatorError = kind(**message["fields"])
            return found
        what = "" if worker.number is None else f" over {self.tasks[worker.number].label}"
        last = str(message.get("trace", "")).strip().splitlines()[-1:]
        failure = WorkerError(
            f"A training process failed{what}: {' '.join(last)}.", todo="report it with the trace of this error."
        )
        failure.add_note(str(message.get("trace", "")))
        return failure


def _ending(code: int) -> str:
    if code >= 0:
        return f"has ended with status {code}"
    with contextlib.suppress(ValueError):
        return f"was ended by {signal.Signals(-code).name}"
    return f"was ended by signal {-code}"
