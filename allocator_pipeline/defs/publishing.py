"""What the publishing asset, its check, its sensor and the fetching job share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from allocator_pipeline.defs.partitions import split
from allocator_pipeline.defs.resources import StoreResource
from allocator_pipeline.errors import (
    AllocatorError,
    ConfigurationError,
    ConflictError,
    CorruptArtifactError,
    MissingPartitionError,
    UnsafeNameError,
)
from allocator_pipeline.hub.settings import HubSettings

if TYPE_CHECKING:  # huggingface_hub is imported only where something is shared
    from allocator_pipeline.hub.client import Hub

ASSET = "published_models"
NOT_PUBLISHED = "not published: STORAGE_BACKEND is local"


def publish_pending(
    allocator: str, store: StoreResource, log: Callable[[str], None], anew: bool = False
) -> dict[str, Any]:
    """Upload every stored version of an allocator that the last record does not show as uploaded.

    The champion comes first, then the newest. Nothing that goes wrong is raised: a failure to share a model is no
    failure of the pipeline. The record says what happened, a check shows it, and the next call goes on with what waits.

    Parameters
    ----------
    allocator : str
    store : StoreResource
    log : callable
        Receives one line for each version.
    anew : bool
        Compare all versions with the Hub, whatever the record says.

    Returns
    -------
    dict
        The record: ``state`` (``"published"``, ``"failed"`` or why nothing was done), ``repo``, ``published`` (version
        -> digest and commit), ``main`` (the version there), ``waiting`` (versions) and ``failure`` (text or None).
    """
    record = _nothing(allocator)
    try:
        record = _record(store, allocator, log)
        settings = HubSettings.from_env()
        if not settings.shared:
            return {**record, "state": NOT_PUBLISHED, "waiting": [], "failure": None}
        repo = settings.repo(allocator)
        if anew or record["repo"] != repo:
            record |= {"repo": repo, "published": {}, "main": None}
        _upload(allocator, store, settings, record, log)
    except AllocatorError as error:
        log(f"not published: {error}")
        return {**record, "state": "failed", "failure": f"{type(error).__name__}: {error}"}
    return {**record, "state": "published", "failure": None}


def fetch_version(allocator: str, version: str | None, store: StoreResource) -> dict[str, Any]:
    """Download a version of an allocator into the store, verified.

    Returns
    -------
    dict
        Its name, version and cut-off, and the repository.

    Raises
    ------
    ConfigurationError, HubError, CorruptArtifactError, ConflictError, UnsafeNameError
        See `hub.fetch.fetch`; nothing is stored then.
    """
    from allocator_pipeline.hub.client import Hub
    from allocator_pipeline.hub.fetch import fetch

    settings = HubSettings.from_env()
    repo = settings.repo(allocator)
    loaded = fetch(Hub(settings), repo, store.models, allocator, version)
    return {"repo": repo, "name": loaded.name, "version": loaded.version, "cutoff": loaded.cutoff}


def publishing_problems(record: dict[str, Any]) -> list[str]:
    """Return what a record says went wrong, for the check."""
    waiting = f" Waiting: {', '.join(record['waiting'][:5])}." if record["waiting"] else ""
    return [f"{record['failure']}{waiting}"] if record["failure"] else []


def _record(store: StoreResource, allocator: str, log: Callable[[str], None]) -> dict[str, Any]:
    """Return the last record; one that cannot be read tells nothing, so that every version is compared with the Hub."""
    try:
        return store.assets.read(ASSET, allocator)
    except MissingPartitionError:
        return _nothing(allocator)
    except CorruptArtifactError as error:
        log(f"{error.problem} Every version is compared with the Hub anew.")
        return _nothing(allocator)


def _nothing(allocator: str) -> dict[str, Any]:
    return {"allocator": allocator, "state": "", "repo": None, "published": {}, "main": None, "waiting": []}


def _upload(
    allocator: str, store: StoreResource, settings: HubSettings, record: dict[str, Any], log: Callable[[str], None]
) -> None:
    """Upload what the record lacks, and write into the record what was done; the first error is raised at the end."""
    from allocator_pipeline.hub.publish import digest, publish, version_files

    def champion() -> str | None:
        verdict = store.verdicts(allocator).champion()
        return verdict.champion if verdict else None

    def is_champion(version: str) -> bool:
        return version == champion()

    newest, first, cards = store.models.versions(allocator)[::-1], champion(), _Cards(allocator, store)
    record["waiting"] = sorted(newest, key=lambda version: version != first)
    hub, failures = None, []
    for version in list(record["waiting"]):
        try:
            files = version_files(store.models, allocator, version, cards.card(version))
            wanted, known = digest(record["repo"], files), record["published"].get(version, {})
            if known.get("digest") != wanted or (is_champion(version) and record["main"] != version):
                hub = hub or _hub(settings)
                done = publish(hub, record["repo"], allocator, version, files, partial(is_champion, version))
                record["published"] = {**record["published"], version: {"digest": wanted, "commit": done.commit}}
                record["main"] = version if done.main else record["main"]
                log(f"{version} is on {record['repo']}, commit {done.commit}{' and main' if done.main else ''}")
            record["waiting"].remove(version)
        except (CorruptArtifactError, ConflictError, UnsafeNameError) as error:  # of this version; others can go on
            failures.append(error)
    if failures:
        raise failures[0]


def _hub(settings: HubSettings) -> Hub:
    from allocator_pipeline.hub.client import Hub

    if settings.token is None:
        raise ConfigurationError("HF_TOKEN is not set.", todo="set it to a token that may write to the repository.")
    return Hub(settings)


class _Cards:
    """Model cards of an allocator's versions, from its reports and verdicts."""

    def __init__(self, allocator: str, store: StoreResource) -> None:
        self._allocator, self._models = allocator, store.models
        keys = [key for key in store.assets.keys("eval_reports") if split(key)[0] == allocator]
        reports = [store.assets.read("eval_reports", key) for key in keys]
        self._reports = {report["candidate"]: report for report in reports}
        self._verdicts = [asdict(item) for item in store.verdicts(allocator).history()]

    def card(self, version: str) -> str:
        from allocator_pipeline.hub.card import model_card

        manifest = self._models.load(self._allocator, version).manifest
        verdicts = [item for item in self._verdicts if item["candidate"] == version]
        return model_card(manifest, self._reports.get(version), verdicts)
