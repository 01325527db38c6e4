"""What a GPU does, where there is one: whole rollouts and updates resident on it."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from benchmarks.row import Skipped

DEVICE = "cuda"

NO_DEVICE = Skipped("there is no CUDA device here: nothing was measured on a GPU. Everything runs without one.")


def absent() -> bool:
    """Return whether this machine lacks a CUDA device."""
    return not torch.cuda.is_available()


def seconds(work: Callable[[], object], device: str) -> float:
    """Return the wall seconds that some work takes, until the device has finished it."""
    wait = torch.cuda.synchronize if device == DEVICE else _nothing
    wait()
    begun = time.perf_counter()
    work()
    wait()
    return time.perf_counter() - begun


def name(device: str) -> str:
    """Return what the device is called."""
    return torch.cuda.get_device_name() if device == DEVICE else "CPU, one thread"


def _nothing() -> None:
    """Wait for nothing: a CPU has finished when a call returns."""
