"""What the verdicts on one allocator are made with and recorded in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from allocator_pipeline.config import GateConfig
from allocator_pipeline.registry.artifacts import ArtifactStore
from allocator_pipeline.registry.inputs import InputStore
from allocator_pipeline.registry.ledger import Entry, EvidenceLedger, Try
from allocator_pipeline.registry.verdicts import Ruling, Verdict, VerdictLog
from allocator_pipeline.registry.witnesses import told_of_tries, told_of_verdicts


@dataclass(frozen=True)
class Court:
    """The stores behind the verdicts on one allocator, and the gate in force.

    Parameters
    ----------
    log : VerdictLog
        The allocator's verdicts.
    artifacts : ArtifactStore
        Holds candidates and champions.
    ledger : EvidenceLedger
        Every try on the market.
    inputs : InputStore
        Keeps what verdicts were made from.
    gate : GateConfig
        What the badge is needed for.
    """

    log: VerdictLog
    artifacts: ArtifactStore
    ledger: EvidenceLedger
    inputs: InputStore
    gate: GateConfig = field(default_factory=GateConfig)

    def rule(self, source_sha256: str, judge: Callable[[list[Verdict]], Ruling]) -> Verdict:
        """Judge a source exactly once (`registry.verdicts.VerdictLog.rule`), and name no version that is gone.

        The candidate is read once more under the log's lock, which a pruning holds from its plan to its last removal
        (`registry.pruning`). The champion before needs no second look: an earlier verdict names it.

        Raises
        ------
        MissingPartitionError, CorruptArtifactError
            If the candidate is absent or does not verify; nothing is recorded then.
        ConflictError, StorageError
            As `registry.verdicts.VerdictLog`.
        """
        return self.log.rule(
            source_sha256, judge, lambda verdict: self.artifacts.load(verdict.allocator, verdict.candidate)
        )

    def count(self, attempt: Try) -> Entry:
        """Record a try in the ledger, checked as in `tries`; the same one again is the entry there is.

        Raises
        ------
        CorruptArtifactError
            As `tries`.
        ConflictError, NotEnoughDataError, WeightsError, StorageError
            As `registry.ledger.EvidenceLedger.record`.
        """
        self.tries()
        return self.ledger.record(attempt)

    def proof(self, candidate: str, by: str | None = None) -> Entry | None:
        """Return the entry that proved a version (`registry.ledger.proof_of`), from a ledger checked as in `tries`."""
        self.tries()
        return self.ledger.proof(self.log.allocator, candidate, by)

    def tries(self) -> list[Entry]:
        """Return every try, for judgements on this allocator.

        Raises
        ------
        CorruptArtifactError
            If the ledger or the allocator's log is not what was written, or was cut.
        """
        self.log.history()  # an allocator whose own verdicts cannot be read is not judged
        return self.ledger.history()


def open_verdicts(market_dir: Path, allocator: str) -> VerdictLog:
    """Return an allocator's log of verdicts; it is not read if it was cut (`registry.witnesses`)."""
    return VerdictLog(market_dir / "registry", allocator, partial(told_of_verdicts, market_dir, allocator))


def open_ledger(market_dir: Path) -> EvidenceLedger:
    """Return the ledger of tries; it is not read if it was cut, whichever allocator tells (`registry.witnesses`)."""
    return EvidenceLedger(market_dir / "registry", witnesses=partial(told_of_tries, market_dir))


def open_court(market_dir: Path, allocator: str, gate: GateConfig | None = None) -> Court:
    """Return what verdicts on an allocator are made with, as it lies in a market's folder.

    Parameters
    ----------
    market_dir : Path
        Holds ``models/``, ``registry/`` and ``assets/``.
    allocator : str
    gate : GateConfig, optional
        In force; replaying verdicts asks for none.
    """
    registry = market_dir / "registry"
    return Court(
        log=open_verdicts(market_dir, allocator),
        artifacts=ArtifactStore(market_dir / "models"),
        ledger=open_ledger(market_dir),
        inputs=InputStore(registry / "inputs"),
        gate=gate or GateConfig(),
    )
