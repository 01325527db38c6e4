"""Uploads that fail at random: each branch is its old self or the new one, a repeat completes it, promotion goes on."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from allocator_pipeline.errors import HubError
from allocator_pipeline.hub.publish import version_files
from allocator_pipeline.registry.verdicts import VerdictLog
from allocator_pipeline_tests.hub.conftest import CARD, NAME, REPO, fake_hub, hub, models, session, share, stored
from allocator_pipeline_tests.registry.conftest import make_ruling

__all__ = ["fake_hub", "hub", "models", "session", "share", "stored"]

FAULTS = [pytest.param(10, id="10"), pytest.param(40, id="40", marks=pytest.mark.slow)]
KINDS = (
    {"kind": "status", "status": 401},
    {"kind": "status", "status": 429, "headers": {"retry-after": "0"}},
    {"kind": "status", "status": 429, "headers": {"retry-after": "600"}},
    {"kind": "status", "status": 500},
    {"kind": "cut_request"},
    {"kind": "cut_answer"},
    {"kind": "lost"},
)


@pytest.mark.parametrize("count", FAULTS)
def test_one_old_or_new_commit_and_promotion_unaffected(fake_hub, share, stored, models, tmp_path: Path, count: int):
    rng, log = random.Random(count), VerdictLog(tmp_path / "registry", NAME)
    share(stored(0))
    old = fake_hub.repos[REPO].tree("main")
    failed = 0
    for number in range(1, count + 1):
        version = stored(number)
        assert log.append(make_ruling(version, candidate=version), number - 1)
        files = version_files(models, NAME, version, CARD)
        new = {**old, **files}
        fake_hub.fail(".", skip=rng.randrange(18), times=rng.choice((1, 2, 3, -1)), **rng.choice(KINDS))
        try:
            share(version, champion=True)
        except HubError:
            failed += 1
        repo = fake_hub.repos[REPO]
        assert repo.tree("main") in (old, new)
        assert version not in repo.branches or repo.tree(version) in (old, new)
        assert log.champion().champion == version
        assert models.load(NAME, version).version == version

        fake_hub.faults.clear()
        share(version, champion=True)
        assert repo.tree("main") == repo.tree(version) == new
        assert fake_hub.commits(REPO) == 2 * (number + 1)
        old = new
    assert 0 < failed < count
