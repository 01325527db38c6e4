"""The rooms import downwards only, the light ones without torch; and the rules that say so do catch a breach."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LINT = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True, no_logo=True))"

MAY_IMPORT_TORCH = (
    "allocators.ensemble",
    "allocators.networks",
    "allocators.policy",
    "allocators.ppo",
    "allocators.sac",
    "allocators.tensors",
    "forecasters",
    "learners",
    "portfolio.agents_env",
    "portfolio.env",
    "portfolio.tensor_market",
    "portfolio.vec_env",
    "studies",
    "training",
)
IMPORT_THE_REST = """
import importlib, pkgutil, sys
import allocator_pipeline
for module in pkgutil.walk_packages(allocator_pipeline.__path__, "allocator_pipeline."):
    room = module.name.removeprefix("allocator_pipeline.")
    if module.ispkg or any(room == name or room.startswith(name + ".") for name in sys.argv[1:]):
        continue
    importlib.import_module(module.name)
    heavy = {"torch", "stable_baselines3"} & set(sys.modules)
    if heavy:
        sys.exit(f"{module.name} imports {sorted(heavy)}")
"""


def run(script: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "allocator_pipeline", tmp_path / "allocator_pipeline", ignore=ignore)
    return tmp_path


def test_all_contracts_are_kept():
    done = run(LINT, ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("market/calendar.py", "import allocator_pipeline.features.panel"),
        ("registry/verdicts.py", "import allocator_pipeline.experience.store"),
        ("evaluation/metrics.py", "import dagster"),
        ("defs/__init__.py", "import pickle"),
        ("leftovers.py", ""),
    ],
    ids=["upwards", "sibling", "framework", "pickle", "room-without-a-place"],
)
def test_a_breach_is_caught(copy, module, line):
    with open(copy / "allocator_pipeline" / module, "a") as file:
        file.write(f"\n{line}\n")
    done = run(LINT, copy)
    assert done.returncode == 1
    assert line.removeprefix("import ") in done.stdout


def test_light_modules_import_without_torch():
    done = run(IMPORT_THE_REST, ROOT, *MAY_IMPORT_TORCH)
    assert done.returncode == 0, done.stdout + done.stderr
