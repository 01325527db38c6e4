"""What the verdicts on one allocator are made with and recorded in."""

from __future__ import annotations

from dataclasses import dataclass, field

from allocator_pipeline.config import GateConfig
from allocator_pipeline.registry.artifacts import ArtifactStore
from allocator_pipeline.registry.inputs import InputStore
from allocator_pipeline.registry.ledger import EvidenceLedger
from allocator_pipeline.registry.verdicts import VerdictLog


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
