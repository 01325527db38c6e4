"""How much of a result is the choice of a seed: every member of the ensemble walks alone.

Members are trained on the same weeks from random numbers of their own. The spread of whole ensembles from new seeds
would be smaller, since an ensemble is a mean of members.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from allocator_pipeline.evaluation.judged import Change, Judged
from allocator_pipeline.evaluation.metrics import cagr, sharpe_ratio
from allocator_pipeline.evaluation.performance import performance
from allocator_pipeline.portfolio.rollout import Rollout


def member_walks(judged: Judged, change: Change) -> list[Rollout]:
    """Let every member that each year has walk alone, in every year the one in the same place."""

    def member(place: int) -> Change:
        return lambda policy: change(policy).member(place)

    count = min(policy.members for policy in judged.policies.values())
    return [judged.walk(judged.decide(member(place))) for place in range(count)]


def seed_rows(runs: Sequence[Rollout], market: Rollout, judged: Judged) -> list[dict[str, Any]]:
    """Return ``member``, ``metrics`` (`performance.performance`) and weekly ``net`` returns of each walk."""
    return [
        {"member": place, "metrics": performance(run, market, judged.costs)["metrics"], "net": run.net.tolist()}
        for place, run in enumerate(runs)
    ]


def spread(runs: Sequence[Rollout]) -> dict[str, dict[str, float]]:
    """Return mean, standard deviation (0 for a single one), least and greatest Sharpe ratio and CAGR of some walks."""
    each = {"sharpe": [float(sharpe_ratio(run.net)) for run in runs], "cagr": [cagr(run.net) for run in runs]}
    return {
        name: {
            "mean": float(np.mean(values)),
            "sd": float(np.std(values, ddof=1)) if len(values) > 1 else 0.0,
            "min": min(values),
            "max": max(values),
        }
        for name, values in each.items()
    }
