from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import allocator_pipeline
from allocator_pipeline import processes
from allocator_pipeline.artifact import Artifact
from allocator_pipeline.config import CostConfig
from allocator_pipeline.errors import AllocatorError, ConfigurationError, NotEnoughDataError, WorkerError
from allocator_pipeline.portfolio.state import StateTensors
from allocator_pipeline.training import workers
from allocator_pipeline.training.worker import FIELDS, Task, share_states, shared_states
from allocator_pipeline.training.workers import train_in_processes
from allocator_pipeline_tests.training.conftest import LAST_YEAR, YEARS
from allocator_pipeline_tests.training.short_worker import MISHAP

SHORT_WORKER = "allocator_pipeline_tests.training.short_worker"
TASKS = [
    Task("ppo_lstm", LAST_YEAR, "lstm", min_years=YEARS),
    Task("dpg_lstm", LAST_YEAR, "lstm", min_years=YEARS, seed=3, costs=CostConfig(cost_bps=7.0)),
    Task("sac_patchtst", LAST_YEAR - 1, "patchtst", "reference", min_years=2, rows=(0, 110)),
]


@pytest.fixture(autouse=True)
def short_worker(short_recipes: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Short recipes, in this process and in others."""
    monkeypatch.setattr(workers, "MODULE", SHORT_WORKER)


class Counted(subprocess.Popen[str]):
    """A process that is known to `alive`."""

    started: ClassVar[list[Counted]] = []

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.started.append(self)


@pytest.fixture(autouse=True)
def count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes.subprocess, "Popen", Counted)
    monkeypatch.setattr(Counted, "started", [])


def alive() -> int:
    return sum(process.poll() is None for process in Counted.started)


@pytest.fixture
def both(states: StateTensors) -> dict[str, StateTensors]:
    return {"lstm": states, "patchtst": dataclasses.replace(states, forecasts=-states.forecasts)}


def one_by_one(tasks: list[Task], states: dict[str, StateTensors]) -> dict[Task, Artifact]:
    return dict(train_in_processes(tasks, states, 1))


def test_processes_train_the_same_bytes_though_one_is_killed(
    both: dict[str, StateTensors], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = one_by_one(TASKS, both)
    monkeypatch.setenv(MISHAP, str(tmp_path / "has_died"))
    watched = [dataclasses.replace(task, checkpoints=tmp_path / "checkpoints") for task in TASKS]
    heard: list[str] = []
    together = dict(train_in_processes(watched, both, 2, heard.append))
    assert (tmp_path / "has_died").exists()
    assert sum("its process was ended by SIGKILL; another one takes over" in message for message in heard) == 1
    assert sum("goes on from step" in message for message in heard) == 1
    assert len(Counted.started) >= 2
    assert alive() == 0
    for task, plain in zip(watched, TASKS, strict=True):
        assert together[task].manifest() == alone[plain].manifest()
        assert dict(together[task].files) == dict(alone[plain].files)


def test_a_process_that_dies_twice_is_an_error(both: dict[str, StateTensors], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MISHAP, "die")
    with pytest.raises(WorkerError, match=rf"trains ppo_lstm {LAST_YEAR} default was ended by SIGKILL, 2 times"):
        list(train_in_processes([TASKS[0], TASKS[2]], both, 2))
    assert len(Counted.started) >= 2
    assert alive() == 0


def test_errors_cross_over(both: dict[str, StateTensors], monkeypatch: pytest.MonkeyPatch) -> None:
    demanding = [TASKS[2], dataclasses.replace(TASKS[0], min_years=40)]
    with pytest.raises(NotEnoughDataError) as alone:
        one_by_one(demanding, both)
    with pytest.raises(NotEnoughDataError) as there:
        list(train_in_processes(demanding, both, 2))
    for count in (1, 2):
        failures: list[tuple[Task, AllocatorError]] = []
        with pytest.raises(NotEnoughDataError):
            list(train_in_processes(demanding, both, count, failed=lambda *which: failures.append(which)))  # noqa: B023 (at once)
        assert [(task, str(error)) for task, error in failures] == [(demanding[1], str(alone.value))]
    assert vars(there.value) == vars(alone.value)
    assert str(there.value) == str(alone.value)
    assert len(Counted.started) >= 2
    assert alive() == 0
    monkeypatch.setenv(MISHAP, "fail")
    with pytest.raises(WorkerError, match=f"over ppo_lstm {LAST_YEAR} default: ZeroDivisionError: out of luck") as odd:
        list(train_in_processes([TASKS[0], TASKS[2]], both, 2))
    assert "Traceback" in odd.value.__notes__[0]


def test_an_iteration_given_up_ends_the_processes(both: dict[str, StateTensors]) -> None:
    endless = dataclasses.replace(TASKS[0], recipe="reference", min_years=YEARS)
    results = train_in_processes([endless, TASKS[2], *[endless] * 5], both, 2)
    next(results)
    assert alive() == 2
    results.close()  # type: ignore[attr-defined]
    assert len(Counted.started) >= 2
    assert alive() == 0


def test_workers_end_with_their_parent(both: dict[str, StateTensors], tmp_path: Path) -> None:
    share_states(tmp_path / "states" / "lstm", both["lstm"])
    environment = {**os.environ, "PYTHONPATH": str(Path(allocator_pipeline.__file__).parents[1])}
    with subprocess.Popen(
        [sys.executable, "-m", SHORT_WORKER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        values = dataclasses.replace(TASKS[0], recipe="reference").to_json()
        process.stdin.write(json.dumps({"number": 0, "task": values}) + "\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["kind"] == "progress"
        process.stdin.close()
        assert process.wait(10) == 0
    assert not (tmp_path / "results").exists()


def test_unknown_states_are_refused(both: dict[str, StateTensors]) -> None:
    with pytest.raises(ConfigurationError, match="There are no state tensors 'gru'"):
        list(train_in_processes([Task("ppo_gru", LAST_YEAR, "gru")], both, 1))


@pytest.mark.parametrize("task", TASKS)
def test_tasks_cross_over(task: Task, tmp_path: Path) -> None:
    for sent in (task, dataclasses.replace(task, checkpoints=tmp_path, tensorboard=tmp_path / "t")):
        assert Task.from_json(json.loads(json.dumps(sent.to_json()))) == sent


def test_states_are_mapped_not_copied(both: dict[str, StateTensors], tmp_path: Path) -> None:
    share_states(tmp_path / "x", both["lstm"])
    mapped = shared_states(tmp_path / "x")
    assert mapped.digest() == both["lstm"].digest()
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(mapped, name), getattr(both["lstm"], name))
        assert isinstance(getattr(mapped, name).base, np.memmap)
        assert not getattr(mapped, name).flags.writeable
