"""Small artefacts whose policy holds some slots, and reports on them."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from allocator_pipeline.artifact import Artifact, Identity
from allocator_pipeline.config import CostConfig
from allocator_pipeline.evaluation.metrics import metrics
from allocator_pipeline.evaluation.walk_forward import FORMAT
from allocator_pipeline.market import calendar
from allocator_pipeline.portfolio.rollout import simulate
from allocator_pipeline.portfolio.state import concatenate
from allocator_pipeline.registry import promotion
from allocator_pipeline.registry.artifacts import ArtifactStore, LoadedArtifact
from allocator_pipeline.registry.court import Court, open_verdicts
from allocator_pipeline.registry.inputs import InputStore
from allocator_pipeline.registry.ledger import EvidenceLedger
from allocator_pipeline.registry.verdicts import Ruling, VerdictLog
from allocator_pipeline.registry.witnesses import told_of_tries
from allocator_pipeline_tests.evaluation.conftest import Tilted, year_of_states

__all__ = ["Tilted", "year_of_states"]


STATES = {year: year_of_states(year) for year in (2016, 2017, 2018)}
COSTS = CostConfig()
CUTOFFS = {2015: "2015-12-28", 2016: "2016-12-27", 2017: "2017-12-26"}


def make_artifact(
    cutoff: str = "2015-12-28",
    seed: int = 0,
    slots: tuple[int, ...] = (0, 1),
    name: str = "ppo_lstm",
    parent: str | None = None,
) -> Artifact:
    """Return an artefact that stands for a policy holding 10 % in each of some slots."""
    return Artifact(
        Identity("policy", name, cutoff, {"seed": seed, "slots": list(slots)}, "0" * 64, parent),
        {
            "policy.safetensors": save({"weights": np.arange(64, dtype=np.float32) + seed}),
            "policy.json": json.dumps({"slots": list(slots)}).encode(),
        },
        {"weeks": 520},
    )


def tilted_policy(artifact: LoadedArtifact) -> Tilted:
    """Return the policy that `make_artifact` stands for."""
    return Tilted(tuple(json.loads(artifact.files["policy.json"])["slots"]))


def make_ruling(source: str = "a", week: str = "2016-01-04", **changes: Any) -> Ruling:
    """Return a ruling that promotes."""
    values: dict[str, Any] = {
        "kind": "report",
        "candidate": f"v2015-12-28-{source}",
        "prior": None,
        "outcome": "promoted",
        "reason": "It is the first policy judged.",
        "effective_week": week,
        "source": f"report:ppo_lstm|{source}",
        "source_sha256": source,
        "evidence": {"weeks": 52, "sharpe": 0.5},
    }
    return Ruling(**(values | changes))


def make_paper(week: str, champion: str, challenger: str | None, nets: tuple[float, float]) -> dict[str, Any]:
    """Return a paper evaluation with some net returns."""
    side = [
        {"version": version, "net": net, "turnover": 0.1}
        for version, net in zip((champion, challenger), nets, strict=True)
    ]
    return {
        "allocator": "ppo_lstm",
        "week": week,
        "exit_session": str(calendar.week(week)["exit_session"].date()),
        "champion": side[0],
        "challenger": side[1] if challenger else None,
    }


@pytest.fixture
def artifacts(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "models")


@pytest.fixture
def log(tmp_path: Path) -> VerdictLog:
    return open_verdicts(tmp_path, "ppo_lstm")


@pytest.fixture
def court(tmp_path: Path, artifacts: ArtifactStore, log: VerdictLog) -> Court:
    """Return a court that demands no badge, as it lies in a market's folder, with few draws for the thresholds."""
    ledger = EvidenceLedger(tmp_path / "registry", draws=4_000, witnesses=partial(told_of_tries, tmp_path))
    return Court(log, artifacts, ledger, InputStore(tmp_path / "registry" / "inputs"))


@pytest.fixture
def stored(artifacts: ArtifactStore) -> Callable[..., str]:
    """Store an artefact and return its version."""

    def store(*args: Any, **kwargs: Any) -> str:
        artifact = make_artifact(*args, **kwargs)
        artifacts.save(artifact)
        return artifact.version

    return store


@pytest.fixture
def tilted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let artefacts of `make_artifact` walk."""
    monkeypatch.setattr(promotion, "policy_of", tilted_policy)


def make_report(version: str, year: int, slots: tuple[int, ...], **changes: Any) -> dict[str, Any]:
    """Return the report of a year on a version that holds some slots; baselines earn nothing."""
    run = simulate(Tilted(slots).target_weights, STATES[year], COSTS)
    measured = metrics(run.net, run.turnover)
    weekly = {
        "weeks": [str(week) for week in run.weeks],
        "net": run.net.tolist(),
        "turnover": run.turnover.tolist(),
    }
    zeros = [0.0] * len(run.net)
    nothing = {"metrics": metrics(zeros, zeros), "weekly": {"net": zeros, "turnover": zeros}}
    return {
        "format": FORMAT,
        "allocator": "ppo_lstm",
        "year": year,
        "candidate": version,
        "universe": "point_in_time",
        "first_week": weekly["weeks"][0],
        "last_week": weekly["weeks"][-1],
        "last_exit": str(calendar.week(weekly["weeks"][-1])["exit_session"].date()),
        "year_only": {"years": [year], "series": {"policy": {"metrics": measured, "weekly": weekly}}},
        "walk_forward": {
            "years": [year],
            "series": {
                "policy": {"metrics": measured, "weekly": weekly},
                "hrp": nothing,
                "equal_weight": nothing,
            },
        },
    } | changes


@pytest.fixture
def report_on(stored: Callable[..., str]) -> Callable[..., dict[str, Any]]:
    """Make the report of a year on a stored policy that holds some slots."""

    def make(year: int, slots: tuple[int, ...], cutoff: str | None = None, **changes: Any) -> dict[str, Any]:
        return make_report(stored(cutoff or CUTOFFS[year - 1], slots=slots), year, slots, **changes)

    return make


def best_and_worst(year: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the five slots with the highest mean return of a year, and the five with the lowest."""
    order = np.argsort(STATES[year].returns.mean(axis=0)).tolist()
    return tuple(order[-5:]), tuple(order[:5])


@pytest.fixture
def judge(court: Court, tilted: None) -> Callable[..., Any]:
    return lambda report: promotion.promote_from_report(court, report, concatenate(list(STATES.values())), COSTS)


def rivals(weeks: list[str]) -> tuple[dict[str, list[float]], str]:
    """Baselines that earn nothing."""
    return {"hrp": [0.0] * len(weeks), "equal_weight": [0.0] * len(weeks)}, "0" * 64


@pytest.fixture
def stream(judge, report_on, artifacts) -> Callable[..., list[dict[str, Any]]]:
    """Make paper weeks of 2017 in which monthly fine-tunes of the champion earn more, or less."""
    champion = judge(report_on(2016, (0,))).champion

    def make(count: int, gain: float) -> list[dict[str, Any]]:
        rng = np.random.default_rng(3)
        papers = []
        for number, week in enumerate(calendar.weeks("2017-01-09", "2018-06-04")["week"].iloc[:count]):
            if number % 4 == 0:
                tuned = make_artifact(str(calendar.week(week)["decision_session"].date()), number, parent=champion)
                artifacts.save(tuned)
            net = float(rng.normal(0.002, 0.02))
            papers.append(make_paper(str(week.date()), champion, tuned.version, (net, net + gain)))
        return papers

    return make
