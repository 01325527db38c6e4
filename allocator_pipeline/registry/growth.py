"""What a verdict by CAGR stands on: each growth rate and each difference with its interval, the baselines beside.

The tests of Sharpe ratios that every verdict carries say nothing about the number that decides on SAC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from allocator_pipeline.config import MIN_JUDGED_WEEKS, PRINCIPAL_BASELINES, algorithm_of
from allocator_pipeline.evaluation.growth import cagr_difference, cagr_interval
from allocator_pipeline.evaluation.walk_forward import POLICY
from allocator_pipeline.registry.rules import RULES, WORDS


def growth_evidence(
    allocator: str,
    net: Sequence[float],
    baselines: Mapping[str, Sequence[float]],
    sides: Mapping[str, Sequence[float]] | None,
) -> dict[str, Any]:
    """Return the evidence that a verdict by CAGR has beside the tests of Sharpe ratios.

    Parameters
    ----------
    allocator : str
    net : sequence of float
        Weekly net returns of what was tried: the recipe over all judged weeks, or the stream's challengers.
    baselines : mapping of str to sequence of float
        Those of the baselines over the same weeks.
    sides : mapping or None
        Net returns of ``challenger`` and ``champion`` over the weeks that neither has seen.

    Returns
    -------
    dict
        ``growth``: ``own`` (`growth.cagr_interval`), ``less`` (baseline -> `growth.cagr_difference`) and ``champion``
        (that of challenger less champion; None without such weeks). Empty where the rule asks for another metric, or
        below 26 weeks.
    """
    if RULES[algorithm_of(allocator)].metric != "cagr" or len(net) < MIN_JUDGED_WEEKS:
        return {}
    met = sides is not None and len(sides["challenger"]) >= MIN_JUDGED_WEEKS
    return {
        "growth": {
            "own": cagr_interval(net),
            "less": {name: cagr_difference(net, baselines[name]) for name in PRINCIPAL_BASELINES if name in baselines},
            "champion": cagr_difference(sides["challenger"], sides["champion"]) if sides and met else None,
        }
    }


def walked(report: Mapping[str, Any]) -> tuple[Sequence[float], dict[str, Sequence[float]]]:
    """Return the net returns of a report's recipe, and of the principal baselines, over all judged weeks."""
    series = report["walk_forward"]["series"]
    beside = {name: series[name]["weekly"]["net"] for name in PRINCIPAL_BASELINES if name in series}
    return series[POLICY]["weekly"]["net"], beside


def growth_words(growth: Mapping[str, Any]) -> str:
    """Return the CAGR of what was tried with its interval, and its difference to each baseline."""
    beside = [f"less {WORDS[name]}'s {apart(item)}" for name, item in growth["less"].items()]
    return ", ".join([f"{growth['own']['estimate']:.4f} {_between(growth['own'], '')}", *beside])


def apart(item: Mapping[str, float]) -> str:
    """Return a difference of two growth rates with its interval."""
    return f"{item['estimate']:+.4f} {_between(item, '+')}"


def _between(item: Mapping[str, float], sign: str) -> str:
    return f"95 % interval [{item['low']:{sign}.4f}, {item['high']:{sign}.4f}]"
