"""Seconds of an incremental week by the shipped jobs: ``python -m benchmarks.dagster_week ppo_lstm sac_patchtst``.

A program of its own, in a data folder that is thrown away, on a simulated market. What the week reads is made first and
not counted: champions, and half a year of decisions and labels. Then each job is one run in a process of its own with
the shipped executor, as Dagster's launcher starts it, over all allocators from the first to the last.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

from allocator_pipeline.defs.partitions import range_tags

MARKET = {
    "ALLOCATOR_MARKET": "simulated",
    "ALLOCATOR_MIN_TRAINING_YEARS": "3",
    "ALLOCATOR_SIMULATED_START": "2013-01-01",
    "ALLOCATOR_SIMULATED_END": "2022-12-30",
    "ALLOCATOR_SIMULATED_SYMBOLS": "17",
}
MARKET_YEAR, STATE_YEAR, POLICY_YEAR, YEAR = 2013, 2018, 2020, 2022
FIRST_WEEK, LABELLED, COMING = "2022-01-10", "2022-07-11", "2022-07-25"
"""First week decided; the one whose label has come due; the one to fine-tune for and to decide."""

ROOT = Path(__file__).parents[1]
PR_SET_CHILD_SUBREAPER = 36
JOBS = {
    "label": ("labeling_job", LABELLED),
    "fine-tune": ("finetuning_job", COMING),
    "infer": ("inference_job", COMING),
}


def main(first: str, last: str) -> None:
    os.environ.pop("DAGSTER_HOME", None)
    os.environ |= {"DAGSTER_DISABLE_TELEMETRY": "yes", **MARKET}
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)  # what a run leaves behind ends below us, and is counted
    spent: dict[str, dict[str, float]] = {"wall": {}, "CPU": {}}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ALLOCATOR_DATA_DIR"] = folder
        os.environ["DAGSTER_HOME"] = str(Path(folder) / "dagster")
        _run("-m", "benchmarks.dagster_week", "prepare", first, last)
        for name, (job, week) in JOBS.items():
            tags = json.dumps(range_tags(f"{first}|{week}", f"{last}|{week}"))
            used, begun = _used(), time.perf_counter()
            _run("-m", "dagster", "job", "execute", "-m", "allocator_pipeline.definitions", "-j", job, "--tags", tags)
            spent["wall"][name], spent["CPU"][name] = time.perf_counter() - begun, _used() - used
    print(json.dumps(spent))


def prepare(first: str, last: str) -> None:
    """Make what the week reads, in this process."""
    from allocator_pipeline.config import Settings
    from allocator_pipeline.defs.home import dagster_home
    from allocator_pipeline.defs.runner import run_task

    warnings.simplefilter("ignore")
    settings = Settings.from_env()
    dagster_home(settings)
    for task in _before(first, last):
        run_task(task, settings)


def _run(*arguments: str) -> None:
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])


def _used() -> float:
    """Return the CPU seconds of all processes below this one, once they have ended."""
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _before(first: str, last: str) -> Iterator:
    """Yield the runs that make what the week reads."""
    from allocator_pipeline.config import ALLOCATORS, BASELINES, STATE_FORECASTERS
    from allocator_pipeline.defs.runner import Task
    from allocator_pipeline.market import calendar

    states, here = (str(STATE_YEAR), str(YEAR)), {"forecasts": {"processes": 1}}
    one, other = STATE_FORECASTERS[0], STATE_FORECASTERS[-1]
    yield Task("market", ("prices", "sentiment", "fundamentals"), str(MARKET_YEAR), str(YEAR))
    yield Task("features", ("universe", "signals", "outcomes", "price_windows", "external_forecasts"), *states)
    yield Task("states", ("forecasts", "state_tensors"), f"{one}|{states[0]}", f"{other}|{states[1]}", config=here)
    yield Task("baselines", ("baseline_weights",), f"{BASELINES[0]}|{POLICY_YEAR}", f"{BASELINES[-1]}|{YEAR - 1}")
    allocators = ALLOCATORS[ALLOCATORS.index(first) : ALLOCATORS.index(last) + 1]
    for name in allocators:
        alone = {"trained_policies": {"processes": 1}}
        yield Task("champions", ("trained_policies",), f"{name}|{POLICY_YEAR}", f"{name}|{POLICY_YEAR}", config=alone)
        yield Task("reports", ("eval_reports",), f"{name}|{POLICY_YEAR + 1}", f"{name}|{POLICY_YEAR + 1}")
        yield Task("promotion", ("promoted_policies", "promotion_history"), name, name)
        before = [str(calendar.shift_week(week, -1).date()) for week in (COMING, LABELLED)]
        yield Task("decisions", ("target_weights", "decisions"), f"{name}|{FIRST_WEEK}", f"{name}|{before[0]}")
        yield Task("labels", ("paper_account", "labeled_experience"), f"{name}|{FIRST_WEEK}", f"{name}|{before[1]}")


if __name__ == "__main__":
    prepare(*sys.argv[2:]) if sys.argv[1] == "prepare" else main(*sys.argv[1:])
