"""A market of 500 stocks over twenty years: 780 weeks in bounded time and memory, and a second time the same bytes."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from allocator_pipeline_tests.faults.test_graph import PROGRAM, ROOT, contents, environment

STAGES = (
    (("prices", "sentiment", "fundamentals"), "2003", "2022"),
    (("universe", "signals", "outcomes", "price_windows"), "2008", "2022"),
    (("forecasts", "state_tensors"), "lstm|2008", "lstm|2022"),
    (("baseline_weights",), "equal_weight|2008", "hrp|2022"),
)
MARKET = {
    "ALLOCATOR_SIMULATED_START": "2003-01-02",
    "ALLOCATOR_SIMULATED_END": "2022-12-30",
    "ALLOCATOR_SIMULATED_SYMBOLS": "500",
}
MINUTES, GIBIBYTES = 10, 2
"""Of CPU for all of it, and of memory for any process of it."""

NO_NETWORK = """
import socket
def refuse(self, *_):
    raise OSError("there is no network")
socket.socket.connect = refuse
"""


def run(folder: Path, before: str = "") -> float:
    """Run all stages, one process each, and return their CPU seconds."""
    start = resource.getrusage(resource.RUSAGE_CHILDREN)
    for assets, first, last in STAGES:
        command = [sys.executable, "-c", before + PROGRAM, ",".join(assets), first, last]
        done = subprocess.run(
            command, cwd=ROOT, env={**environment(folder), **MARKET}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
    end = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert end.ru_maxrss < GIBIBYTES * 2**20
    return end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere memory is counted in other units")
def test_a_back_fill_is_bounded_and_a_second_one_changes_nothing_and_asks_nobody(tmp_path):
    assert run(tmp_path) < MINUTES * 60
    first = contents(tmp_path)
    run(tmp_path, NO_NETWORK)
    assert contents(tmp_path) == first
