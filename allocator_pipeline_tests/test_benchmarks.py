"""The benchmarks measure both sides alike, keep what they measured, and compare with maps that are what they say."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import itertools
import json
import math
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from allocator_pipeline.allocators.recipes import recipe, recipe_values
from allocator_pipeline.atomic import canonical_json, sha256
from allocator_pipeline.config import CostConfig
from allocator_pipeline.portfolio.constraints import N_ASSETS, check_weights, project
from benchmarks import rows
from benchmarks.__main__ import keep
from benchmarks.capture import NOT_MEASURED, capture_facts
from benchmarks.forecasting import material
from benchmarks.projections import euclidean, euclidean_by_bisection, kullback_leibler_by_bisection
from benchmarks.row import Row, Skipped, lines, measure
from benchmarks.table import table

ROOT = Path(__file__).resolve().parent.parent
NAMES = sorted(module.name for module in pkgutil.iter_modules(rows.__path__))
COSTS = CostConfig()
LOGITS = arrays(np.float64, (3, N_ASSETS), elements=st.floats(-50, 50))
RECORD = {"name", "recipe", "ours", "reference", "ratio", "min", "max", "unit", "command"}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.setenv("ALLOCATOR_DATA_DIR", str(tmp_path))


def test_the_sides_alternate_and_so_does_the_one_that_goes_first():
    told: list[str] = []
    ours, reference = itertools.count(10.0, 10.0), itertools.repeat(2.0)

    def side(name, numbers):
        def work():
            told.append(name)
            return next(numbers)

        return work

    result = measure("r", Row("both", "things", side("ours", ours), side("reference", reference), repeats=3))
    assert told == ["reference", "ours", "reference", "ours", "ours", "reference", "reference", "ours"]
    # The first of ours, 10, was the warm-up.
    assert (result["ours"], result["reference"]) == (30.0, 2.0)
    assert (result["min"], result["ratio"], result["max"]) == (10.0, 15.0, 20.0)
    assert result["command"] == "make bench ONLY=r"
    assert set(result) == RECORD


def test_a_row_without_a_reference_has_no_ratio():
    numbers = iter([3.0, 1.0, math.inf])
    row = Row("alone", "seconds", lambda: next(numbers), repeats=3, warm_up=False, facts=lambda: {"why": "so"})
    result = measure("alone", row)
    assert set(result) == RECORD | {"facts"}
    assert (result["ours"], result["reference"], result["ratio"]) == (3.0, None, None)
    assert (result["min"], result["max"]) == (1.0, None), "what is never reached is null"
    told = "\n".join(lines(result))
    assert "min 1, max never; no reference" in told
    assert "why: so" in told


def test_results_of_other_rows_stay(tmp_path):
    target = tmp_path / "results" / "bench.json"
    for name, ours in (("b", 1.0), ("a", 2.0), ("b", 3.0)):
        keep(target, {"name": name, "ours": ours})
    assert json.loads(target.read_text()) == [{"name": "a", "ours": 2.0}, {"name": "b", "ours": 3.0}]


def test_the_table_shows_what_is_kept():
    paired = measure("p", Row("both", "things", lambda: 300.0, lambda: 2.0, repeats=1, facts=lambda: {"captured": 0.9}))
    alone = measure("a", Row("alone", "seconds", lambda: 2.5, repeats=1))
    assert table([paired, alone]).splitlines()[2:] == [
        "| `p` | 300 | 2 | things | 150 (150 to 150) | 0.90 |",
        "| `a` | 2.5 (2.5 to 2.5) |  | seconds |  |  |",
    ]


def test_an_unknown_row_is_refused_with_the_names_there_are(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "env_steps"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"ALLOCATOR_DATA_DIR": str(tmp_path)},
    )
    assert done.returncode == 2
    assert "There is no row env_steps." in done.stderr
    assert "env_steps_1024" in done.stderr
    assert not (tmp_path / "results").exists()


def test_the_document_names_every_row():
    text = (ROOT / "docs" / "benchmarks.md").read_text()
    assert [name for name in NAMES if f"`{name}`" not in text] == []


def study(tmp_path, captured, **changes):
    values = sha256(canonical_json(recipe_values(recipe("ppo", "default"))))
    row = {"ic": 0.1, "allocator": "ppo", "recipe": "default", "recipe_sha256": values, "captured_median": captured}
    (tmp_path / "learnability.json").write_text(
        json.dumps([row | changes, row | {"ic": 0.05, "captured_median": 0.1}, row | {"recipe": "x"}])
    )


@pytest.mark.parametrize(("captured", "counts"), [(0.97, True), (0.88, True), (0.87, False)])
def test_a_recipe_that_misses_the_learning_target_does_not_count(tmp_path, captured, counts):
    study(tmp_path, captured)
    facts = capture_facts("ppo", "default", tmp_path)
    assert (facts["captured"], facts["counts"]) == (captured, counts)
    assert f"captured {captured:.2f} (make learnability)" in facts["capture"]
    assert ("does not count" in facts["capture"]) is not counts


def test_a_recipe_that_was_not_studied_says_so(tmp_path):
    assert capture_facts("ppo", "default", tmp_path)["capture"] == NOT_MEASURED
    study(tmp_path, 0.97, allocator="sac", recipe="reference")
    assert capture_facts("sac", "default", tmp_path)["counts"] is None
    study(tmp_path, 0.97, recipe_sha256="0" * 64)  # the recipe has changed since
    assert capture_facts("ppo", "default", tmp_path)["counts"] is None


@given(LOGITS)
def test_bisection_finds_our_constraint_map(logits):
    np.testing.assert_allclose(kullback_leibler_by_bisection(logits, COSTS), project(logits, COSTS), atol=1e-11)


@given(LOGITS, st.integers(0, 2**32 - 1))
def test_sorting_and_bisection_find_the_same_nearest_weights(points, seed):
    nearest = check_weights(euclidean(points, COSTS), COSTS)
    np.testing.assert_allclose(euclidean_by_bisection(points, COSTS), nearest, atol=1e-10)
    # A point is the nearest of a convex set if no other point of it lies on its far side.
    others = project(np.random.default_rng(seed).normal(0.0, 3.0, (50, N_ASSETS)), COSTS)
    assert ((points - nearest)[:, None] * (others - nearest[:, None])).sum(-1).max() < 1e-9


def tiny(algorithm):
    """Return a default recipe with two members and as little work as it can have."""
    base = recipe(algorithm, "default")
    changes = {"n_envs": 4, "members": 2, "total_steps": 4 * base.episode_weeks}
    if algorithm == "ppo":
        changes |= {"batch_size": 4 * base.episode_weeks * N_ASSETS}
    if algorithm == "sac":
        changes |= {"batch_size": 64, "warmup_steps": 40}
    return dataclasses.replace(base, **changes)


def small_material():
    return material(stocks=6, days=300, warm_up=130)


OPTIONAL = {
    "lstm_vs_neuralforecast": "neuralforecast",
    "patchtst_vs_neuralforecast": "neuralforecast",
    "patchtst_vs_transformers": "transformers",
}
"""Rows by the library that they need and that need not be installed."""

TINY = {
    "constraint_map": lambda: {"rows": 16, "loops": 5},
    "dpg_weeks": lambda: {"chosen": tiny("dpg"), "stacks": (1, 2), "repeats": 1},
    "env_steps_1024": lambda: {"portfolios": 8, "vector_steps": 60, "loop_steps": 60, "repeats": 1},
    "forecast_backfill_cpu_seconds": lambda: {"years": 1, "forecasters": ("lstm",), "repeats": 1, "beside": False},
    "forecast_cost_by_stocks": lambda: {"stocks": (8, 5), "forecasters": ("lstm", "ridge"), "repeats": 1},
    "gpu_env_steps": lambda: {"where": "cpu", "portfolios": 8, "repeats": 1},
    "gpu_ppo_steps": lambda: {"where": "cpu", "portfolios": 8, "repeats": 1},
    "incremental_week": lambda: {"allocators": ("dpg_lstm",), "repeats": 1, "beside": False},
    "lstm_vs_loop": lambda: {"data": small_material(), "batches": (16,), "windows": 32, "repeats": 1},
    "patchtst_vs_loop": lambda: {"data": small_material(), "batches": (16,), "windows": 32, "repeats": 1},
    "ppo_per_learner": lambda: {"chosen": tiny("ppo"), "steps": 52, "folds": 2, "repeats": 1},
    "ppo_steps": lambda: {"chosen": tiny("ppo"), "reference_steps": 52, "repeats": 1},
    "ppo_throughput": lambda: {"portfolios": 8, "reference_steps": 52, "repeats": 1},
    "ppo_to_skill": lambda: {"chosen": tiny("ppo"), "markets": 1, "skill": -math.inf},
    "sac_equal_samples": lambda: {"chosen": tiny("sac"), "reference_steps": 104, "repeats": 1},
    "sac_equal_updates": lambda: {"chosen": tiny("sac"), "reference_steps": 104, "repeats": 1},
}


@pytest.mark.parametrize("name", sorted(TINY))
def test_every_row_measures(name):
    row = importlib.import_module(f"benchmarks.rows.{name}").row(**TINY[name]())
    result = measure(name, row)
    assert result["ours"] > 0
    assert (result["ratio"] is None) == (row.reference is None)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert lines(result)[0].startswith(f"{name}: ")


def test_no_row_is_left_out():
    assert set(NAMES) == {*TINY, *OPTIONAL, "walk_forward"}


@pytest.mark.parametrize(("name", "library"), OPTIONAL.items())
def test_a_row_of_an_optional_library_measures_or_says_what_is_missing(name, library):
    row = importlib.import_module(f"benchmarks.rows.{name}").row(data=small_material(), few=1, many=11, repeats=1)
    if importlib.util.find_spec(library) is None:
        assert isinstance(row, Skipped)
        assert f"{library} is not installed" in row.reason
        return
    result = measure(name, row)
    assert result["ratio"] > 0
    assert json.loads(json.dumps(result, allow_nan=False)) == result


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("name", ["gpu_env_steps", "gpu_ppo_steps"])
def test_without_a_gpu_its_rows_are_skipped_in_words(name):
    skipped = importlib.import_module(f"benchmarks.rows.{name}").row()
    assert isinstance(skipped, Skipped)
    assert "no CUDA device" in skipped.reason


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_short_walk_forward_measures():
    row = importlib.import_module("benchmarks.rows.walk_forward").row(years=1, allocators=("ppo_lstm",))
    result = measure("walk_forward", row)
    assert result["ratio"] > 0
    assert result["facts"]["measured"] == "1 time"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_back_fill_in_dagster_is_measured_beside_it():
    row = importlib.import_module("benchmarks.rows.forecast_backfill_cpu_seconds")
    facts = measure("r", row.row(years=1, forecasters=("ridge",), repeats=1))["facts"]
    assert facts["forecasts"] == "ridge 780"
    assert all(seconds > 0 for told, seconds in facts.items() if told.startswith("not counted"))
    assert len(facts) == 4


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_incremental_week_is_measured_by_the_shipped_jobs_too():
    facts = importlib.import_module("benchmarks.rows.incremental_week").by_jobs(("dpg_lstm",))
    assert [told.rsplit(", ", 1)[1] for told in facts] == ["label", "fine-tune", "infer", "all three"] * 2
    assert all(seconds > 0 for seconds in facts.values())
