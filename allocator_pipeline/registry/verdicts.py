"""The record of every verdict on every candidate, in a log that nobody can edit (`registry.chain`).

The champion is not stored anywhere else: it is what the verdicts say. A verdict takes effect at a week, so that the
champion *as of* any week follows from the log, and an old year judged late never displaces a newer champion.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import pandas as pd

from allocator_pipeline.errors import ConflictError
from allocator_pipeline.paths import inside, safe_name
from allocator_pipeline.registry.chain import Chain, Link, Witnesses, seal_of

OUTCOMES = ("promoted", "kept", "insufficient", "rolled_back")


@dataclass(frozen=True)
class Ruling:
    """What a judge decided, before it has a place in the log.

    Parameters
    ----------
    kind : {"report", "stream", "rollback", "promotion"}
        What was judged: an evaluation report, a stream of paper weeks, or an order to roll back or to promote.
    candidate : str
        Version judged.
    prior : str or None
        Champion as of `effective_week` before this ruling.
    outcome : {"promoted", "kept", "insufficient", "rolled_back"}
    reason : str
        One sentence.
    effective_week : str
        ISO Monday of the first week that may know of it.
    source : str
        What was read, such as ``"report:ppo_lstm|2021"``.
    source_sha256 : str
        Hash of what was read; it is judged once.
    evidence : mapping
        Rule and numbers; JSON values.
    """

    kind: str
    candidate: str
    prior: str | None
    outcome: str
    reason: str
    effective_week: str
    source: str
    source_sha256: str
    evidence: Mapping[str, Any] = field(default_factory=dict)

    @property
    def promoted(self) -> bool:
        """True if the candidate is champion from `effective_week` on."""
        return self.outcome in ("promoted", "rolled_back")

    @property
    def champion(self) -> str:
        """Champion after the ruling: the candidate, or the prior."""
        if not self.promoted and self.prior is None:
            raise ConflictError("There is no champion to keep.", todo="promote the first version judged.")
        return self.candidate if self.promoted or self.prior is None else self.prior


@dataclass(frozen=True)
class Verdict(Link):
    """A ruling in the log.

    Parameters
    ----------
    number, previous_sha256
        Its place within the allocator's log, see `registry.chain.Link`.
    allocator : str
    kind, candidate, champion, prior, promoted, outcome, reason, effective_week, source, source_sha256, evidence
        As in `Ruling`.
    """

    allocator: str
    kind: str
    candidate: str
    champion: str
    prior: str | None
    promoted: bool
    outcome: str
    reason: str
    effective_week: str
    source: str
    source_sha256: str
    evidence: Mapping[str, Any]

    @property
    def log(self) -> str:
        """The allocator."""
        return self.allocator

    @property
    def identity(self) -> str:
        """Hash of what was judged."""
        return self.source_sha256


class VerdictLog:
    """Verdicts on one allocator's candidates.

    Parameters
    ----------
    root : Path
        Holds ``<allocator>/000001.json`` and so on; ``head.json`` beside them counts them.
    allocator : str
    witnesses : callable, optional
        Tells of verdicts that the log must hold (`registry.chain.Chain`); `registry.court.open_verdicts` passes all.
    """

    def __init__(self, root: Path, allocator: str, witnesses: Witnesses = tuple) -> None:
        self.allocator = safe_name(allocator, "allocator")
        self.folder = inside(root, allocator)
        self._chain = Chain(self.folder, Verdict, allocator, f"verdicts on {allocator}", witnesses)

    def history(self) -> list[Verdict]:
        """Return every verdict in order, verified.

        Raises
        ------
        CorruptArtifactError
            If a verdict was changed, removed, moved or slipped in, or the log was cut.
        """
        return self._chain.history()

    def champion_at(self, week: str | pd.Timestamp) -> Verdict | None:
        """Return the latest verdict effective by a week, or None if there is none; its `champion` serves that week."""
        return latest_by(self.history(), week)

    def champion(self) -> Verdict | None:
        """Return the verdict with the latest effect, or None. An old year judged late does not change it."""
        return max(self.history(), key=lambda verdict: (verdict.effective_week, verdict.number), default=None)

    def judged(self, source_sha256: str) -> Verdict | None:
        """Return the verdict on a source, if it was judged before."""
        return next((verdict for verdict in self.history() if verdict.source_sha256 == source_sha256), None)

    def locked(self) -> AbstractContextManager[None]:
        """Let no verdict be recorded meanwhile (`registry.chain.Chain.locked`)."""
        return self._chain.locked()

    def rule(
        self,
        source_sha256: str,
        judge: Callable[[list[Verdict]], Ruling],
        check: Callable[[Verdict], object] | None = None,
    ) -> Verdict:
        """Judge a source exactly once.

        Parameters
        ----------
        source_sha256 : str
            Hash of what is judged.
        judge : callable
            Gets the history and returns its ruling. It is asked again if another verdict came in meanwhile.
        check : callable, optional
            Gets the verdict under the log's lock; if it raises, nothing is recorded.

        Returns
        -------
        Verdict
            The new one, or the earlier one on the same source.

        Raises
        ------
        ConflictError
            If others kept appending all the while.
        """
        return self._chain.once(source_sha256, lambda history: self._numbered(judge(history), history), check)

    def append(self, ruling: Ruling, after: int) -> Verdict | None:
        """Append a ruling if the log still ends with verdict number ``after``.

        Returns
        -------
        Verdict or None
            None if it has grown, or holds a verdict on the same source: nothing is written then.

        Raises
        ------
        StorageError
            If the lock stays taken or the file system refuses; the log is valid, with or without the new verdict.
        """
        history = self.history()
        if len(history) != after:
            return None
        verdict = self._numbered(ruling, history)
        return verdict if self._chain.append(verdict) else None

    def _numbered(self, ruling: Ruling, history: list[Verdict]) -> Verdict:
        if ruling.outcome not in OUTCOMES:
            raise ConflictError(f"There is no outcome {ruling.outcome!r}.", todo=f"use one of {OUTCOMES}.")
        count, seal = seal_of(history)
        return Verdict(
            **{item.name: getattr(ruling, item.name) for item in fields(Ruling)},
            number=count + 1,
            allocator=self.allocator,
            champion=ruling.champion,
            promoted=ruling.promoted,
            previous_sha256=seal,
        )


def latest_by(history: list[Verdict], week: str | pd.Timestamp) -> Verdict | None:
    """Return the verdict with the latest effective week up to ``week`` (the later number of two alike), or None."""
    key = pd.Timestamp(week).date().isoformat()
    effective = [verdict for verdict in history if verdict.effective_week <= key]
    return max(effective, key=lambda verdict: (verdict.effective_week, verdict.number), default=None)
