"""Fixtures that every folder shares."""

import os
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["DAGSTER_DISABLE_TELEMETRY"] = "yes"

import pytest

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
