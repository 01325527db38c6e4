"""What the verdicts on one allocator are made with and recorded in."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

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


def open_court(market_dir: Path, allocator: str, gate: GateConfig | None = None) -> Court:
    """Return what verdicts on an allocator are made with, as it lies in a market's folder.

    Parameters
    ----------
    market_dir : Path
        Holds ``models/`` and ``registry/``.
    allocator : str
    gate : GateConfig, optional
        In force; replaying verdicts asks for none.
    """
    registry = market_dir / "registry"
    return Court(
        log=VerdictLog(registry, allocator),
        artifacts=ArtifactStore(market_dir / "models"),
        ledger=EvidenceLedger(registry),
        inputs=InputStore(registry / "inputs"),
        gate=gate or GateConfig(),
    )
