"""``make verdicts`` on real stores: what it refuses beside a verdict that differs, and what it leaves alone."""

from __future__ import annotations

import pytest

from allocator_pipeline.atomic import canonical_json
from allocator_pipeline.config import CostConfig
from allocator_pipeline.defs.resources import StoreResource
from allocator_pipeline.defs.verdicts import verify
from allocator_pipeline.errors import CorruptArtifactError
from allocator_pipeline.registry.promotion import count_report
from allocator_pipeline_tests.registry.conftest import make_artifact, make_report

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
