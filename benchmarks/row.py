"""What a benchmark row is, how one is measured, and how its result reads."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

REPEATS = 7

Measurement = Callable[[], float]


@dataclass(frozen=True)
class Row:
    """Two ways to do the same work, or one way alone.

    Parameters
    ----------
    recipe : str
        What is done, on what, in one sentence.
    unit : str
        Of the numbers that ``ours`` and ``reference`` return; more is better where there is a reference.
    ours : callable
        One measurement; called again and again.
    reference : callable, optional
        The same of the other way; absent in a row that stands for itself.
    breakdown : callable, optional
        Where our time goes, in units named by its keys.
    repeats : int
        Measurements of each side.
    warm_up : bool
        Whether each side is first called once without being counted.
    facts : callable, optional
        What else belongs to the result, asked for after the measurements.
    environment : str
        Variables before the command that repeats it, such as ``"BENCH_YEARS=2 "``.
    """

    recipe: str
    unit: str
    ours: Measurement
    reference: Measurement | None = None
    breakdown: Callable[[], Mapping[str, float]] | None = None
    repeats: int = REPEATS
    warm_up: bool = True
    facts: Callable[[], Mapping[str, Any]] | None = None
    environment: str = ""


@dataclass(frozen=True)
class Skipped:
    """A row that cannot be measured on this machine.

    Parameters
    ----------
    reason : str
    """

    reason: str


def measure(name: str, row: Row) -> dict[str, Any]:
    """Measure a row.

    After one warm-up of each side, the sides alternate, and the one that goes first alternates too: what the machine
    does meanwhile hits both.

    Returns
    -------
    dict
        ``name``, ``recipe``, ``unit``, ``command``; ``ours`` and ``reference``, medians; ``ratio``, ``min`` and ``max``
        of the pairs. Without a reference, ``reference`` and ``ratio`` are None, and ``min`` and ``max`` are those of
        ours. Where the row has them, ``breakdown`` and ``facts``.
    """
    if row.warm_up:
        if row.reference is not None:
            row.reference()
        row.ours()
    ours, reference = _alternate(row)
    ratios = [mine / other for mine, other in zip(ours, reference, strict=True)] if reference else []
    result: dict[str, Any] = {
        "name": name,
        "recipe": row.recipe,
        "ours": _finite(statistics.median(ours)),
        "reference": _finite(statistics.median(reference)) if reference else None,
        "ratio": _finite(statistics.median(ratios)) if ratios else None,
        "min": _finite(min(ratios or ours)),
        "max": _finite(max(ratios or ours)),
        "unit": row.unit,
        "command": f"{row.environment}make bench ONLY={name}",
    }
    if row.breakdown is not None:
        result["breakdown"] = dict(row.breakdown())
    if row.facts is not None:
        result["facts"] = dict(row.facts())
    return result


def _alternate(row: Row) -> tuple[list[float], list[float]]:
    ours: list[float] = []
    reference: list[float] = []
    for turn in range(row.repeats):
        sides = [(ours, row.ours)] if row.reference is None else [(reference, row.reference), (ours, row.ours)]
        for kept, side in reversed(sides) if turn % 2 else sides:
            kept.append(side())
    return ours, reference


def _finite(value: float) -> float | None:
    """Return a number as JSON has it: None for what was never reached."""
    return value if math.isfinite(value) else None


def lines(result: Mapping[str, Any]) -> list[str]:
    """Return how a result reads in the terminal."""
    unit = result["unit"]
    told = [f"{result['name']}: {result['recipe']}"]
    if result["reference"] is None:
        told.append(f"  ours {number(result['ours'])} {unit}")
        told.append(f"  min {number(result['min'])}, max {number(result['max'])}; no reference")
    else:
        told.append(f"  ours {number(result['ours'])}, reference {number(result['reference'])} {unit}")
        told.append("  ratio: " + ", ".join(f"{part} {result[key]:.1f}" for part, key in RATIO))
    parts = ", ".join(f"{part} {number(amount)}" for part, amount in result.get("breakdown", {}).items())
    if parts:
        told.append(f"  breakdown: {parts}")
    told.extend(
        f"  {fact}: {number(value) if isinstance(value, float) else value}"
        for fact, value in result.get("facts", {}).items()
        if value is not None
    )
    return told


RATIO = (("min", "min"), ("median", "ratio"), ("max", "max"))


def number(value: float | None) -> str:
    """Return a number with at least three digits."""
    if value is None:
        return "never"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
