"""A soak: simulated weeks with failing reads and kills beside the same weeks undisturbed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from allocator_pipeline_tests.soak.base import prepare
from allocator_pipeline_tests.soak.checks import check, compare
from allocator_pipeline_tests.soak.disturbance import Disturber, Watcher
from allocator_pipeline_tests.soak.progress import Progress
from allocator_pipeline_tests.soak.world import World, end_of, finish


@dataclass(frozen=True)
class Found:
    """What a soak found.

    Parameters
    ----------
    killed_at : list of str
        Simulated instants.
    interrupted : list of str
        Runs that the kills hit.
    failed_reads : list of str
    looks : int
        How often all champions were looked at meanwhile.
    differing : list of str
        Results that differ from those of the undisturbed weeks.
    """

    killed_at: list[str]
    interrupted: list[str]
    failed_reads: list[str]
    looks: int
    differing: list[str]


def soak(
    base: World,
    folder: Path,
    weeks: int,
    kills: int,
    share: float,
    seed: int,
    say: Callable[[str], None] = lambda line: None,
) -> Found:
    """Live through some weeks twice, side by side: undisturbed, and with failing reads and kills.

    Parameters
    ----------
    base : World
        Where the first champions are made, if they are not there.
    folder : Path
        Where both are lived.
    weeks, kills : int
    share : float
        Of the source's reads that fail.
    seed : int
    say : callable
        Receives a line now and then.
    """
    if not (base.folder / "clock").exists():
        say("making the first champions")
        prepare(base)
    until = end_of(weeks)
    undisturbed, disturbed = (base.copy(folder / name) for name in ("undisturbed", "disturbed"))
    progress = Progress({"disturbed": disturbed, "undisturbed": undisturbed}, weeks, say)
    calm, watcher = undisturbed.start(until), Watcher(disturbed, tell=progress.tell)
    try:
        with watcher.watching():
            killed_at = Disturber(disturbed, until, share, kills, seed).run()
        finish(calm)
    finally:
        calm.kill()
    for one in (undisturbed, disturbed):
        check(one, weeks)
    return Found(
        killed_at,
        disturbed.logged("interrupted"),
        disturbed.logged("failed_reads"),
        watcher.looks,
        compare(disturbed, undisturbed),
    )
