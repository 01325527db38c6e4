"""A row of the experience store as it is stored: sealed, and its plain columns equal to what is sealed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from allocator_pipeline.atomic import canonical_json, sha256
from allocator_pipeline.errors import CorruptArtifactError
from allocator_pipeline.experience.records import Decision, Experience, Label, from_stored

COLUMNS = "run_id, allocator, week_start, attempt, decision, decision_sha256, superseded, label, label_sha256"

_PLAIN = ("run_id", "allocator", "week_start", "attempt")


def sealed(record: Decision | Label) -> tuple[str, str]:
    """Return the JSON of a record, and its sha256."""
    payload = record.to_json()
    return payload.decode(), sha256(payload)


def sealed_attempts(attempts: Sequence[Decision]) -> str:
    """Return replaced decisions as one JSON text, each with its seal."""
    return canonical_json([sealed(attempt) for attempt in attempts]).decode()


def read_row(row: Sequence[Any]) -> Experience:
    """Read the `COLUMNS` of a row.

    Raises
    ------
    CorruptArtifactError
        If a record fails its seal, a plain column says something else than the sealed decision, or what was replaced
        is not every attempt before it.
    """
    run, allocator, week, attempt, decision, seal, superseded, label, label_seal = row
    found: Decision = from_stored(decision, seal, Decision, run)
    for name, value in zip(_PLAIN, (run, allocator, week, attempt), strict=True):
        if value != getattr(found, name):
            raise _untrusted(run, f"{name} is {value!r} and should be {getattr(found, name)!r}")
    earlier = tuple(_attempts(superseded, run))
    if [(one.run_id, one.attempt) for one in earlier] != [(run, number) for number in range(1, attempt)]:
        raise _untrusted(run, f"what is kept of replaced attempts is not the {attempt - 1} before attempt {attempt}")
    return Experience(found, None if label is None else from_stored(label, label_seal, Label, run), earlier)


def _attempts(text: Any, run: str) -> list[Decision]:
    """Return the attempts that were replaced; those of an older format have no seal."""

    def attempt(entry: Any) -> Decision:
        if isinstance(entry, dict):
            return Decision(**entry)
        payload, seal = entry
        return from_stored(payload, seal, Decision, run)

    try:
        return [attempt(entry) for entry in json.loads(text)]
    except (ValueError, TypeError, RecursionError) as error:
        raise _untrusted(run, f"what is kept of replaced attempts cannot be read: {error}") from error


def _untrusted(run: str, why: str) -> CorruptArtifactError:
    return CorruptArtifactError(
        f"The row of {run} cannot be trusted: {why}.",
        todo="restore the experience store from a backup.",
        source=str(run),
    )
