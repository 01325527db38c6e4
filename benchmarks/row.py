"""What a benchmark row is, and how one is measured."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

REPEATS = 7


@dataclass(frozen=True)
class Row:
    """Two ways to do the same work.

    Parameters
    ----------
    recipe : str
        What is done, on what, in one sentence.
    unit : str
        Of the numbers that ``ours`` and ``reference`` return; more is better.
    ours, reference : callable
        One measurement each; called again and again.
    breakdown : callable, optional
        Where our time goes: CPU milliseconds by part.
    """

    recipe: str
    unit: str
    ours: Callable[[], float]
    reference: Callable[[], float]
    breakdown: Callable[[], Mapping[str, float]] | None = None


def measure(name: str, row: Row, repeats: int = REPEATS) -> dict[str, Any]:
    """Measure a row.

    After one warm-up of each side, the sides alternate, and the one that goes first alternates too: what the machine
    does meanwhile hits both.

    Returns
    -------
    dict
        ``ours`` and ``reference`` (medians), ``ratio`` (median of the pairs), ``min``, ``max``, and what was measured.
    """
    row.reference()
    row.ours()
    pairs = []
    for turn in range(repeats):
        if turn % 2:
            ours, reference = row.ours(), row.reference()
        else:
            reference, ours = row.reference(), row.ours()
        pairs.append((ours, reference))
    ratios = [ours / reference for ours, reference in pairs]
    return {
        "name": name,
        "recipe": row.recipe,
        "ours": statistics.median(ours for ours, _ in pairs),
        "reference": statistics.median(reference for _, reference in pairs),
        "ratio": statistics.median(ratios),
        "min": min(ratios),
        "max": max(ratios),
        "unit": row.unit,
        "command": f"python -m benchmarks {name}",
    }
