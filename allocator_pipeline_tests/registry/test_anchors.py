"""A report that nobody has judged yet misses its try where the ledger was cut."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from allocator_pipeline.atomic import canonical_json, publish
from allocator_pipeline.errors import CorruptArtifactError
from allocator_pipeline.registry.anchors import anchors, check_anchors
from allocator_pipeline.registry.promotion import count_report
from allocator_pipeline.registry.verification import verification

NAME = "ppo_lstm"


@pytest.fixture
def counted(court, report_on, tilted, tmp_path: Path) -> list[str]:
    """Two reports, counted and stored; the versions that they are on."""
    versions = []
    for year in (2016, 2017):
        report = report_on(year, (0,))
        count_report(court, report)
        pointer = tmp_path / "assets" / "eval_reports" / f"{NAME}+{year}.json"
        publish(pointer, canonical_json(report), ".payload.json")
        versions.append(report["candidate"])
    return versions


@pytest.fixture
def missing(court, tmp_path: Path) -> Callable[[], dict[str, str]]:
    return lambda: {name: why for name, why in anchors(court, tmp_path / "assets") if why}


def test_a_report_that_nobody_has_judged_misses_its_try(court, counted, missing, tmp_path) -> None:
    assert missing() == {}
    check_anchors(court, tmp_path / "assets")
    folder, first = court.ledger.folder, court.ledger.history()[0]
    (folder / "000002.json").unlink()
    (folder / "head.json").write_bytes(canonical_json({"count": 1, "sha256": first.sha256}))
    assert missing() == {f"{NAME} 2017": "the ledger holds no try of it"}
    with pytest.raises(CorruptArtifactError, match=r"(?s)holds no try of it.*restore"):
        check_anchors(court, tmp_path / "assets")
    table = verification(court, set(), tmp_path / "assets")
    assert (table["result"] != "verified").sum() == 1


def test_a_report_whose_model_is_gone_is_said_to_be_undecided(court, counted, missing) -> None:
    (court.artifacts.root / NAME / counted[1] / "policy.json").write_bytes(b"{}")
    assert "its try cannot be looked for" in missing()[f"{NAME} 2017"]
