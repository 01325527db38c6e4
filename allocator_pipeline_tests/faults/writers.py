"""Programs that write without end; run as a process that forks one per request, so that each starts at once."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from allocator_pipeline import atomic
from allocator_pipeline.account.ledger import AccountLedger
from allocator_pipeline.account.tape import Tape
from allocator_pipeline.artifact import Artifact
from allocator_pipeline.config import AccountConfig
from allocator_pipeline.errors import MissingPartitionError, StorageError
from allocator_pipeline.experience.records import Decision
from allocator_pipeline.experience.store import ExperienceStore
from allocator_pipeline.portfolio.state import concatenate
from allocator_pipeline.registry import orders, promotion, pruning
from allocator_pipeline.registry.artifacts import ArtifactStore
from allocator_pipeline.registry.court import Court, open_court
from allocator_pipeline.registry.ledger import EvidenceLedger
from allocator_pipeline.registry.verdicts import Ruling, Verdict, VerdictLog
from allocator_pipeline_tests.account.market import (
    ALLOCATOR,
    COSTS,
    SYMBOLS,
    decisions,
    equal_target,
    make_market,
)
from allocator_pipeline_tests.registry.conftest import STATES, make_artifact, make_report, make_ruling, tilted_policy


def payload(number: int) -> bytes:
    """Return one of many payloads that verify themselves."""
    return b"%06d" % number * 20_000


def artifact(number: int) -> Artifact:
    """Return one of many artefacts."""
    return make_artifact(seed=number)


def ruling(source: str, history: list[Verdict]) -> Ruling:
    """Return the ruling that promotes a source after whatever came before."""
    return make_ruling(source, prior=history[-1].champion if history else None)


def decision(number: int) -> Decision:
    """Return one of many decisions."""
    week = f"{2000 + number // 50:04d}-01-{1 + number % 28:02d}"
    return Decision(
        f"paper:{number}:ppo_lstm", week, week, f"a{number}", "v1", {"current_weights": {}}, {}, 0.1, {}, "t"
    )


def publish(folder: Path) -> None:
    """Publish payload after payload under one pointer."""
    number = 0
    while True:
        atomic.publish(folder / "2015.json", payload(number), ".bin", {"number": number})
        number += 1


def save(folder: Path) -> None:
    """Save artefact after artefact."""
    number = 0
    while True:
        ArtifactStore(folder).save(artifact(number))
        number += 1


def promote(folder: Path, name: str, count: str = "1000000") -> None:
    """Promote source after source."""
    log = VerdictLog(folder, "ppo_lstm")
    for number in range(int(count)):
        source = f"{name}{number}"
        log.rule(source, lambda history, source=source: ruling(source, history))


def record(folder: Path, first: str) -> None:
    """Record decision after decision."""
    store = ExperienceStore(folder / "experience.sqlite")
    number = int(first)
    while True:
        store.record_decision(decision(number))
        number += 1


def book(folder: Path) -> None:
    """Book week after week, and then over again."""
    ledger, (tape, made) = AccountLedger(folder, ALLOCATOR), weeks_to_book()
    while True:
        for decided in made:
            ledger.book(decided, tape, COSTS, AccountConfig())


def contend(folder: Path, *numbers: str) -> None:
    """Judge reports on rival candidates by the real rule."""
    promotion.policy_of = tilted_policy
    court, states = contested(folder), concatenate(list(STATES.values()))
    with mock.patch.object(os, "fsync"):  # a kill is no power cut, and waiting for disks is slow
        for number in numbers:
            promotion.promote_from_report(court, rival_report(folder, int(number)), states, COSTS)


def order(folder: Path, version: str, delay: str) -> None:
    """Promote a version by hand a moment later, if it is still there."""
    time.sleep(float(delay))
    with suppress(MissingPartitionError), mock.patch.object(os, "fsync"):
        orders.promote(contested(folder), version, "2018-03-05", "a race")


def judge_if_there(folder: Path, number: str, delay: str) -> None:
    """Judge a kept report a moment later, if its candidate is still there."""
    promotion.policy_of = tilted_policy
    report, states = json.loads((folder / f"{number}.json").read_bytes()), concatenate(list(STATES.values()))
    time.sleep(float(delay))
    with suppress(MissingPartitionError), mock.patch.object(os, "fsync"):
        promotion.promote_from_report(contested(folder), report, states, COSTS)


def prune(folder: Path, keep: str, delay: str) -> None:
    """Remove all but the newest versions a moment later."""
    time.sleep(float(delay))
    few = {"MIN_JUDGED_WEEKS": 1, "SETTLING_DAYS": 0}
    with mock.patch.object(os, "fsync"), mock.patch.multiple(pruning, **few):
        pruning.prune(contested(folder), set, int(keep))


def contested(folder: Path) -> Court:
    """Return the court before which rivals contend, with few draws for the thresholds."""
    return replace(open_court(folder, "ppo_lstm"), ledger=EvidenceLedger(folder / "registry", draws=1_000))


def rival_report(folder: Path, number: int) -> dict[str, Any]:
    """Return the report of 2017 on one of many rivals, of which every other is a fine-tune."""
    slots = tuple(np.random.default_rng(number).permutation(15)[:5].tolist())
    parent = "v2015-12-28-000000" if number % 2 else None
    rival = make_artifact("2016-12-27", number, slots, parent=parent)
    ArtifactStore(folder / "models").save(rival)
    return make_report(rival.version, 2017, slots)


def one_of_each(folder: Path, number: int) -> list[Callable[[], object]]:
    """Return what writes one of each kind."""
    log, source = VerdictLog(folder / "registry", "ppo_lstm"), f"s{number}"
    return [
        lambda: atomic.publish(folder / "2015.json", payload(number), ".bin", {"number": number}),
        lambda: ArtifactStore(folder / "models").save(artifact(number)),
        lambda: log.rule(source, lambda history: ruling(source, history)),
        lambda: ExperienceStore(folder / "experience.sqlite").record_decision(decision(number)),
    ]


def starve(folder: Path, limit: str, number: str) -> None:
    """Write one of each where no file can grow beyond so many bytes; what fails must say which."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
    for write in one_of_each(folder, int(number)):
        try:
            write()
        except StorageError as error:
            if str(folder) not in str(error):
                raise


@lru_cache(maxsize=1)
def contended_once() -> None:
    """Let two rivals contend, so that calendar and the like are there."""
    with tempfile.TemporaryDirectory() as folder:
        contend(Path(folder), "0", "1")


@lru_cache(maxsize=1)
def weeks_to_book() -> tuple[Tape, list[Decision]]:
    """Return prices and the decisions of twenty weeks, whose universe changes every week."""
    targets = [equal_target(tuple(np.roll(SYMBOLS, number)[:15].tolist())) for number in range(20)]
    return make_market(2).tape(), decisions(targets)


def serve() -> None:
    """Fork a writer for each request on standard input."""
    programs: dict[str, Any] = {
        "publish": publish,
        "save": save,
        "promote": promote,
        "contend": contend,
        "order": order,
        "judge": judge_if_there,
        "prune": prune,
        "record": record,
        "book": book,
        "starve": starve,
    }
    shared: dict[str, Callable[[], object]] = {"book": weeks_to_book}
    shared |= dict.fromkeys(("contend", "order", "judge", "prune"), contended_once)
    for line in sys.stdin:
        request, *args = line.split()
        if request == "wait":
            print(os.waitstatus_to_exitcode(os.waitpid(int(args[0]), 0)[1]), flush=True)
            continue
        if args[0] in shared:
            shared[args[0]]()  # once, here: the forks share what it has made
        pid = os.fork()
        if pid == 0:
            try:
                programs[args[0]](Path(args[1]), *args[2:])
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        print(pid, flush=True)


if __name__ == "__main__":
    serve()
