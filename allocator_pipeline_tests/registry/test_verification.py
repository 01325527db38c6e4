"""Everything stored is read; whatever is wrong is named."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from allocator_pipeline.errors import CorruptArtifactError
from allocator_pipeline.registry.verification import verification, verified
from allocator_pipeline_tests.registry.conftest import best_and_worst

ASSETS = Path("no-partitions")


@pytest.fixture
def judged(court, judge, report_on):
    best, worst = best_and_worst(2017)
    return judge(report_on(2016, worst)), judge(report_on(2017, best))


def wrong(court, needed=()) -> dict[str, str]:
    table = verification(court, needed, ASSETS)
    return {row["name"]: row["result"] for _, row in table.iterrows() if row["result"] != "verified"}


def test_whole_stores_verify(court, judged) -> None:
    table = verified(verification(court, {"equal_weight", judged[0].champion}, ASSETS))
    assert table["what"].value_counts().to_dict() == {"input": 5, "log": 3, "version": 2}


def test_each_damage_is_named(court, judged, artifacts: object, tmp_path: Path) -> None:
    models, inputs = court.artifacts.root / "ppo_lstm", court.inputs.root
    first, second = (verdict.champion for verdict in judged)
    walk = judged[1].evidence["inputs"]["walk"]
    whole = tmp_path / "whole"
    for folder, name in ((models, "models"), (inputs, "inputs"), (court.log.folder, "log")):
        shutil.copytree(folder, whole / name)
    (models / first / "policy.json").write_bytes(b"{}")
    shutil.rmtree(models / second)
    (inputs / f"{walk}.json.gz").write_bytes(b"")
    found = wrong(court, {"v2019-12-30-needed"})
    assert set(found) == {first, second, walk[:12], "v2019-12-30-needed"}
    with pytest.raises(CorruptArtifactError, match=r"4 of \d+ things"):
        verified(verification(court, {"v2019-12-30-needed"}, ASSETS))
    (court.log.folder / "000001.json").write_bytes(b"{}")
    assert "not what was written" in wrong(court)["verdicts"]


def test_an_empty_registry_verifies(court) -> None:
    assert len(verified(verification(court, set(), ASSETS))) == 3
