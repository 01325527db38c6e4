"""Runs of the asset graph killed at random moments, and one partition launched several times at once."""

import os
import random
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from allocator_pipeline.defs.storage import AssetStore

pytestmark = pytest.mark.xdist_group("graph faults")

ROOT = Path(__file__).parents[2]
START, END = "2009-01-01", "2015-01-30"
STAGES = (
    (("prices", "sentiment", "fundamentals"), "2009", "2015"),
    (("universe", "signals", "outcomes", "price_windows"), "2014", "2015"),
    (("forecasts", "state_tensors"), "lstm|2014", "lstm|2014"),
    (("baseline_weights",), "equal_weight|2014", "hrp|2014"),
)
PROGRAM = """
import sys
from allocator_pipeline.config import Settings
from allocator_pipeline.defs.home import dagster_home
from allocator_pipeline.defs.runner import Task, run_task
settings = Settings.from_env()
dagster_home(settings)
assets, first, last = sys.argv[1].split(","), sys.argv[2], sys.argv[3]
print("started", flush=True)
run_task(Task("fault", tuple(assets), first, last), settings)
"""


def environment(folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "ALLOCATOR_MARKET": "simulated",
        "ALLOCATOR_SIMULATED_START": START,
        "ALLOCATOR_SIMULATED_END": END,
        "ALLOCATOR_MIN_TRAINING_YEARS": "3",
        "ALLOCATOR_DATA_DIR": str(folder),
        "OMP_NUM_THREADS": "1",
    }


def start(folder: Path, stage) -> subprocess.Popen:
    assets, first, last = stage
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, ",".join(assets), first, last],
        cwd=ROOT,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen) -> None:
    _, errors = process.communicate()
    assert process.returncode == 0, errors[-3000:]


def contents(folder: Path) -> dict[str, bytes]:
    """Return every published payload and pointer; run history and hidden leftovers of killed writers are no results."""
    root = folder / "simulated"
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(root).parts)
    }


def readable(folder: Path) -> None:
    """Whatever is stored verifies; a hidden leftover of a killed writer is no asset."""
    store = AssetStore(folder / "simulated" / "assets")
    for asset in (path.name for path in store.root.glob("[!.]*")):
        for key in store.keys(asset):
            store.read(asset, key)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Results of an undisturbed run, and how long each stage took once its program had started."""
    folder = tmp_path_factory.mktemp("undisturbed")
    seconds = []
    for stage in STAGES:
        process = start(folder, stage)
        process.stdout.readline()
        begin = time.monotonic()
        finish(process)
        seconds.append(time.monotonic() - begin)
    return SimpleNamespace(contents=contents(folder), seconds=seconds)


def kills(folder: Path, durations: list[float], count: int, seed: int) -> None:
    rng = random.Random(seed)
    for stage, seconds in zip(STAGES, durations, strict=True):
        for _ in range(count):
            process = start(folder, stage)
            process.stdout.readline()
            time.sleep(rng.uniform(0.0, 1.1 * seconds))
            process.kill()
            process.communicate()
            readable(folder)
        finish(start(folder, stage))


def test_a_graph_killed_at_random_moments_ends_as_if_undisturbed(undisturbed, tmp_path):
    kills(tmp_path, undisturbed.seconds, count=2, seed=1)
    assert contents(tmp_path) == undisturbed.contents


@pytest.mark.slow
def test_a_graph_killed_many_times_ends_as_if_undisturbed(undisturbed, tmp_path):
    kills(tmp_path, undisturbed.seconds, count=25, seed=2)
    assert contents(tmp_path) == undisturbed.contents


@pytest.mark.parametrize("launches", [3, pytest.param(8, marks=pytest.mark.slow)])
def test_one_partition_launched_several_times_at_once_gives_one_result(undisturbed, tmp_path, launches):
    for stage in STAGES[:2]:
        finish(start(tmp_path, stage))
    with ThreadPoolExecutor(launches) as pool:
        list(pool.map(finish, [start(tmp_path, STAGES[2]) for _ in range(launches)]))
    finish(start(tmp_path, STAGES[3]))
    assert contents(tmp_path) == undisturbed.contents
