"""``make verdicts`` on real stores: what it refuses beside a verdict that differs, and what it leaves alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from allocator_pipeline.atomic import canonical_json
from allocator_pipeline.config import CostConfig
from allocator_pipeline.defs.resources import StoreResource
from allocator_pipeline.defs.verdicts import verify
from allocator_pipeline.errors import CorruptArtifactError
from allocator_pipeline.registry import promotion
from allocator_pipeline.registry.promotion import count_report
from allocator_pipeline_tests.registry.conftest import STATES, make_artifact, make_report, tilted_policy

NAME = "ppo_lstm"


@pytest.fixture
def store(tmp_path) -> StoreResource:
    """A store with two reports that nobody has judged yet, and their tries."""
    store = StoreResource(root=str(tmp_path))
    for year, cutoff in {2016: "2015-12-28", 2017: "2016-12-27"}.items():
        artifact = make_artifact(cutoff, slots=(0,))
        store.models.save(artifact)
        report = make_report(artifact.version, year, (0,))
        count_report(store.court(NAME), report)
        store.assets.write("eval_reports", f"{NAME}|{year}", report)
    return store


def test_a_report_whose_try_was_cut_off_the_ledger_makes_it_fail(store) -> None:
    assert len(verify(store, CostConfig())) == 0
    folder, first = store.ledger.folder, store.ledger.history()[0]
    (folder / "000002.json").unlink()
    (folder / "head.json").write_bytes(canonical_json({"count": 1, "sha256": first.sha256}))
    with pytest.raises(CorruptArtifactError, match=rf"report {NAME} 2017 .*the ledger holds no try of it"):
        verify(store, CostConfig())


def test_a_verdict_of_another_version_accuses_nobody_and_lets_it_pass(store, monkeypatch) -> None:
    """As in a data folder that was made before the last change of what verdicts hold."""
    monkeypatch.setattr(promotion, "policy_of", tilted_policy)
    costs, court = CostConfig(), store.court(NAME)
    promotion.promote_from_report(court, store.assets.read("eval_reports", f"{NAME}|2016"), STATES[2016], costs)
    assert verify(store, costs)["result"].tolist() == ["same"]
    (verdict,) = court.log.history()
    evidence = {name: value for name, value in verdict.evidence.items() if name not in ("format", "seen_as_replicates")}

    def seal(**changes: object) -> None:
        link = replace(verdict, evidence={**evidence, **changes})
        (court.log.folder / "000001.json").write_bytes(link.to_bytes())
        (court.log.folder / "head.json").write_bytes(canonical_json({"count": 1, "sha256": link.sha256}))

    seal()
    assert verify(store, costs)["result"].tolist() == ["of another version"]
    seal(metric="cagr")
    with pytest.raises(CorruptArtifactError, match=r"has another evidence\.metric.*find out what has changed"):
        verify(store, costs)
