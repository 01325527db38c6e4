"""500 symbols over twenty years from a vendor: killed on the way, resumed, each asked once, in bounded memory."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from allocator_pipeline.config import SimulatedConfig
from allocator_pipeline.market.simulated import SimulatedMarket
from allocator_pipeline_tests.faults.test_graph import PROGRAM, ROOT
from allocator_pipeline_tests.vendors.server import wait_until
from allocator_pipeline_tests.vendors.together import write_candidates
from allocator_pipeline_tests.vendors.yahoo import Yahoo

FIRST, LAST, STOCKS = 2003, 2022, 500
KILLED_AFTER = 200
GIBIBYTES = 3


@pytest.fixture(scope="module")
def vendor():
    market = SimulatedMarket(SimulatedConfig(start=date(FIRST, 1, 1), end=date(LAST, 12, 31), n_symbols=STOCKS))
    bars = pd.concat([market.prices(year) for year in range(FIRST, LAST + 1)], ignore_index=True)
    none = pd.DataFrame({"symbol": [], "date": pd.DatetimeIndex([]), "kind": [], "value": []})
    with Yahoo(bars, none) as started:
        yield started


def environment(folder: Path, vendor: Yahoo) -> dict[str, str]:
    candidates = write_candidates(folder / "candidates.csv", dict.fromkeys(sorted(vendor.bars), ""))
    return {
        **os.environ,
        "ALLOCATOR_MARKET": "live",
        "ALLOCATOR_DATA_DIR": str(folder),
        "ALLOCATOR_LIVE_CANDIDATES": str(candidates),
        "ALLOCATOR_LIVE_START": f"{FIRST}-01-01",
        "ALLOCATOR_LIVE_END": f"{LAST}-12-31",
        "ALLOCATOR_LIVE_SECOND_SOURCE": "off",
        "ALLOCATOR_YAHOO_URL": vendor.url,
        "OMP_NUM_THREADS": "1",
    }


def start(assets: str, env: dict[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM, assets, str(FIRST), str(LAST)]
    return subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere memory is counted in other units")
def test_a_back_fill_of_500_symbols_and_20_years_is_resumed_and_bounded(vendor, tmp_path):
    env, begun = environment(tmp_path, vendor), time.monotonic()
    killed = start("yahoo_bars", env)
    wait_until(lambda: len(vendor.requests) >= KILLED_AFTER, seconds=600)
    killed.kill()
    killed.communicate()
    for assets in ("yahoo_bars", "prices"):
        process = start(assets, env)
        _, errors = process.communicate()
        assert process.returncode == 0, errors[-3000:]
        print(f"{assets}: {time.monotonic() - begun:.0f} s from the start, {len(vendor.requests)} requests")
    assert STOCKS <= len(vendor.requests) <= STOCKS + 1, "one was on its way when the process was killed"
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(
        f"at most {most / 2**20:.2f} GiB; {sum(one.stat().st_size for one in tmp_path.rglob('*.gz')) / 1e6:.0f} MB kept"
    )
    assert most < GIBIBYTES * 2**20
