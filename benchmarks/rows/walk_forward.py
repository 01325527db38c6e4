"""The whole walk-forward: four allocators times ten years in processes, against one by one with the plan's recipe.

``BENCH_YEARS=2`` shortens it.
"""

from __future__ import annotations

import os
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from allocator_pipeline.config import PLANNED_ALGORITHMS, PLANNED_ALLOCATORS, STATE_FORECASTERS, forecaster_of
from allocator_pipeline.market import calendar
from allocator_pipeline.studies.planted import FIRST_WEEK, planted_states
from allocator_pipeline.training.worker import Task
from allocator_pipeline.training.workers import train_in_processes
from benchmarks.capture import IC
from benchmarks.memory import PeakMemory
from benchmarks.row import Row
from benchmarks.training import capture

YEARS, MIN_YEARS = 10, 10
FIRST_YEAR = int(FIRST_WEEK[:4]) + MIN_YEARS - 1


@dataclass
class Spent:
    """What the walks of one side took.

    Parameters
    ----------
    wall, cpu : list of float
        Seconds of each walk; CPU seconds are those of all processes.
    memory : float
        Peak of all processes together, MiB.
    """

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    memory: float = 0.0


def row(years: int | None = None, allocators: tuple[str, ...] = PLANNED_ALLOCATORS) -> Row:
    count = int(os.environ.get("BENCH_YEARS", YEARS)) if years is None else years
    last = FIRST_YEAR + count - 1
    weeks = len(calendar.weeks(FIRST_WEEK, f"{last}-12-31"))
    states = {name: planted_states(number, weeks, IC) for number, name in enumerate(STATE_FORECASTERS)}
    workers = min(len(allocators) * count, os.cpu_count() or 1)
    ours, reference = Spent(), Spent()

    def walk(recipe: str, processes: int) -> int:
        tasks = [
            Task(allocator, year, forecaster_of(allocator), recipe, min_years=MIN_YEARS)
            for year in range(last, FIRST_YEAR - 1, -1)  # the longest first, so that no process waits long at the end
            for allocator in allocators
        ]
        return sum(1 for _ in train_in_processes(tasks, states, processes))

    return Row(
        recipe=f"{len(allocators)} allocators x {count} years with `default` in {workers} processes of one thread, "
        "their start included; one by one in one process with `reference`",
        unit="trainings per second of wall time",
        ours=lambda: _spend(lambda: walk("default", workers), ours),
        reference=lambda: _spend(lambda: walk("reference", 1), reference),
        repeats=1,
        warm_up=False,
        facts=lambda: _facts(ours, reference, workers),
        environment="" if count == YEARS else f"BENCH_YEARS={count} ",
    )


def _spend(work: Callable[[], int], spent: Spent) -> float:
    """Train, keep the seconds that it took, and return the trainings per second of wall time."""
    cpu, wall = _cpu_of_all(), time.perf_counter()
    with PeakMemory() as peak:
        trained = work()
    spent.memory = max(spent.memory, peak.mebibytes)
    spent.wall.append(time.perf_counter() - wall)
    spent.cpu.append(_cpu_of_all() - cpu)
    return trained / spent.wall[-1]


def _cpu_of_all() -> float:
    """Return the CPU seconds of this process and of its children that have ended."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return sum(usage.ru_utime + usage.ru_stime for usage in (own, children))


def _facts(ours: Spent, reference: Spent, workers: int) -> dict[str, Any]:
    wall, cpu = statistics.median(ours.wall), statistics.median(ours.cpu)
    slow_wall, slow_cpu = statistics.median(reference.wall), statistics.median(reference.cpu)
    return {
        "wall seconds": f"ours {wall:.1f}, reference {slow_wall:.1f}",
        "CPU seconds": f"ours {cpu:.1f}, reference {slow_cpu:.1f}",
        "ratio of CPU seconds": slow_cpu / cpu,
        "peak memory of all processes together, MiB": ours.memory,
        "workers": workers,
        "measured": f"{len(ours.wall)} time" + "s" * (len(ours.wall) > 1),
        **{f"{name}, {fact}": value for name in PLANNED_ALGORITHMS for fact, value in capture(name)().items()},
    }
