"""How much of a result is the choice of a seed: whole recipes from other seeds, and members of one ensemble alone.

A *whole recipe* is trained anew from another seed: the ensemble, and the cross-fit that sets the share of its tilt
which is served. A *member* is one network of the ensemble there is, walking alone at that ensemble's share. The share
depends on the seed, so that whole recipes can differ more than members do, although each is a mean of members.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from allocator_pipeline.errors import MissingPartitionError
from allocator_pipeline.evaluation.judged import Change, Judged, served, unshrunk
from allocator_pipeline.evaluation.metrics import cagr, sharpe_ratio
from allocator_pipeline.evaluation.performance import performance
from allocator_pipeline.portfolio.rollout import Rollout

if TYPE_CHECKING:
    from allocator_pipeline.allocators.policy import Policy

Replicates = Mapping[int, Mapping[int, "tuple[str, Policy]"]]
"""Seed -> policy year -> version and policy: the recipe of every judged year, trained from another seed."""


def whole_recipes(
    allocator: str, judged: Judged, market: Rollout, seed: int | None, replicates: Replicates
) -> dict[str, Any]:
    """Let the recipe walk from every seed there is, holdings carried across all judged years.

    Parameters
    ----------
    allocator : str
    judged : Judged
        The policies as trained.
    market : Rollout
        Equal weight over the same weeks.
    seed : int or None
        Of the policies as trained; None where years differ in it.
    replicates : mapping
        Other seeds.

    Returns
    -------
    dict
        ``walks``: seed, shares by year, metrics, weekly net returns, served and unshrunk, the policies as
        trained first; ``spread``: of Sharpe ratio and CAGR over them, with their number n; ``words``. No walks and no
        spread without a replicate.

    Raises
    ------
    MissingPartitionError
        If a replicate lacks a judged year.
    NotEnoughDataError
        If a replicate's training read weeks that it decides.
    """
    years = sorted(judged.policies)
    if not replicates:
        span = f"{allocator}|{years[0]} to {allocator}|{years[-1]}"
        words = f"No other seed of {allocator} has a policy of every judged year: materialise seed_policies of {span}"
        return {"walks": [], "spread": None, "words": f"{words} (seeds_job), then allocator_summary of {allocator}."}
    each = {seed: judged} | {other: _judged(other, policies, judged) for other, policies in replicates.items()}
    runs = [one.walk(one.decide(served)) for one in each.values()]
    walks = [
        {
            "seed": number,
            "shares": {str(year + 1): one.policies[year].shrinkage.share for year in years},
            "metrics": performance(run, market, judged.costs)["metrics"],
            "net": run.net.tolist(),
            "unshrunk_net": one.walk(one.decide(unshrunk)).net.tolist(),
        }
        for (number, one), run in zip(each.items(), runs, strict=True)
    ]
    found = {name: {**item, "n": len(runs)} for name, item in spread(runs).items()}
    return {"walks": walks, "spread": found, "words": _words(walks, found["sharpe"])}


def _judged(seed: int, policies: Mapping[int, tuple[str, Policy]], judged: Judged) -> Judged:
    absent = sorted(set(judged.policies) ^ set(policies))
    if absent:
        raise MissingPartitionError(
            f"Seed {seed} has not the policies of the judged years: {absent} differ.",
            todo="materialise seed_policies of every year that trained_policies are judged with.",
        )
    return Judged.of(policies, judged.states, judged.costs)


def _words(walks: Sequence[Mapping[str, Any]], sharpe: Mapping[str, float]) -> str:
    seeds = ", ".join(seed_label(walk) for walk in walks)
    shares = [100 * mean_share(walk) for walk in walks]
    return (
        f"The whole recipe (ensemble, cross-fit and share) from {len(walks)} seeds ({seeds}): between them the net "
        f"Sharpe ratio has a standard deviation of {sharpe['sd']:.3f} and a range of "
        f"{sharpe['max'] - sharpe['min']:.3f}; the share served, a mean over the years, runs from {min(shares):.0f} % "
        f"to {max(shares):.0f} %."
    )


def seed_label(walk: Mapping[str, Any]) -> str:
    """Return a walk's seed as text; policies as trained may have several."""
    return "several" if walk["seed"] is None else str(walk["seed"])


def mean_share(walk: Mapping[str, Any]) -> float:
    """Return the share of the tilt that a walk serves, a mean over its years."""
    return float(np.mean(list(walk["shares"].values())))


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
