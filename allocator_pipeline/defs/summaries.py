"""What the summary assets read beside their inputs: policies of the years judged, the ledger of tries, duels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from allocator_pipeline.config import MIN_JUDGED_WEEKS
from allocator_pipeline.defs.partitions import split
from allocator_pipeline.defs.resources import StoreResource
from allocator_pipeline.defs.storage import Partitioned
from allocator_pipeline.errors import MissingPartitionError
from allocator_pipeline.evaluation.comparison import duel, kept_duel
from allocator_pipeline.registry.ledger import Entry
from allocator_pipeline.registry.rules import current_stream


def judged_years(eval_reports: Partitioned, allocator: str) -> list[int]:
    """Return the years that the newest report of an allocator walks through.

    Raises
    ------
    MissingPartitionError
        If there is no report.
    """
    stored = [key for key in eval_reports.stored() if split(key)[0] == allocator]
    if not stored:
        raise MissingPartitionError(
            f"There is no report of {allocator} to sum up.", todo="materialise eval_reports of a year first."
        )
    return list(eval_reports[max(stored)]["walk_forward"]["years"])


def tries_of(history: Sequence[Entry]) -> dict[str, Any]:
    """Count the tries of the ledger: in all, by allocator, and where the last one stands in its sequence."""
    counts: dict[str, int] = {}
    for entry in history:
        counts[entry.allocator] = counts.get(entry.allocator, 0) + 1
    last = history[-1] if history else None
    return {
        "count": len(history),
        "sequence": last.sequence if last else 0,
        "position": last.position if last else 0,
        "by_allocator": counts,
    }


def duels_of(store: StoreResource, allocators: Sequence[str]) -> list[dict[str, Any]]:
    """Return each allocator's duels: those that verdicts carry the tests of, and the stream of paper weeks under way.

    A stream of fewer than 26 weeks is left out.
    """
    duels = []
    for allocator in allocators:
        for verdict in store.verdicts(allocator).history():
            tests = verdict.evidence.get("duel")
            if tests and verdict.prior:
                weeks = verdict.evidence["weeks"]
                duels.append(kept_duel(allocator, verdict.candidate, verdict.prior, weeks, tests))
        papers = [
            store.assets.read("paper_evaluations", key)
            for key in store.assets.keys("paper_evaluations")
            if split(key)[0] == allocator
        ]
        stream = current_stream(papers)
        if len(stream) >= MIN_JUDGED_WEEKS:
            challenger, champion = (stream[-1][side]["version"] for side in ("challenger", "champion"))
            net, other = (np.array([paper[side]["net"] for paper in stream]) for side in ("challenger", "champion"))
            duels.append(duel(allocator, challenger, champion, net, other))
    return duels
