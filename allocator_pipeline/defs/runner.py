"""Run parts of the asset graph as real Dagster runs in this process or in worker processes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import get_context
from threading import Thread
from time import monotonic, sleep
from typing import Any

import dagster as dg

from allocator_pipeline import errors
from allocator_pipeline.config import Settings
from allocator_pipeline.defs.build import build_definitions
from allocator_pipeline.defs.partitions import range_tags
from allocator_pipeline.errors import AllocatorError

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True)
class Task:
    """One Dagster run.

    Parameters
    ----------
    title : str
        What it does, for the progress line.
    assets : tuple of str
        Assets of equal partitions, materialised together.
    first, last : str or None
        First and last partition key; two-dimensional keys span the rectangle between them. None without partitions.
    tags : mapping of str to str
        Further tags of the run.
    config : mapping of str to mapping
        Run config by asset.
    again : bool
        Whether it is to run also where all it makes is stored, because what it reads may have changed.
    """

    title: str
    assets: tuple[str, ...]
    first: str | None = None
    last: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    config: dict[str, dict[str, object]] = field(default_factory=dict)
    again: bool = False


def run_task(task: Task, settings: Settings, definitions: dg.Definitions | None = None) -> float:
    """Execute a task as one Dagster run in the instance that ``DAGSTER_HOME`` names.

    Returns
    -------
    float
        Seconds it took.

    Raises
    ------
    AllocatorError
        If a step or a check fails; it holds the words of the typed error that the step met, or else of the first cause.
    """
    start = monotonic()
    definitions = definitions or _definitions(settings)
    selection = [dg.AssetKey(name) for name in task.assets]
    job = definitions.resolve_implicit_global_asset_job_def()
    tags = {**task.tags}
    if task.first and task.last and task.first != task.last:
        tags |= range_tags(task.first, task.last)
    with dg.DagsterInstance.get() as instance:
        result = job.execute_in_process(
            instance=instance,
            partition_key=task.first if task.first == task.last else None,
            tags=tags,
            run_config={**QUIET, "ops": {name: {"config": values} for name, values in task.config.items()}},
            asset_selection=selection,
            raise_on_error=False,
        )
        if not result.success:
            _raise_failure(result)
    return monotonic() - start


_LOADED: dict[Settings, dg.Definitions] = {}


def _definitions(settings: Settings) -> dg.Definitions:
    if settings not in _LOADED:
        _LOADED[settings] = build_definitions(settings)
    return _LOADED[settings]


def _raise_failure(result: dg.ExecuteInProcessResult) -> None:
    for event in result.all_events:
        error = event.step_failure_data.error if event.is_step_failure else None
        if error is not None:
            raise AllocatorError(
                f"The run {result.run_id} failed in {event.step_key}: {_told(error).message.strip()}",
                todo="mend the cause and run the same command again; what is finished is kept.",
            )
    failed = [item for item in result.get_asset_check_evaluations() if not item.passed]
    names = "; ".join(f"{item.asset_key.to_user_string()}: {item.check_name}: {item.description}" for item in failed)
    raise AllocatorError(
        f"The run {result.run_id} failed; checks not passed: {names or 'none'}.",
        todo="look at the run in the UI (make dev).",
    )


def _told(error: Any) -> Any:  # Dagster does not export the type of an error as it was stored
    """Return what to tell of a failure: the first error of its chain that says what to do, else the last cause."""
    while not _is_typed(error) and error.cause is not None:
        error = error.cause
    return error


def _is_typed(error: Any) -> bool:
    kind = getattr(errors, error.cls_name or "", None)
    return isinstance(kind, type) and issubclass(kind, AllocatorError)


class Workers:
    """A pool of processes that keep the definitions loaded and run tasks side by side.

    Parameters
    ----------
    settings : Settings
    count : int
        Number of processes.
    """

    def __init__(self, settings: Settings, count: int) -> None:
        self.settings = settings
        self._pool = ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=_start_worker)

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, float]]:
        """Run tasks that do not depend on one another; yield each with its seconds as it finishes.

        Raises
        ------
        AllocatorError
            The first failure; tasks not started yet are cancelled.
        """
        futures: dict[Future[float], Task] = {self._pool.submit(run_task, task, self.settings): task for task in tasks}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BaseException:
            for future in futures:
                future.cancel()
            raise

    def close(self) -> None:
        """End the processes."""
        self._pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    """One thread a process, since parallelism comes from the processes; and none that outlives its parent."""
    import torch

    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    Thread(target=end_with, args=(os.getppid(),), daemon=True).start()


def end_with(parent: int) -> None:
    """End this process as soon as its parent is gone; for a thread of its own."""
    while os.getppid() == parent:
        sleep(1.0)
    os._exit(1)  # killed, the parent could not end its workers; what they have written is whole


def spans(keys: Iterable[str], count: int) -> list[tuple[str, str]]:
    """Cut an ordered list of keys into at most ``count`` spans of (first, last)."""
    ordered = list(keys)
    size = -(-len(ordered) // count) if ordered else 1
    return [(ordered[i], ordered[min(i + size, len(ordered)) - 1]) for i in range(0, len(ordered), size)]
