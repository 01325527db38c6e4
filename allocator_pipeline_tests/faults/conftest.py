"""Ways to break things: the Nth system call that fails, and processes that are killed."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from allocator_pipeline import atomic

CALLS = ("fsync", "replace", "rename", "link")


class FailingFile(io.FileIO):
    """A file of which one write fails half way."""

    call: Callable[[], None]

    def write(self, payload: Any) -> int:
        try:
            self.call()
        except OSError:
            super().write(bytes(payload)[: len(payload) // 2])
            raise
        return super().write(payload)


class Failing:
    """Count writes, fsyncs, renames and links, and let one of them fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count, self.at = 0, 0
        for name in CALLS:
            real = getattr(os, name)
            monkeypatch.setattr(os, name, lambda *args, real=real, **kwargs: (self.call(), real(*args, **kwargs))[1])
        fdopen = os.fdopen
        monkeypatch.setattr(
            os, "fdopen", lambda handle, mode: self.file(handle) if mode == "wb" else fdopen(handle, mode)
        )
        monkeypatch.setattr(atomic, "open", lambda path, mode: self.file(path), raising=False)

    def file(self, source: Path | int) -> FailingFile:
        file = FailingFile(source, "wb")
        file.call = self.call
        return file

    def call(self) -> None:
        self.count += 1
        if self.count == self.at:
            raise OSError(errno.ENOSPC, "No space left on device")

    @contextmanager
    def nth(self, number: int) -> Iterator[None]:
        """Let call number ``number`` fail (0: none)."""
        self.count, self.at = 0, number
        try:
            yield
        finally:
            self.at = 0


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Failing:
    return Failing(monkeypatch)


class Writers:
    """Processes that write without end until they are killed; forked from one that has imported everything."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "allocator_pipeline_tests.faults.writers"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, cwd=Path(__file__).parents[2]
        )

    def ask(self, line: str) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        return self.process.stdout.readline().strip()

    def start(self, what: str, folder: Path, *args: object) -> int:
        """Start one and return its process id."""
        return int(self.ask(" ".join(["start", what, str(folder), *map(str, args)])))

    def kill(self, pid: int) -> None:
        """Kill one with SIGKILL and wait until it is gone."""
        os.kill(pid, signal.SIGKILL)
        self.wait(pid)

    def wait(self, pid: int) -> int:
        """Wait for one to end and return its exit status."""
        return int(self.ask(f"wait {pid}"))

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture(scope="session")
def writers() -> Iterator[Writers]:
    started = Writers()
    yield started
    started.close()
