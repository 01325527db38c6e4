"""The examples of the documents run, and what they write is accepted."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from allocator_pipeline.market.external import read_external

EXAMPLE = Path(__file__).resolve().parent.parent / "docs" / "examples" / "external_forecasts.py"


@pytest.fixture(scope="module")
def example():
    specification = importlib.util.spec_from_file_location("external_forecasts_example", EXAMPLE)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_the_table_it_writes_is_accepted(tmp_path):
    path = tmp_path / "forecasts.parquet"
    command = [sys.executable, str(EXAMPLE), str(path)]
    root = {"PYTHONPATH": str(EXAMPLE.parents[2]), "PATH": "", "OMP_NUM_THREADS": "1"}
    subprocess.run(command, env=root, check=True, capture_output=True, timeout=120)
    table = read_external(path)
    assert table["forecaster"].unique().tolist() == ["toy"]
    assert table["symbol"].nunique() == 20
    assert table["q95"].notna().all()
    assert table["week"].min().year == 1995


def test_its_model_speaks_in_order(example):
    closes = 50 * np.exp(np.cumsum(0.01 * np.random.default_rng(0).standard_normal(300)))
    expected, quantiles = example.model(closes)
    assert abs(expected) < 0.01
    assert (np.diff(quantiles) > 0).all()
