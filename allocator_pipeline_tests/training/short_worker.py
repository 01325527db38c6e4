"""The worker with short recipes, for tests; an environment variable makes it die or fail over a task."""

from __future__ import annotations

import dataclasses
import os
import signal
from pathlib import Path

from allocator_pipeline.allocators import recipes
from allocator_pipeline.portfolio.state import StateTensors
from allocator_pipeline.training import checkpoints, worker
from allocator_pipeline.training.progress import Progress
from allocator_pipeline_tests.training.conftest import LAST_YEAR, SHORT

MISHAP = "SHORT_WORKER_MISHAP"
"""What happens at the third message about the last year: ``fail``; ``die``; or, of a path, die unless it exists."""


class Unlucky:
    """Hears the messages of a training and does what `MISHAP` says."""

    def __init__(self, progress: Progress) -> None:
        self.progress, self.heard = progress, 0

    def __call__(self, message: str) -> None:
        self.progress(message)
        self.heard += 1
        mishap = os.environ.get(MISHAP, "")
        if not mishap or self.heard != 3 or f" {LAST_YEAR} " not in message:
            return
        if mishap == "fail":
            raise ZeroDivisionError("out of luck")
        if mishap == "die" or not Path(mishap).exists():
            if mishap != "die":
                Path(mishap).touch()
            os.kill(os.getpid(), signal.SIGKILL)


class ShortTask(worker.Task):
    """A task with its messages on their way through `Unlucky`."""

    def run(self, states: StateTensors, progress: Progress) -> worker.Artifact:
        return super().run(states, Unlucky(progress))


if __name__ == "__main__":
    checkpoints.EVERY_SECONDS = 0.0
    for key, changes in SHORT.items():
        recipes.RECIPES[key] = dataclasses.replace(recipes.RECIPES[key], **changes)  # type: ignore[index]
    worker.Task = ShortTask  # type: ignore[misc]
    worker.main()
