"""An append-only log of files: numbered, created exclusively, chained by hash, verified on every read.

`registry.verdicts` and `registry.ledger` say what a link holds. Every link carries the seal of the one before, and
``head.json`` counts them, so that nothing can be edited, moved, slipped in or removed without being noticed, but for
one thing: the last links taken away together with their head leave a valid log that is shorter. What rests on these
links tells then (`registry.witnesses`), and is asked on every read. The head is written after its link: it may be one
behind, and absent beside a single link, but never beside more.
"""

from __future__ import annotations

import contextlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

import filelock

from allocator_pipeline.atomic import canonical_json, create_bytes, sha256, write_bytes
from allocator_pipeline.errors import ConflictError, CorruptArtifactError, StorageError

GENESIS = "0" * 64
LOCK_SECONDS = 60.0
WITHOUT_BACKUP = 'without one, docs/registry.md says under "A log that is damaged or too short" what to do'
TRIES = 100


@dataclass(frozen=True)
class Link(ABC):
    """One entry of a log.

    Parameters
    ----------
    number : int
        1, 2, 3, ... within the log.
    previous_sha256 : str
        Seal of the link before, 64 zeros for the first.
    """

    number: int
    previous_sha256: str

    @cached_property
    def sha256(self) -> str:
        """Seal over all fields."""
        return sha256(canonical_json(self._fields()))

    @property
    @abstractmethod
    def log(self) -> str:
        """Name of the log it belongs to."""

    @property
    @abstractmethod
    def identity(self) -> str:
        """What may be in a log only once."""

    def to_bytes(self) -> bytes:
        """Serialise with the seal; equal links give equal bytes."""
        return canonical_json({**self._fields(), "sha256": self.sha256})

    def _fields(self) -> dict[str, Any]:
        return {item.name: getattr(self, item.name) for item in fields(self)}  # JSON values, so no deep copies


@dataclass(frozen=True)
class Told:
    """What something outside a log tells of one of its links.

    Parameters
    ----------
    by : str
        Who tells, for the message.
    number : int
        Of the link.
    seal : str or None
        Of the link; None if that is not known.
    """

    by: str
    number: int
    seal: str | None = None


Witnesses = Callable[[], Iterable[Told]]
"""Asked on every read of a log, before the log itself, which may grow meanwhile."""


L = TypeVar("L", bound=Link)


class Chain(Generic[L]):
    """A folder of links.

    Parameters
    ----------
    folder : Path
        Holds ``000001.json`` and so on; ``head.json`` beside them counts them.
    kind : type
        Class of the links.
    name : str
        Name of the log.
    what : str
        What errors call its links, such as ``"verdicts on ppo_lstm"``.
    witnesses : callable, optional
        Tells of links that the log must hold.
    """

    def __init__(self, folder: Path, kind: type[L], name: str, what: str, witnesses: Witnesses = tuple) -> None:
        self.folder, self._kind, self._name, self._what, self._witnesses = folder, kind, name, what, witnesses

    def history(self) -> list[L]:
        """Return every link in order, verified.

        Raises
        ------
        CorruptArtifactError
            If a link was changed, moved, slipped in, or removed without the head, or a witness tells of one that is
            gone.
        """
        told = list(self._witnesses())
        head = self._head()  # first: a link appended meanwhile is then one more than the head counts, never fewer
        names = sorted(path.name for path in self.folder.glob("[0-9]*.json")) if self.folder.is_dir() else []
        if names != [self._path(number).name for number in range(1, len(names) + 1)]:
            raise self._tampered(f"the files are {names[:20]}")
        if head[0] == 0 and len(names) > 1 and self._head()[0] == 0:  # else the first ones came in meanwhile
            raise self._tampered("head.json, which counts them, is gone")
        links: list[L] = []
        seal = GENESIS
        for number in range(1, len(names) + 1):
            link = self._read(number)
            if link.previous_sha256 != seal:
                raise self._tampered(f"number {number} does not follow the one before it")
            links.append(link)
            seal = link.sha256
        if len(links) < head[0] or (head[0] and links[head[0] - 1].sha256 != head[1]):
            raise self._tampered(f"there were {head[0]} of them once, and the last of these is gone or another")
        self._check(told, links)
        return links

    def once(self, identity: str, forge: Callable[[list[L]], L], check: Callable[[L], object] | None = None) -> L:
        """Append a link unless the log has one of that identity.

        Parameters
        ----------
        identity : str
        forge : callable
            Gets the history and returns the link that follows it. It is asked again if another came in meanwhile.
        check : callable, optional
            As of `append`.

        Returns
        -------
        Link
            The new one, or the earlier one of that identity.

        Raises
        ------
        ConflictError
            If others kept appending all the while, or the link forged is of another identity.
        """
        for _ in range(TRIES):
            history = self.history()
            earlier = next((link for link in history if link.identity == identity), None)
            if earlier is not None:
                return earlier
            link = forge(history)
            if link.identity != identity:
                raise ConflictError(
                    "What is to be recorded is about another source.", todo="report a defect of the judge."
                )
            if self.append(link, check):
                return link
        raise ConflictError(f"Other {self._what} kept coming in.", todo="run this one again.", source=str(self.folder))

    def append(self, link: L, check: Callable[[L], object] | None = None) -> bool:
        """Append a link if the log still ends where it begins.

        Parameters
        ----------
        link : Link
        check : callable, optional
            Gets the link under the lock, last of all; if it raises, nothing is written. It may not take the lock again.

        Returns
        -------
        bool
            False if the log has grown, or holds a link of the same identity: nothing is written then.

        Raises
        ------
        StorageError
            If the lock stays taken or the file system refuses; the log is valid, with or without the new link.
        """
        with self.locked():
            history = self.history()
            if seal_of(history) != (link.number - 1, link.previous_sha256):
                return False
            if any(earlier.identity == link.identity for earlier in history):
                return False
            if check is not None:
                check(link)
            if history and self._head()[0] == 0:  # a process died between the first link and its head
                self._count(history[-1])
            if not create_bytes(self._path(link.number), link.to_bytes()):
                return False
            self._count(link)
            return True

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Let nobody append meanwhile; who holds the lock may not append either.

        Raises
        ------
        StorageError
            If the lock stays taken or the file system refuses.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(self.folder / ".lock", timeout=LOCK_SECONDS):  # the system frees a dead holder's
                yield
        except (OSError, filelock.Timeout) as error:
            raise StorageError(
                f"The {self._what} cannot be written: {error}.",
                todo="end the process that holds the lock or mend the disk, then run again.",
                source=str(self.folder),
            ) from error

    def _check(self, told: Iterable[Told], links: list[L]) -> None:
        seals = {link.sha256 for link in links}
        for each in told:
            there = each.number <= len(links)
            if not there or (each.seal is not None and each.seal not in seals):
                raise CorruptArtifactError(
                    f"The {self._what} were cut: they end with number {len(links)}, and {each.by} names "
                    f"{'another ' if there else ''}number {each.number}.",
                    todo=f"restore the folder from a backup that holds it; {WITHOUT_BACKUP}.",
                    source=str(self.folder),
                )

    def _count(self, last: L) -> None:
        write_bytes(self.folder / "head.json", canonical_json({"count": last.number, "sha256": last.sha256}))

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06d}.json"

    def _read(self, number: int) -> L:
        try:
            payload = self._path(number).read_bytes()
            content = json.loads(payload)
            content.pop("sha256")
            link = self._kind(**content)
            if link.to_bytes() != payload or (link.number, link.log) != (number, self._name):
                raise ValueError("it fails its seal")
            return link
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise self._tampered(f"number {number} cannot be trusted: {error}") from error

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
            f"The {self._what} are not what was written: {why}.",
            todo=f"restore the folder from a backup; {WITHOUT_BACKUP}.",
            source=str(self.folder),
        )


def seal_of(history: list[L]) -> tuple[int, str]:
    """Return what the next link follows: how many there are, and the seal of the last."""
    return len(history), history[-1].sha256 if history else GENESIS
