from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.context
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import allocator_pipeline
from allocator_pipeline.artifact import Identity
from allocator_pipeline.training.checkpoints import Checkpoint, checkpoint_of
from allocator_pipeline_tests.training.brief import CHANGES, brief, make_learner, train, train_and_tell


class Interrupted(Exception):
    pass


def interrupt(kind: str, path: Path, tenths: int) -> None:
    """Train until so many progress messages of steps have come."""
    heard: list[str] = []

    def stop(message: str) -> None:
        heard.append(message)
        if sum("steps/s" in message for message in heard) == tenths:
            raise Interrupted

    with pytest.raises(Interrupted):
        train(kind, path, stop)


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, bytes]:
    return {kind: train(kind, None) for kind in CHANGES}


@pytest.mark.parametrize("kind", CHANGES)
def test_an_interrupted_training_ends_with_the_same_bytes(
    kind: str, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    path = tmp_path / "checkpoint"
    interrupt(kind, path, 3)
    interrupt(kind, path, 4)
    torch.manual_seed(random.randrange(1000))  # what the process has drawn meanwhile must not matter
    heard: list[str] = []
    assert train(kind, path, heard.append) == undisturbed[kind]
    resumed = int(heard[0].split("goes on from step ")[1].split()[0])
    assert 0.3 < resumed / brief(kind).total_steps < 1.0


@pytest.fixture(scope="module")
def processes() -> Iterator[multiprocessing.context.ForkServerContext]:
    """New processes that need not import torch again: each is forked from one that has done so and has no threads."""
    context = multiprocessing.get_context("forkserver")
    # an optimiser imports torch._dynamo when it is made
    context.set_forkserver_preload(["torch._dynamo", "allocator_pipeline_tests.training.brief"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(allocator_pipeline.__file__).parents[1]))
        yield context


@pytest.mark.parametrize("once_more", [0, *(pytest.param(number, marks=pytest.mark.slow) for number in range(1, 8))])
@pytest.mark.parametrize("kind", ["ppo", "sac", "dpg", "ppo-reference", "sac-reference"])
def test_a_training_killed_again_and_again_ends_with_the_same_bytes(
    kind: str,
    once_more: int,
    undisturbed: dict[str, bytes],
    tmp_path: Path,
    processes: multiprocessing.context.ForkServerContext,
) -> None:
    resumed = 0
    for moment in (0.0, random.uniform(0.0, 0.05), random.uniform(0.0, 0.1), None):
        heard, tells = processes.Pipe(duplex=False)
        process = processes.Process(target=train_and_tell, args=(kind, tmp_path / "checkpoint", tells))
        process.start()
        tells.close()
        said = heard.recv_bytes()
        resumed += b"goes on from step" in said
        if moment is None:
            while said.startswith(kind.encode()):
                said = heard.recv_bytes()
            process.join()
            assert said == undisturbed[kind]
        else:
            with contextlib.suppress(EOFError):
                heard.recv_bytes()  # a checkpoint was written before this message
            time.sleep(moment)
            assert process.pid is not None
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
            process.join()
        heard.close()
        process.close()
    assert resumed == 3


def test_a_checkpoint_of_another_training_is_not_used(undisturbed: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    interrupt("ppo", path, 3)
    heard: list[str] = []
    assert train("dpg", path, heard.append) == undisturbed["dpg"]
    assert heard[0] == (
        "checkpoint: the checkpoint is not used, training starts anew. "
        "It is of another training or of other library versions."
    )
    assert train("dpg", path, heard.append) == undisturbed["dpg"]
    assert "goes on from step 624 of 624" in heard[-1]  # it was overwritten


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_a_damaged_checkpoint_is_not_used(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("damaged") / "checkpoint"
    learner = make_learner("dpg", brief("dpg"))
    heard: list[str] = []
    checkpoint = Checkpoint(path, "x", 0.0, heard.append)
    with checkpoint.held():
        checkpoint.save(learner)
        whole = path.read_bytes()
        at = data.draw(st.integers(0, len(whole) - 1))
        cut = data.draw(st.booleans())
        flipped = bytes([whole[at] ^ data.draw(st.integers(1, 255))])
        path.write_bytes(whole[:at] if cut else whole[:at] + flipped + whole[at + 1 :])
        other = make_learner("dpg", brief("dpg"))
        before = {name: tensor.detach().clone() for name, tensor in other.trained().items()}
        assert not checkpoint.resume(other)
        assert all(torch.equal(before[name], tensor) for name, tensor in other.trained().items())
    assert len(heard) == 1


def test_only_one_of_two_processes_has_the_checkpoint(tmp_path: Path) -> None:
    learner = make_learner("dpg", brief("dpg"))
    heard: list[str] = []
    first, second = (Checkpoint(tmp_path / "c", "x", 0.0, heard.append) for _ in range(2))
    with first.held():
        first.save(learner)
        with second.held():
            assert not second.due()
            assert not second.resume(learner)
            second.save(learner)
        assert first.due()
        assert first.resume(learner)
    assert heard == ["c: another process trains the same; this one goes without checkpoints."]
    with second.held():
        assert second.resume(learner)


def test_is_written_now_and_then_and_discarded_without_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    identity = Identity("policy", "dpg_lstm", "1992-12-28", {}, "0" * 64)
    checkpoint = checkpoint_of(tmp_path, identity)
    assert checkpoint.path == tmp_path / "dpg_lstm" / f"{identity.version}.safetensors"
    learner = make_learner("dpg", brief("dpg"))
    assert not checkpoint.due()
    with checkpoint.held():
        now[0] = 4.9
        assert not checkpoint.due()
        now[0] = 5.1
        assert checkpoint.due()
        checkpoint.save(learner)
        assert not checkpoint.due()
        (checkpoint.path.parent / f".{checkpoint.path.name[:40]}.torn.tmp").write_bytes(b"half")
    checkpoint.discard()
    assert list(checkpoint.path.parent.iterdir()) == []
    checkpoint.discard()
