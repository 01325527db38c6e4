"""Memory of a process and its children, as shared out by the kernel."""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

EVERY_SECONDS = 0.5


class PeakMemory:
    """Samples the proportional set size of this process and all below it; what they share counts once. Linux only.

    Attributes
    ----------
    mebibytes : float
        Greatest sum seen; 0 where the kernel does not tell.
    """

    def __init__(self) -> None:
        self.mebibytes = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self.mebibytes = max(self.mebibytes, sum(map(_proportional, _family(os.getpid()))) / 1024)
            if self._done.wait(EVERY_SECONDS):
                return


def _family(root: int) -> list[int]:
    found = [root]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*"):
            with contextlib.suppress(OSError):
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def _proportional(process: int) -> float:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return float(line.split()[1])
    return 0.0


def extra_mebibytes(work: Callable[[], object]) -> float | None:
    """Return by how much the memory of this process peaks, while it works, over what it held before, MiB.

    What earlier work has freed is first given back to the kernel, which keeps the peak and is told to forget the
    earlier one; None where it cannot be told.
    """
    try:
        ctypes.CDLL(None).malloc_trim(0)
        before = _status("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # proc(5): reset the peak resident set size
        work()
        return (_status("VmHWM") - before) / 1024
    except (OSError, AttributeError):  # another kernel, another C library
        return None


def _status(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(f"{field}:")))
