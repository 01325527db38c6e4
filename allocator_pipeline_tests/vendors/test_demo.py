"""``make live-demo`` as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from allocator_pipeline_tests.vendors.together import SECRETS

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_demo_ends_with_a_report_and_a_second_run_that_asks_nothing(tmp_path):
    env = {name: value for name, value in os.environ.items() if not name.startswith(("ALLOCATOR_", "DAGSTER_HOME"))}
    command = [sys.executable, "-m", "allocator_pipeline_tests.vendors.demo", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "the second 0 times" in done.stdout
    page = (tmp_path / "live" / "report.html").read_text()
    assert 'id="data-quality"' in page
    assert "Prices are stored for 2012 to 2021." in page
    for secret in SECRETS.values():
        assert secret not in page + done.stdout + done.stderr
