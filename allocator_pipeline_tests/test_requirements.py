"""What the package imports is declared, what is declared is used, and all of it is pinned."""

from __future__ import annotations

import ast
import importlib.util
import sys
from importlib.metadata import packages_distributions
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
NOT_IMPORTED = {"dagster-webserver", "pyarrow", "tensorboard"}
"""Declared dependencies that are run (the UI) or called through pandas (parquet) and torch (event files)."""
COME_ALONG = {"pydantic", "scipy", "scikit-learn", "pyyaml", "httpx2"}
"""Imported beside the declared dependency that always brings them: dagster, skfolio and huggingface_hub."""


@pytest.fixture(scope="module")
def pin() -> ModuleType:
    specification = importlib.util.spec_from_file_location("pin", ROOT / "scripts" / "pin.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pinned() -> dict[str, str]:
    lines = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if not line.startswith("#")]
    return dict(line.split("==") for line in lines)


def imported(folder: Path) -> set[str]:
    """Names of the distributions that a folder's files import, the standard library's and our own left out."""
    names: set[str] = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add((node.module or "").split(".")[0])
    providers = {"alpaca": ["alpaca-py"], **packages_distributions()}  # optional, so perhaps not here to be asked
    third_party = names - sys.stdlib_module_names - {"allocator_pipeline", "benchmarks"}
    return {canonicalize_name(provider) for name in third_party for provider in providers.get(name, [name])}


def test_imports_and_declarations_agree(pin):
    declared = {canonicalize_name(requirement.name) for requirement in pin.declared("panel", "alpaca", "finbert")}
    used = imported(ROOT / "allocator_pipeline")
    assert used - declared - COME_ALONG == set(), "imported but not declared in pyproject.toml"
    assert declared - used - NOT_IMPORTED == set(), "declared in pyproject.toml but not imported"


def test_all_that_is_needed_is_pinned_as_installed(pin, pinned):
    assert pin.pins(pin.declared("dev")) == pinned


def test_pins_satisfy_the_declared_ranges(pin, pinned):
    for requirement in pin.declared("dev"):
        assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)]), requirement


def test_pins_are_exact_public_and_without_addresses(pinned):
    for name, version in pinned.items():
        assert Requirement(f"{name}=={version}").url is None
        assert "+" not in version
