"""A hub on loopback, a session with it, and stored versions to share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from huggingface_hub import close_session

from allocator_pipeline.hub.client import Hub
from allocator_pipeline.hub.publish import Published, publish, version_files
from allocator_pipeline.hub.settings import HubSettings
from allocator_pipeline.registry.artifacts import ArtifactStore
from allocator_pipeline.transport import Patience
from allocator_pipeline_tests.hub.fake_hub import TOKEN, FakeHub
from allocator_pipeline_tests.registry.conftest import make_artifact

NAME, REPO = "ppo_lstm", "owner/weekly-ppo_lstm"
QUICK = Patience(tries=3, wait=0.001, longest_wait=1.0, read=2.0)
CARD = "---\ntags:\n- finance\n---\n# a card\n"


@pytest.fixture
def fake_hub() -> Iterator[FakeHub]:
    server = FakeHub()
    yield server
    close_session()
    server.close()


@pytest.fixture
def session(fake_hub: FakeHub) -> Callable[..., Hub]:
    """Return a new session, by default with the right token."""
    return lambda token=TOKEN: Hub(HubSettings("hf", {NAME: REPO}, fake_hub.endpoint, token), QUICK)


@pytest.fixture
def hub(session: Callable[..., Hub]) -> Hub:
    return session()


@pytest.fixture
def models(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "models")


@pytest.fixture
def stored(models: ArtifactStore) -> Callable[..., str]:
    """Store a version and return its name."""

    def store(seed: int = 0, **changes: str) -> str:
        artifact = make_artifact(seed=seed, **changes)
        models.save(artifact)
        return artifact.version

    return store


@pytest.fixture
def share(hub: Hub, models: ArtifactStore) -> Callable[..., Published]:
    """Publish a stored version."""

    def shared(version: str, champion: bool = False, card: str = CARD, using: Hub = hub) -> Published:
        files = version_files(models, NAME, version, card)
        return publish(using, REPO, NAME, version, files, lambda: champion)

    return shared
