"""Who serves a week: its champion, or, where that is damaged and the operator allows it, the champion before it.

The rule: a champion whose files are absent or fail a checksum is refused. With ``ALLOCATOR_FALLBACK=previous`` the
former champions are tried in its place, the one last in force first; the first that verifies serves the week, and the
decision says so. A log that fails its seals is always refused: nobody can tell then who was champion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from allocator_pipeline.config import Fallback
from allocator_pipeline.errors import AllocatorError, CorruptArtifactError, MissingPartitionError
from allocator_pipeline.registry.artifacts import ArtifactStore, LoadedArtifact
from allocator_pipeline.registry.promotion import admitted, in_force
from allocator_pipeline.registry.verdicts import Verdict, VerdictLog


@dataclass(frozen=True)
class Served:
    """Who serves a week.

    Parameters
    ----------
    champion : str
        Version that the verdicts name.
    artifact : LoadedArtifact
        What serves.
    fallback : str or None
        Why it is another version than the champion; None if it is the champion.
    """

    champion: str
    artifact: LoadedArtifact
    fallback: str | None = None


def serving(log: VerdictLog, artifacts: ArtifactStore, week: str | pd.Timestamp, fallback: Fallback) -> Served:
    """Return who serves a week; see the rule above.

    Parameters
    ----------
    log : VerdictLog
    artifacts : ArtifactStore
    week : str or Timestamp
        Its Monday.
    fallback : {"refuse", "previous"}
        What becomes of a week whose champion is damaged.

    Raises
    ------
    NoChampionError
        If none is effective yet.
    ConflictError
        If the champion was trained on an exit after the week's decision.
    CorruptArtifactError, MissingPartitionError
        If the log is damaged; or the champion is, and so are all before it or none may take its place.
    """
    key, champion = str(pd.Timestamp(week).date()), in_force(log, week).champion
    try:
        return Served(champion, admitted(artifacts, log.allocator, champion, key))
    except (CorruptArtifactError, MissingPartitionError) as error:
        if fallback != "previous":
            raise
        for version in _champions(log.history(), key)[1:]:
            try:
                former = admitted(artifacts, log.allocator, version, key)
            except AllocatorError:
                continue
            return Served(
                champion, former, f"The champion {champion} is refused, so the one before it serves. {error.problem}"
            )
        raise


def served_again(
    log: VerdictLog, artifacts: ArtifactStore, week: str | pd.Timestamp, version: str, because: str
) -> Served:
    """Return the former champion that a recorded decision was served by, and why it was.

    Raises
    ------
    NoChampionError, ConflictError, CorruptArtifactError, MissingPartitionError
        As `serving`.
    """
    champion = in_force(log, week).champion
    return Served(champion, admitted(artifacts, log.allocator, version, str(pd.Timestamp(week).date())), because)


def _champions(history: Sequence[Verdict], week: str) -> list[str]:
    """Return the versions that were champion by a week, the one last in force first."""
    effective = [verdict for verdict in history if verdict.effective_week <= week]
    effective.sort(key=lambda verdict: (verdict.effective_week, verdict.number), reverse=True)
    return list(dict.fromkeys(verdict.champion for verdict in effective))
