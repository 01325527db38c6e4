"""A week of four allocators whose models exist: label, fine-tune on market and experience, decide; wall time."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from allocator_pipeline.allocators.policy import Policy
from allocator_pipeline.artifact import Artifact, Identity
from allocator_pipeline.config import FINETUNE_WEEKS, PLANNED_ALLOCATORS, CostConfig
from allocator_pipeline.experience.labeling import label_week
from allocator_pipeline.experience.records import run_id
from allocator_pipeline.experience.store import ExperienceStore
from allocator_pipeline.experience.transitions import labelled_transitions
from allocator_pipeline.inference import decide, decision_record, paper_portfolio
from allocator_pipeline.market import calendar
from allocator_pipeline.portfolio.state import StateTensors
from allocator_pipeline.registry.artifacts import ArtifactStore
from allocator_pipeline.studies.planted import planted_states
from allocator_pipeline.training.finetune import finetune
from allocator_pipeline.training.full import train_full
from benchmarks.capture import IC
from benchmarks.row import Row

YEARS, AFTER = 10, 40
"""Years to train champions on, and weeks that they live through before the one that is measured."""

COSTS = CostConfig()


@dataclass
class Spent:
    """Wall seconds of the parts of the last measurement."""

    label: float = 0.0
    finetune: float = 0.0
    infer: float = 0.0


def row(
    allocators: tuple[str, ...] = PLANNED_ALLOCATORS, recipe: str = "default", repeats: int = 5, beside: bool = True
) -> Row:
    torch.set_num_threads(1)
    last_year = 1990 + YEARS - 1
    states = planted_states(1, len(calendar.weeks("1990-01-08", f"{last_year}-12-31")) + AFTER + 1, IC)
    champions = {name: train_full(name, last_year, states, recipe, 0, COSTS) for name in allocators}
    spent = Spent()

    def ours() -> float:
        with tempfile.TemporaryDirectory() as folder:
            store, models = ExperienceStore(Path(folder) / "experience.sqlite"), ArtifactStore(Path(folder) / "models")
            for name, champion in champions.items():
                models.save(champion)
                _live(name, champion, states, store)
            spent.label = spent.finetune = spent.infer = 0.0
            for name, champion in champions.items():
                _week(name, champion.identity, states, store, models, spent)
            return spent.label + spent.finetune + spent.infer

    return Row(
        recipe=f"{len(allocators)} allocators, `{recipe}`, one process and thread, without Dagster and prices: label a "
        f"week, fine-tune on {FINETUNE_WEEKS} weeks with as many labelled, read and store models, decide and record",
        unit="seconds of wall time",
        ours=ours,
        breakdown=lambda: {"label": spent.label, "fine-tune": spent.finetune, "infer": spent.infer},
        repeats=repeats,
        facts=lambda: by_jobs(allocators) if beside else {},
    )


def by_jobs(allocators: tuple[str, ...]) -> dict[str, float]:
    """Return the seconds of the same by the shipped jobs, each a run in a process of its own."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.dagster_week", allocators[0], allocators[-1]]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    spent = json.loads(done.stdout.splitlines()[-1])
    return {
        f"by Dagster jobs, {kind} seconds, {name}": value
        for kind, jobs in spent.items()
        for name, value in {**jobs, "all three": sum(jobs.values())}.items()
    }


def _live(name: str, champion: Artifact, states: StateTensors, store: ExperienceStore) -> None:
    """Decide all weeks after the training but the last; all are labelled but the last two decided."""
    policy = Policy.from_files(champion.files)
    for row in range(len(states) - AFTER, len(states) - 1):
        _decide(name, champion.version, policy, states, row, store)
        if row < len(states) - 3:
            _label(name, states, row, store)


def _week(
    name: str, identity: Identity, states: StateTensors, store: ExperienceStore, models: ArtifactStore, spent: Spent
) -> None:
    """Do what a week asks for: the label that has come due, the fine-tune, and the decision of the last week."""
    row = len(states) - 1
    begun = time.perf_counter()
    _label(name, states, row - 2, store)
    labelled = time.perf_counter()
    champion = models.load(name, identity.version)
    models.save(finetune(champion, str(states.weeks[row]), states, labelled_transitions(store, name), COSTS))
    tuned = time.perf_counter()
    _decide(name, identity.version, Policy.from_files(champion.files), states, row, store)
    spent.label += labelled - begun
    spent.finetune += tuned - labelled
    spent.infer += time.perf_counter() - tuned


def _label(name: str, states: StateTensors, row: int, store: ExperienceStore) -> None:
    week = str(states.weeks[row])
    label_week(store, run_id(week, name), states, calendar.week(week)["exit_session"], COSTS)


def _decide(name: str, version: str, policy: Policy, states: StateTensors, row: int, store: ExperienceStore) -> None:
    week, before = (str(states.weeks[at]) for at in (row, row - 1))
    previous = store.get(run_id(before, name))
    portfolio = paper_portfolio(previous.decision if previous else None, week, states)
    store.record_decision(decision_record(decide(name, (version, policy), states, week, portfolio, COSTS)))
