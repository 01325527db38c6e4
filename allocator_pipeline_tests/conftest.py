"""Fixtures that every folder shares."""

import os
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["DAGSTER_DISABLE_TELEMETRY"] = "yes"

import pytest
from hypothesis import settings

# The same examples each time, so that a run that passed passes again; `--hypothesis-profile=default` draws new ones.
settings.register_profile("repeatable", derandomize=True, print_blob=True)
settings.load_profile("repeatable")

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    """No setting of the developer's shell reaches a test."""
    for name in list(os.environ):
        if name.startswith("ALLOCATOR_") or name == "DAGSTER_HOME":
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real market data beside the checkout; tests that need it skip where it is absent."""
    folder = ROOT.parent / "shared" / "data" / "dev"
    if not folder.is_dir():
        pytest.skip("no real market data beside this checkout (../shared/data/dev)")
    return folder
