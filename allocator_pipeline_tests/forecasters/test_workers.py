from __future__ import annotations

import json
import subprocess
from typing import Any, ClassVar

import pytest

from allocator_pipeline import processes
from allocator_pipeline.errors import NotEnoughDataError
from allocator_pipeline.forecasters.chains import fit_chain
from allocator_pipeline.forecasters.workers import ChainTask, fit_in_processes

WHOLE = {"has_open": True, "has_volume": True}


class Counted(subprocess.Popen[str]):
    started: ClassVar[list[Counted]] = []

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.started.append(self)


@pytest.fixture(autouse=True)
def count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes.subprocess, "Popen", Counted)
    monkeypatch.setattr(Counted, "started", [])


def test_chains_in_processes_have_the_bytes_of_one_by_one(market):
    parent = next(fit_chain("ridge", [2013], {2013: market}, **WHOLE))
    cold = next(fit_chain("lstm", [2013], {2013: market}, **WHOLE))
    tasks = [
        ChainTask("lstm", (2014, 2015), "2015", cold.version, **WHOLE),
        ChainTask("ridge", (2014,), "2015", **WHOLE),
        ChainTask("ridge", (2015,), "2015", **WHOLE),
    ]
    arguments = (tasks, {"2015": market}, {cold.version: cold, parent.version: parent})
    lines: list[str] = []
    alone = {artifact.version: artifact for artifact in fit_in_processes(*arguments, 1, lines.append)}
    assert not Counted.started
    together = {artifact.version: artifact for artifact in fit_in_processes(*arguments, 2, lines.append)}
    assert len(Counted.started) == 2
    assert all(process.poll() is not None for process in Counted.started)
    assert len(alone) == 4
    assert {version: dict(model.files) for version, model in alone.items()} == {
        version: dict(model.files) for version, model in together.items()
    }
    assert all(alone[version].manifest() == together[version].manifest() for version in alone)
    assert sum("2014 lstm: epoch" in line for line in lines) == 4  # two epochs, twice


def test_errors_cross_over(market):
    tasks = [ChainTask("ridge", (2011,), "2015"), ChainTask("ridge", (2010,), "2015")]
    with pytest.raises(NotEnoughDataError, match="forecaster of 201"):
        list(fit_in_processes(tasks, {"2015": market}, {}, 2, lambda line: None))
    assert all(process.poll() is not None for process in Counted.started)


def test_tasks_cross_over():
    task = ChainTask("patchtst", (2001, 2002), "2002", "v2000-12-29-abc123", seed=4, has_open=True)
    assert ChainTask.from_json(json.loads(json.dumps(task.to_json()))) == task
    assert task.label == "patchtst 2001-2002"
