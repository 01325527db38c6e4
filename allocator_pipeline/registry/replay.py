"""Verdicts made again from their kept inputs, by the same rule: whoever changes an input or a verdict is found out.

The walk of a champion is an input, not walked anew: it is bound by the hashes of the state tensors and of both
manifests, which the verdict names. Thresholds are drawn anew, tests run anew. Numbers may differ by 1e-6 of their size,
which is what another processor's rounding makes of them; what somebody has edited by less, its hash tells.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from allocator_pipeline.atomic import canonical_json
from allocator_pipeline.config import GateConfig
from allocator_pipeline.errors import AllocatorError, MissingPartitionError
from allocator_pipeline.registry.court import Court
from allocator_pipeline.registry.ledger import Entry, Try, compare, judged
from allocator_pipeline.registry.rulings import (
    ruling_on_order,
    ruling_on_promotion,
    ruling_on_report,
    ruling_on_stream,
)
from allocator_pipeline.registry.tries import report_try, stream_try
from allocator_pipeline.registry.verdicts import Ruling, Verdict

SAME, DIFFERS, ABSENT = "same", "differs", "inputs absent"
ELSEWHERE = ("states", "entry")
"""Inputs that are not kept among the documents: state tensors, by hash alone, and the entry of the ledger."""

ORDERS = {"rollback": ruling_on_order, "promotion": ruling_on_promotion}
"""Kinds of verdict that follow from an order by hand."""

ROUNDING = 1e-6


@dataclass(frozen=True)
class Finding:
    """What came of making a verdict again.

    Parameters
    ----------
    number : int
        Of the verdict.
    source : str
        What was judged.
    status : {"same", "differs", "inputs absent"}
    why : str
        What differs or is absent; empty for the same.
    """

    number: int
    source: str
    status: str
    why: str = ""


def replay(court: Court) -> list[Finding]:
    """Make every verdict on an allocator again, from stored inputs and the rule.

    Parameters
    ----------
    court : Court
        Its artefacts and its gate are not used: each verdict names the gate that was in force.

    Returns
    -------
    list of Finding
        One for each verdict, oldest first.

    Raises
    ------
    CorruptArtifactError
        If the log or the ledger is not what was written; nothing in it can be trusted then.
    """
    history, tries = court.log.history(), court.ledger.history()
    return [_again(court, verdict, history[: verdict.number - 1], tries) for verdict in history]


def _again(court: Court, verdict: Verdict, before: Sequence[Verdict], tries: Sequence[Entry]) -> Finding:
    def found(status: str, why: str = "") -> Finding:
        return Finding(verdict.number, verdict.source, status, why)

    inputs = verdict.evidence.get("inputs")
    if not inputs:
        return found(ABSENT, "the verdict names none; it was made before they were kept")
    try:
        documents = {name: court.inputs.read(digest) for name, digest in inputs.items() if name not in ELSEWHERE}
        ruling = _ruling(court, verdict, documents, before, tries)
    except MissingPartitionError as error:
        return found(ABSENT, error.problem)
    except AllocatorError as error:
        return found(DIFFERS, error.problem)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        return found(DIFFERS, f"its inputs do not fit together: {error!r}")
    if isinstance(ruling, str):
        return found(DIFFERS, ruling)
    made = json.loads(canonical_json(asdict(ruling)))
    names = [item.name for item in fields(Ruling)]
    differing = [place for name in names for place in _differences(made[name], getattr(verdict, name), name)]
    return found(DIFFERS, f"made again, it has another {', '.join(differing)}") if differing else found(SAME)


def _ruling(
    court: Court, verdict: Verdict, documents: dict[str, Any], before: Sequence[Verdict], tries: Sequence[Entry]
) -> Ruling | str:
    """Return the ruling, or why its entry in the ledger is not the one that its inputs lead to."""
    inputs, gate = verdict.evidence["inputs"], GateConfig(**verdict.evidence["gate"])
    number = verdict.evidence["badge"]["try"]
    entry = tries[number - 1] if number is not None else None
    if (entry.sha256 if entry else None) != inputs.get("entry"):
        return f"try {number} of the ledger is not the entry it names"
    if verdict.kind in ORDERS:
        if entry and (entry.allocator, entry.candidate) != (verdict.allocator, verdict.candidate):
            return f"try {number} of the ledger is about {entry.allocator} {entry.candidate}"
        return ORDERS[verdict.kind](verdict.allocator, documents, entry, before, gate, inputs)
    if entry is None:
        return "it names no try of the ledger"
    if verdict.kind == "report":
        attempt = report_try(documents["report"], documents["candidate"], entry.date)
        ruling = ruling_on_report(documents, entry, before, gate, inputs)
    else:
        attempt = stream_try(documents["papers"], documents["baselines"], documents["candidate"], entry.date)
        ruling = ruling_on_stream(verdict.allocator, documents, entry, before, gate, inputs)
    return _unlike(court, attempt, entry, tries) or ruling


def _unlike(court: Court, attempt: Try, entry: Entry, tries: Sequence[Entry]) -> str:
    """Return what differs between an entry of the ledger and the try made again; empty if nothing does."""
    earlier = tries[: entry.number - 1]
    made = judged(attempt, compare(attempt), earlier, court.ledger.name, entry.draws, entry.seed)
    differing = _differences(json.loads(canonical_json(asdict(made))), asdict(entry), f"try {entry.number}")
    return f"made again, it has another {', '.join(differing)}" if differing else ""


def _differences(made: Any, stored: Any, place: str) -> list[str]:
    """Return the places at which two JSON values differ by more than rounding."""
    if isinstance(made, dict) and isinstance(stored, dict) and made.keys() == stored.keys():
        return [each for name in made for each in _differences(made[name], stored[name], f"{place}.{name}")]
    if isinstance(made, list) and isinstance(stored, list) and len(made) == len(stored):
        unlike = any(_differences(one, other, place) for one, other in zip(made, stored, strict=True))
        return [place] if unlike else []
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (made, stored))
    same = math.isclose(made, stored, rel_tol=ROUNDING, abs_tol=1e-9) if numbers else made == stored
    return [] if same else [place]
