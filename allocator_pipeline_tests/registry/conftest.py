"""Small artefacts whose policy holds some slots, and reports on them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from allocator_pipeline.artifact import Artifact, Identity
from allocator_pipeline.market import calendar
from allocator_pipeline.registry.artifacts import ArtifactStore, LoadedArtifact
from allocator_pipeline.registry.verdicts import Ruling, VerdictLog
from allocator_pipeline_tests.evaluation.conftest import Tilted, year_of_states

__all__ = ["Tilted", "year_of_states"]


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
    return VerdictLog(tmp_path / "verdicts", "ppo_lstm")


@pytest.fixture
def stored(artifacts: ArtifactStore) -> Callable[..., str]:
    """Store an artefact and return its version."""

    def store(*args: Any, **kwargs: Any) -> str:
        artifact = make_artifact(*args, **kwargs)
        artifacts.save(artifact)
        return artifact.version

    return store
