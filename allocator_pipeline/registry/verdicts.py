"""The record of every verdict on every candidate: append-only, numbered, chained by hash, verified on every read.

The champion is not stored anywhere else: it is what the verdicts say. A verdict takes effect at a week, so that the
champion *as of* any week follows from the log, and an old year judged late never displaces a newer champion.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import filelock
import pandas as pd

from allocator_pipeline.atomic import canonical_json, create_bytes, sha256, write_bytes
from allocator_pipeline.errors import ConflictError, CorruptArtifactError, StorageError
from allocator_pipeline.paths import inside, safe_name

GENESIS = "0" * 64
LOCK_SECONDS = 60.0
TRIES = 100
OUTCOMES = ("promoted", "kept", "insufficient", "rolled_back")


@dataclass(frozen=True)
class Ruling:
    """What a judge decided, before it has a place in the log.

    Parameters
    ----------
    kind : {"report", "stream", "rollback"}
        What was judged: an evaluation report, a stream of paper weeks, or an order to roll back.
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
class Verdict:
    """A ruling in the log.

    Parameters
    ----------
    number : int
        1, 2, 3, ... within the allocator.
    allocator : str
    kind, candidate, champion, prior, promoted, outcome, reason, effective_week, source, source_sha256, evidence
        As in `Ruling`.
    previous_sha256 : str
        Seal of the verdict before, 64 zeros for the first.
    """

    number: int
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
    previous_sha256: str

    @property
    def sha256(self) -> str:
        """Seal over all fields."""
        return sha256(canonical_json(asdict(self)))

    def to_bytes(self) -> bytes:
        """Serialise with the seal; equal verdicts give equal bytes."""
        return canonical_json({**asdict(self), "sha256": self.sha256})


class VerdictLog:
    """Verdicts on one allocator's candidates.

    Parameters
    ----------
    root : Path
        Holds ``<allocator>/000001.json`` and so on; ``head.json`` beside them counts them.
    allocator : str
    """

    def __init__(self, root: Path, allocator: str) -> None:
        self.allocator = safe_name(allocator, "allocator")
        self.folder = inside(root, allocator)

    def history(self) -> list[Verdict]:
        """Return every verdict in order, verified.

        Raises
        ------
        CorruptArtifactError
            If a verdict was changed, removed, moved or slipped in.
        """
        head = self._head()  # first: a verdict appended meanwhile is then one more than the head counts, never fewer
        names = sorted(path.name for path in self.folder.glob("[0-9]*.json")) if self.folder.is_dir() else []
        if names != [self._path(number).name for number in range(1, len(names) + 1)]:
            raise self._tampered(f"the files are {names[:20]}")
        verdicts: list[Verdict] = []
        seal = GENESIS
        for number in range(1, len(names) + 1):
            verdict = self._read(number)
            if verdict.previous_sha256 != seal:
                raise self._tampered(f"verdict {number} does not follow the one before it")
            verdicts.append(verdict)
            seal = verdict.sha256
        if len(verdicts) < head[0] or (head[0] and verdicts[head[0] - 1].sha256 != head[1]):
            raise self._tampered(f"there were {head[0]} verdicts once, and the last of them is gone or another")
        return verdicts

    def champion_at(self, week: str | pd.Timestamp) -> Verdict | None:
        """Return the latest verdict effective by a week, or None if there is none; its `champion` serves that week."""
        return latest_by(self.history(), week)

    def champion(self) -> Verdict | None:
        """Return the verdict with the latest effect, or None. An old year judged late does not change it."""
        return max(self.history(), key=lambda verdict: (verdict.effective_week, verdict.number), default=None)

    def judged(self, source_sha256: str) -> Verdict | None:
        """Return the verdict on a source, if it was judged before."""
        return next((verdict for verdict in self.history() if verdict.source_sha256 == source_sha256), None)

    def rule(self, source_sha256: str, judge: Callable[[list[Verdict]], Ruling]) -> Verdict:
        """Judge a source exactly once.

        Parameters
        ----------
        source_sha256 : str
            Hash of what is judged.
        judge : callable
            Gets the history and returns its ruling. It is asked again if another verdict came in meanwhile.

        Returns
        -------
        Verdict
            The new one, or the earlier one on the same source.

        Raises
        ------
        ConflictError
            If others kept appending all the while.
        """
        for _ in range(TRIES):
            history = self.history()
            earlier = next((verdict for verdict in history if verdict.source_sha256 == source_sha256), None)
            if earlier is not None:
                return earlier
            ruling = judge(history)
            if ruling.source_sha256 != source_sha256:
                raise ConflictError("The ruling is about another source.", todo="report a defect of the judge.")
            appended = self.append(ruling, after=len(history))
            if appended is not None:
                return appended
        raise ConflictError(
            f"Other promotions of {self.allocator} kept coming in.", todo="run this one again.", source=str(self.folder)
        )

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
        if ruling.outcome not in OUTCOMES:
            raise ConflictError(f"There is no outcome {ruling.outcome!r}.", todo=f"use one of {OUTCOMES}.")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(self.folder / ".lock", timeout=LOCK_SECONDS):  # the system frees a dead holder's
                history = self.history()
                if len(history) != after or any(v.source_sha256 == ruling.source_sha256 for v in history):
                    return None
                verdict = self._numbered(ruling, history)
                if not create_bytes(self._path(verdict.number), verdict.to_bytes()):
                    return None
                write_bytes(
                    self.folder / "head.json", canonical_json({"count": verdict.number, "sha256": verdict.sha256})
                )
                return verdict
        except (OSError, filelock.Timeout) as error:
            raise StorageError(
                f"The verdicts of {self.allocator} cannot be written: {error}.",
                todo="end the process that holds the lock or mend the disk, then run again.",
                source=str(self.folder),
            ) from error

    def _numbered(self, ruling: Ruling, history: list[Verdict]) -> Verdict:
        given = {item.name: getattr(ruling, item.name) for item in fields(Ruling)}
        return Verdict(
            **given,
            number=len(history) + 1,
            allocator=self.allocator,
            champion=ruling.champion,
            promoted=ruling.promoted,
            previous_sha256=history[-1].sha256 if history else GENESIS,
        )

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06d}.json"

    def _read(self, number: int) -> Verdict:
        try:
            payload = self._path(number).read_bytes()
            content = json.loads(payload)
            content.pop("sha256")
            verdict = Verdict(**content)
            if verdict.to_bytes() != payload or (verdict.number, verdict.allocator) != (number, self.allocator):
                raise ValueError("it fails its seal")
            return verdict
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise self._tampered(f"verdict {number} cannot be trusted: {error}") from error

    def _head(self) -> tuple[int, str]:
        path = self.folder / "head.json"
        try:
            head = json.loads(path.read_bytes())
            return int(head["count"]), str(head["sha256"])
        except FileNotFoundError:
            return 0, GENESIS
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise self._tampered(f"head.json cannot be read: {error}") from error

    def _tampered(self, why: str) -> CorruptArtifactError:
        return CorruptArtifactError(
            f"The verdicts on {self.allocator} are not what was written: {why}.",
            todo="restore the folder from a backup; or move it away and run the promotions again.",
            source=str(self.folder),
        )


def latest_by(history: list[Verdict], week: str | pd.Timestamp) -> Verdict | None:
    """Return the verdict with the latest effective week up to ``week`` (the later number of two alike), or None."""
    key = pd.Timestamp(week).date().isoformat()
    effective = [verdict for verdict in history if verdict.effective_week <= key]
    return max(effective, key=lambda verdict: (verdict.effective_week, verdict.number), default=None)
