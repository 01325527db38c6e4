"""What tells of the links of a log and lies outside it, so that a log whose end was cut is noticed by all who read it.

A log without its last links, and with the head of that time, is a valid log: nothing in it tells that there was more.
What was made from it does. The stored values of `promoted_policies` and `promotion_history` name an allocator's
verdicts; `promotion_history` names its tries too, every verdict on a report or a stream the try that it rests on, and
`evaluation_summary` how many there were. Of the one ledger of tries the witnesses of every allocator are asked.

All these are written after the links that they tell of. A witness that cannot be read tells nothing. Whoever removes
the witnesses as well leaves nothing to notice; only a copy of both ``head.json`` elsewhere tells then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from allocator_pipeline.atomic import canonical_json, sha256
from allocator_pipeline.config import ALLOCATORS
from allocator_pipeline.errors import CorruptArtifactError
from allocator_pipeline.registry.chain import Told
from allocator_pipeline.registry.partitions import stored_partitions
from allocator_pipeline.registry.verdicts import VerdictLog


def told_of_verdicts(market_dir: Path, allocator: str) -> Iterator[Told]:
    """Yield the last verdict on an allocator that each witness names.

    Parameters
    ----------
    market_dir : Path
        Holds ``assets/``.
    allocator : str
    """
    for verdict in _promoted(market_dir, allocator)[-1:]:
        seal = sha256(canonical_json(verdict))
        yield Told(f"promoted_policies of {allocator}", verdict["number"], seal)
    for case in _stored(market_dir, "promotion_history", allocator).get("cases", [])[-1:]:
        yield Told(f"promotion_history of {allocator}", case["number"], case["sha256"])


def told_of_tries(market_dir: Path) -> Iterator[Told]:
    """Yield the tries of any allocator that a witness names: all that verdicts rest on, the last that others name.

    Parameters
    ----------
    market_dir : Path
        Holds ``registry/`` and ``assets/``.
    """
    for allocator in ALLOCATORS:
        yield from _rested_on(f"on {allocator} in promoted_policies", _promoted(market_dir, allocator))
        yield from _rested_on(f"on {allocator}", _verdicts(market_dir, allocator))
        for entry in _stored(market_dir, "promotion_history", allocator).get("tries", [])[-1:]:
            yield Told(f"promotion_history of {allocator}", entry["number"], entry["sha256"])
    if summary := _stored(market_dir, "evaluation_summary", "all"):
        yield Told("evaluation_summary", summary["tries"]["count"])


def _rested_on(where: str, verdicts: Sequence[Mapping[str, Any]]) -> Iterator[Told]:
    for verdict in verdicts:
        evidence = verdict["evidence"]
        seal, badge = evidence.get("inputs", {}).get("entry"), evidence.get("badge") or {}
        if seal is not None and badge.get("try"):
            yield Told(f"verdict {verdict['number']} {where}", badge["try"], seal)


def _promoted(market_dir: Path, allocator: str) -> Sequence[Mapping[str, Any]]:
    return _stored(market_dir, "promoted_policies", allocator).get("verdicts", [])


def _verdicts(market_dir: Path, allocator: str) -> Sequence[Mapping[str, Any]]:
    """Return the verdicts of a log, as far as it goes; nothing of one that is damaged, which stops its allocator."""
    try:
        return [
            {"number": verdict.number, "evidence": verdict.evidence}
            for verdict in VerdictLog(market_dir / "registry", allocator).history()
        ]
    except CorruptArtifactError:
        return []


def _stored(market_dir: Path, asset: str, key: str) -> Mapping[str, Any]:
    try:
        return stored_partitions(market_dir / "assets", asset, key).get(key, {})
    except CorruptArtifactError:
        return {}
