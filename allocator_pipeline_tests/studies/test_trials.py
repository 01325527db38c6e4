from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from allocator_pipeline.allocators.recipes import RECIPES
from allocator_pipeline.studies import trials
from allocator_pipeline.studies.trials import (
    Run,
    Trial,
    append_run,
    bare_code,
    minutes_left,
    read_runs,
    run_trial,
    run_trials,
)

TRIAL = Trial("dpg", "tiny", 0.10, 1, 0)
NULL = dataclasses.replace(TRIAL, ic=0.0)


@pytest.fixture(scope="module", autouse=True)
def tiny() -> object:
    """A recipe of a few updates."""
    short = dataclasses.replace(RECIPES["dpg", "default"], name="tiny", members=2, n_envs=4, total_steps=4 * 52 * 30)
    patch = pytest.MonkeyPatch()
    patch.setattr("allocator_pipeline.allocators.recipes.RECIPES", {**RECIPES, ("dpg", "tiny"): short})
    yield
    patch.undo()


@pytest.fixture(scope="module")
def finished() -> Run:
    return run_trial(TRIAL)


def test_a_trial_compares_the_policy_with_equal_weight_and_oracle(finished: Run) -> None:
    equal, oracle = finished["equal"], finished["oracle"]
    assert finished["captured"] == pytest.approx((finished["sharpe"] - equal) / (oracle - equal))
    assert finished["unshrunk_captured"] == pytest.approx((finished["unshrunk_sharpe"] - equal) / (oracle - equal))
    assert 0.3 < finished["captured"] < 1.3
    assert finished["share"] == pytest.approx(min(1.0, max(0.0, finished["t"] - 0.5)))
    assert finished["turnover"] > 0.01
    assert finished["cpu_seconds"] > 0.0


def test_nothing_is_captured_where_nothing_is_planted() -> None:
    found = run_trial(NULL)
    assert found["captured"] is found["unshrunk_captured"] is None
    assert found["excess"] == pytest.approx(found["sharpe"] - found["equal"])
    assert abs(found["excess"]) <= abs(found["unshrunk_excess"])


def test_a_study_goes_on_where_it_stopped(tmp_path: Path, finished: Run) -> None:
    store, said = tmp_path / "results" / "runs.jsonl", []
    append_run(store, {"key": TRIAL.key(), **dataclasses.asdict(TRIAL), **finished})
    runs, earlier = run_trials([NULL, TRIAL], store, 1, said.append)
    assert earlier == 1
    assert [run["ic"] for run in runs] == [0.0, 0.10]
    assert runs[1]["sharpe"] == finished["sharpe"]
    assert len(said) == 2
    assert said[1].startswith("[2/2] dpg tiny, null, market 1, seed 0")
    again, earlier = run_trials([NULL, TRIAL], store, 1, said.append)
    assert (again, earlier, len(said)) == (runs, 2, 3)


def test_a_line_cut_short_costs_one_training_and_no_more(tmp_path: Path) -> None:
    store = tmp_path / "runs.jsonl"
    append_run(store, {"key": "a", "t": float("nan")})
    with store.open("ab") as file:
        file.write(b'{"key": "b", "t"')
    append_run(store, {"key": "c", "t": 1.0})
    assert read_runs(store) == {"a": {"key": "a", "t": None}, "c": {"key": "c", "t": 1.0}}
    assert all(json.loads(line) for line in store.read_text().splitlines()[::2])


def test_a_store_that_does_not_exist_is_empty(tmp_path: Path) -> None:
    assert read_runs(tmp_path / "runs.jsonl") == {}


def test_a_key_changes_with_all_that_shapes_a_training(monkeypatch: pytest.MonkeyPatch) -> None:
    key = TRIAL.key()
    assert key == Trial("dpg", "tiny", 0.10, 1, 0).key()
    others = [
        dataclasses.replace(TRIAL, **change)
        for change in (
            {"algorithm": "ppo", "recipe": "default"},
            {"recipe": "default"},
            {"ic": 0.05},
            {"market": 2},
            {"seed": 1},
        )
    ]
    assert len({key, *(other.key() for other in others)}) == 6
    short = dataclasses.replace(RECIPES["dpg", "default"], name="tiny", learning_rate=0.5)
    with monkeypatch.context() as changed:
        changed.setattr("allocator_pipeline.allocators.recipes.RECIPES", {("dpg", "tiny"): short})
        assert TRIAL.key() != key
    with monkeypatch.context() as changed:
        changed.setattr(trials, "code_digest", lambda: "other code")
        assert TRIAL.key() != key


def test_only_what_runs_counts_as_code() -> None:
    source = 'def double(x):\n    """Return twice x."""\n    return 2 * x  # fast\n'
    assert bare_code(source) == bare_code("def double(x):\n\n    return 2*x\n")
    assert bare_code(source) != bare_code(source.replace("2 *", "3 *"))
    assert bare_code('x = "text"') != bare_code('x = "other"')


@pytest.mark.parametrize("changed", ["learners/dpg.py", "portfolio/constraints.py", "studies/planted.py"])
def test_the_code_digest_reads_what_trains_and_judges(
    changed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = fresh_digest(monkeypatch, tmp_path, {})
    assert fresh_digest(monkeypatch, tmp_path, {"allocators/recipes.py": "x = 1", "defs/build.py": "x = 1"}) == digest
    assert fresh_digest(monkeypatch, tmp_path, {changed: "x = 1"}) != digest


def fresh_digest(monkeypatch: pytest.MonkeyPatch, folder: Path, files: dict[str, str]) -> str:
    for name, source in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(source)
    monkeypatch.setattr(trials, "PACKAGE", folder)
    read: Callable[[], str] = trials.code_digest.__wrapped__
    return read()


def test_time_left_counts_each_kind_at_its_own_cost() -> None:
    slow, fast = Trial("sac", "reference", 0.1, 1, 0), TRIAL
    spent = {("sac", "reference"): [100.0, 140.0], ("dpg", "tiny"): [10.0]}
    assert minutes_left([slow, fast, fast], spent, jobs=2) == pytest.approx(70 / 60)
    assert minutes_left([Trial("ppo", "default", 0.1, 1, 0)], spent, jobs=1) == pytest.approx(65 / 60)
    assert minutes_left([], spent, jobs=2) == 0.0
