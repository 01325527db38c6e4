"""What versions there are, what one of them is, and in what two of them differ; all of it read from what is stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from allocator_pipeline.atomic import canonical_json
from allocator_pipeline.errors import AllocatorError
from allocator_pipeline.registry.artifacts import LoadedArtifact
from allocator_pipeline.registry.court import Court
from allocator_pipeline.registry.record import badge_words
from allocator_pipeline.registry.verdicts import Verdict

VERIFIED = "verified"
COLUMNS = ["version", "cutoff", "recipe", "first_week", "last_week", "parent", "role", "last_verdict", "badge", "files"]
ABSENT = "(absent)"


def versions(court: Court) -> pd.DataFrame:
    """Return the stored versions of an allocator, the newest cut-off first.

    Returns
    -------
    DataFrame
        ``version``, ``cutoff``, ``recipe``, ``first_week`` and ``last_week`` of the data, ``parent``; ``role``
        ("champion", "former champion" or "never champion"); ``last_verdict`` on it and its ``badge``; ``files``:
        "verified", or what is wrong with them.

    Raises
    ------
    CorruptArtifactError
        If the log of verdicts is damaged.
    """
    history, name = court.log.history(), court.log.allocator
    rows = [_row(court, version, history) for version in reversed(court.artifacts.versions(name))]
    return pd.DataFrame(rows, columns=COLUMNS)


def listed(courts: Iterable[Court]) -> tuple[dict[str, pd.DataFrame], dict[str, AllocatorError]]:
    """Return the `versions` of each allocator, and what is wrong with those whose log is damaged.

    Returns
    -------
    tuple of (dict, dict)
        Table by allocator, and error by allocator; each is in one of them.
    """
    found, wrong = dict[str, pd.DataFrame](), dict[str, AllocatorError]()
    for court in courts:
        try:
            found[court.log.allocator] = versions(court)
        except AllocatorError as error:
            wrong[court.log.allocator] = error
    return found, wrong


def description(court: Court, version: str) -> dict[str, Any]:
    """Return what a version is.

    Returns
    -------
    dict
        ``version``, ``kind``, ``cutoff``, ``parent``, ``recipe``; ``data``: window and hash; ``config``: every
        hyperparameter; ``metrics``: what the training measured; ``verdicts``: by number, outcome, reason, effect and
        the metrics over the weeks judged; ``role``, ``libraries`` and the ``bytes`` of each file.

    Raises
    ------
    MissingPartitionError, CorruptArtifactError
        If it is not stored, or it or the log does not verify.
    """
    manifest, history = court.artifacts.load(court.log.allocator, version).manifest, court.log.history()
    facts = dict(manifest["facts"])
    recipe = facts.pop("recipe", None)
    window = {name: facts.pop(name) for name in ("first_week", "last_week", "weeks", "year", "week") if name in facts}
    return {
        "version": version,
        "kind": manifest["kind"],
        "role": _role(history, version),
        "cutoff": manifest["cutoff"],
        "parent": manifest["parent"],
        "recipe": recipe,
        "data": {**window, "sha256": manifest["data_sha256"]},
        "config": manifest["config"],
        "metrics": facts,
        "verdicts": {str(verdict.number): _told(verdict) for verdict in history if verdict.candidate == version},
        "libraries": manifest["libraries"],
        "bytes": {file: listed["bytes"] for file, listed in manifest["files"].items()},
    }


def fields_of(found: Mapping[str, Any]) -> pd.DataFrame:
    """Return a nested description as a table of ``field`` and ``value``, one row a leaf; lists are JSON text."""
    return pd.DataFrame(sorted(_leaves(found).items()), columns=["field", "value"])


def differences(court: Court, one: str, other: str) -> pd.DataFrame:
    """Return the fields in which two versions differ.

    Returns
    -------
    DataFrame
        ``field``, and a column for each version; what only the other one has is "(absent)".

    Raises
    ------
    MissingPartitionError, CorruptArtifactError
        As `description`.
    """
    left, right = (_leaves(description(court, version)) for version in (one, other))
    rows = [
        (field, left.get(field, ABSENT), right.get(field, ABSENT))
        for field in sorted({*left, *right})
        if left.get(field, ABSENT) != right.get(field, ABSENT)
    ]
    return pd.DataFrame(rows, columns=["field", "one", "other"]).rename(columns={"one": one, "other": other})


def _row(court: Court, version: str, history: list[Verdict]) -> dict[str, Any]:
    about = [verdict for verdict in history if verdict.candidate == version]
    told = {
        "version": version,
        "role": _role(history, version),
        "last_verdict": f"{about[-1].outcome} (number {about[-1].number})" if about else "none",
        "badge": badge_words(about[-1].evidence.get("badge")) if about else "none",
    }
    try:
        return {**told, **_stored(court.artifacts.load(court.log.allocator, version)), "files": VERIFIED}
    except AllocatorError as error:
        return {**dict.fromkeys(COLUMNS, ""), **told, "files": error.problem}


def _stored(artifact: LoadedArtifact) -> dict[str, str]:
    facts = artifact.manifest["facts"]
    return {
        "cutoff": artifact.cutoff,
        "parent": artifact.parent or "none",
        **{name: str(facts.get(name, "")) for name in ("recipe", "first_week", "last_week")},
    }


def _role(history: list[Verdict], version: str) -> str:
    latest = max(history, key=lambda verdict: (verdict.effective_week, verdict.number), default=None)
    if latest is not None and latest.champion == version:
        return "champion"
    return "former champion" if any(verdict.champion == version for verdict in history) else "never champion"


def _told(verdict: Verdict) -> dict[str, Any]:
    told = {"kind": verdict.kind, "outcome": verdict.outcome, "reason": verdict.reason, "from": verdict.effective_week}
    return {**told, "metrics": dict(verdict.evidence.get("candidate") or {})}


def _leaves(value: Mapping[str, Any], place: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, item in value.items():
        if isinstance(item, Mapping):
            found |= _leaves(item, f"{place}{name}.")
        else:
            found[f"{place}{name}"] = item if isinstance(item, str) else canonical_json(item).decode()
    return found
