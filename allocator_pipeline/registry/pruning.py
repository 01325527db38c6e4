"""Removal of old versions that nothing needs any more; each removal is on record, in a log like that of the verdicts.

Kept are the newest versions; every version that a verdict names, as candidate or champion; who decided a recorded
week; what a stored partition names (`named_by_partitions`); what was stored lately, since the run that stored it may
still be going, and names it only at its end; and the ancestors of all these. Anything else can go: the same training
makes the same version again.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from allocator_pipeline.atomic import canonical_json, sha256
from allocator_pipeline.config import MIN_JUDGED_WEEKS, WEEKS_PER_YEAR
from allocator_pipeline.errors import ConfigurationError, StorageError
from allocator_pipeline.paths import inside
from allocator_pipeline.registry.chain import Chain, Link, seal_of
from allocator_pipeline.registry.court import Court
from allocator_pipeline.registry.partitions import stored_partitions
from allocator_pipeline.registry.verdicts import Verdict

KEEP = WEEKS_PER_YEAR
"""How many of the newest versions stay: a year of weekly fine-tunes."""

SETTLING_DAYS = 30
"""For how long after it was stored, by the clock of the file system, a version stays: longer than a training takes."""

NAMING = {"trained_policies": "version", "eval_reports": "candidate"}
"""Assets whose partitions name a version that a report or a verdict may still ask for, and the field."""

_ASIDE = ".pruned"


@dataclass(frozen=True)
class Pruning(Link):
    """One removal in the log.

    Parameters
    ----------
    number, previous_sha256
        Its place in the log, see `registry.chain.Link`.
    allocator : str
    keep : int
        How many of the newest versions were to stay.
    versions : sequence of mapping
        What was removed: ``version``, ``cutoff``, ``parent``, ``identity_sha256`` and ``data_sha256``.
    """

    allocator: str
    keep: int
    versions: Sequence[Mapping[str, Any]]

    @property
    def log(self) -> str:
        """The allocator."""
        return self.allocator

    @property
    def identity(self) -> str:
        """Hash of what was removed and when in the log: a version that came back may be removed again."""
        return sha256(canonical_json({"after": self.number - 1, "versions": list(self.versions)}))


@dataclass(frozen=True)
class Plan:
    """What a pruning would do.

    Parameters
    ----------
    remove : sequence of mapping
        As `Pruning.versions`, oldest first.
    keep : mapping of str to str
        Why each version stays.
    """

    remove: Sequence[Mapping[str, Any]]
    keep: Mapping[str, str]


def prune_log(court: Court) -> Chain[Pruning]:
    """Return the log of what was removed of an allocator."""
    name = court.log.allocator
    return Chain(inside(court.log.folder.parent, "pruned", name), Pruning, name, f"prunings of {name}")


def named_by_partitions(assets: Path, allocator: str) -> set[str]:
    """Return the versions that stored partitions name and that may still be asked for.

    Among them are the challengers of papers that no promotion has read yet: one of them will be a stream's candidate.

    Parameters
    ----------
    assets : Path
        Folder of a market's asset partitions.
    allocator : str

    Raises
    ------
    CorruptArtifactError
        If a partition does not verify.
    """
    named = {
        str(value[field])
        for asset, field in NAMING.items()
        for value in stored_partitions(assets, asset, allocator).values()
    }
    promoted = stored_partitions(assets, "promoted_policies", allocator).get(allocator, {})
    papers = stored_partitions(assets, "paper_evaluations", allocator).values()
    unread = [paper for paper in papers if paper["week"] > (promoted.get("judged_through") or "")]
    return named | {paper["challenger"]["version"] for paper in unread if paper["challenger"]}


def plan(court: Court, needed: Collection[str], keep: int = KEEP) -> Plan:
    """Return what may be removed; nothing is.

    Parameters
    ----------
    court : Court
    needed : collection of str
        Versions that decisions and stored partitions name.
    keep : int
        How many of the newest versions stay in any case, at least 26: a stream's fine-tunes are judged together.

    Raises
    ------
    ConfigurationError
        If ``keep`` is below 26.
    CorruptArtifactError
        If the log or any version does not verify: what it needs cannot be known then.
    """
    if keep < MIN_JUDGED_WEEKS:
        raise ConfigurationError(
            f"Keeping the newest {keep} versions is too few: {MIN_JUDGED_WEEKS} weeks are judged together.",
            todo=f"keep {MIN_JUDGED_WEEKS} or more (the default is {KEEP}).",
        )
    name = court.log.allocator
    manifests = {version: court.artifacts.load(name, version).manifest for version in court.artifacts.versions(name)}
    kept = dict.fromkeys([*manifests][-keep:], f"among the newest {keep}")
    kept |= dict.fromkeys(_lately(court, manifests), f"it was stored in the last {SETTLING_DAYS} days")
    kept |= {version: "a decision or a stored partition names it" for version in needed if version in manifests}
    kept |= {version: "a verdict names it" for version in _named(court.log.history()) if version in manifests}
    for version in list(kept):
        parent = manifests[version]["parent"]
        while parent in manifests and parent not in kept:
            kept[parent] = f"{version} descends from it"
            parent = manifests[parent]["parent"]
    facts = ("version", "cutoff", "parent", "identity_sha256", "data_sha256")
    gone = [{fact: manifests[version][fact] for fact in facts} for version in manifests if version not in kept]
    return Plan(gone, {version: kept[version] for version in manifests if version in kept})


def prune(court: Court, needed: Callable[[], Collection[str]], keep: int = KEEP) -> Pruning | None:
    """Record what nothing needs any more, then remove it.

    No verdict comes in from the plan to the last removal, and none afterwards on a version that is gone
    (`registry.court.Court.rule`). A process that dies in between leaves versions that the next pruning finishes off
    before anything else.

    Parameters
    ----------
    court, keep
        As of `plan`.
    needed : callable
        Returns the versions that decisions and stored partitions name; asked under the lock.

    Returns
    -------
    Pruning or None
        The entry in the log; None if there is nothing to remove.

    Raises
    ------
    ConfigurationError, CorruptArtifactError
        As `plan`; nothing is removed then.
    StorageError
        If the log stays locked or the file system refuses.
    """
    folder = inside(court.artifacts.root, court.log.allocator)
    with court.log.locked():
        try:
            _finish_off(court, folder)
            removed = plan(court, needed(), keep).remove
            if not removed:
                return None
            if not os.access(folder, os.W_OK):
                raise PermissionError("the folder may not be written")
            entry = _record(court, removed, keep)
            _remove(folder, [str(version["version"]) for version in removed])
        except OSError as error:
            raise StorageError(
                f"Versions of {court.log.allocator} cannot be removed: {error}.",
                todo="mend the permissions, then prune again; what remains is whole.",
                source=str(folder),
            ) from error
    return entry


def _record(court: Court, removed: Sequence[Mapping[str, Any]], keep: int) -> Pruning:
    log = prune_log(court)
    while True:
        count, seal = seal_of(log.history())
        entry = Pruning(count + 1, seal, court.log.allocator, keep, list(removed))
        if log.append(entry):
            return entry


def _remove(folder: Path, versions: Sequence[str]) -> None:
    aside = [folder / f".{version}{_ASIDE}" for version in versions]
    for version, place in zip(versions, aside, strict=True):
        os.rename(folder / version, place)
    for place in aside:
        shutil.rmtree(place)


def _finish_off(court: Court, folder: Path) -> None:
    """Delete what a pruning that died has left aside; what a verdict names, and nobody has made again, is put back."""
    named = _named(court.log.history())
    for place in folder.glob(f".*{_ASIDE}"):
        version = place.name.removeprefix(".").removesuffix(_ASIDE)
        if version in named and not (folder / version).exists():
            os.rename(place, folder / version)
        else:
            shutil.rmtree(place)


def _lately(court: Court, versions: Collection[str]) -> set[str]:
    folder, since = inside(court.artifacts.root, court.log.allocator), time.time() - SETTLING_DAYS * 86_400
    return {version for version in versions if (folder / version).stat().st_mtime > since}


def _named(history: Sequence[Verdict]) -> set[str]:
    return {
        version for verdict in history for version in (verdict.candidate, verdict.champion, verdict.prior) if version
    }
