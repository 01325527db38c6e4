"""What the summary assets read beside their inputs: policies of the years judged, replicates, tries, duels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from allocator_pipeline.config import MIN_JUDGED_WEEKS
from allocator_pipeline.defs.models import stored_policy
from allocator_pipeline.defs.partitions import split
from allocator_pipeline.defs.resources import StoreResource
from allocator_pipeline.defs.storage import Partitioned
from allocator_pipeline.errors import MissingPartitionError
from allocator_pipeline.evaluation.comparison import duel, kept_duel
from allocator_pipeline.evaluation.judged import check_judged
from allocator_pipeline.registry.ledger import Entry
from allocator_pipeline.registry.rules import current_stream

if TYPE_CHECKING:
    from allocator_pipeline.allocators.policy import Policy


def judged_policies(
    eval_reports: Partitioned, trained_policies: Mapping[str, Mapping[str, Any]], allocator: str
) -> dict[int, Mapping[str, Any]]:
    """Return the trained policies of the years of an allocator's newest report, which has judged these very ones.

    Returns
    -------
    dict of int to dict
        By policy year: the values of ``trained_policies``; that of y-1 decides y.

    Raises
    ------
    MissingPartitionError
        If there is no report, or a policy is absent.
    ConflictError
        If a policy was trained anew since: its report comes first, which counts the look as a try.
    """
    stored = [key for key in eval_reports.stored() if split(key)[0] == allocator]
    if not stored:
        raise MissingPartitionError(
            f"There is no report of {allocator} to sum up.", todo="materialise eval_reports of a year first."
        )
    report = eval_reports[max(stored)]
    trained = {year - 1: trained_policies[f"{allocator}|{year - 1}"] for year in report["walk_forward"]["years"]}
    check_judged(report, {year: value["version"] for year, value in trained.items()})
    return trained


def recipes_of(
    store: StoreResource, trained: Mapping[int, Mapping[str, Any]], seed_policies: Partitioned, allocator: str
) -> tuple[int | None, dict[int, dict[int, tuple[str, Policy]]]]:
    """Return the seed of trained policies, and their replicates from other seeds.

    Parameters
    ----------
    store : StoreResource
    trained : mapping of int to dict
        By policy year: the values of ``trained_policies``.
    seed_policies : Partitioned
    allocator : str

    Returns
    -------
    seed : int or None
        None where years were trained from different seeds.
    replicates : dict
        Seed -> policy year -> version and policy. Left out is a seed that lacks a year, or whose policy of a year
        differs from the trained one in more than the seed.
    """
    manifests = {year: store.models.load(value["name"], value["version"]).manifest for year, value in trained.items()}
    own = {manifest["config"]["seed"] for manifest in manifests.values()}
    stored = set(seed_policies.stored())
    beside: dict[str, dict[int, Mapping[str, Any]]] = {}
    for year in trained:
        key = f"{allocator}|{year}"
        for seed, value in (seed_policies[key]["seeds"] if key in stored else {}).items():
            beside.setdefault(seed, {})[year] = value
    replicates = {
        int(seed): {year: stored_policy(store, value) for year, value in values.items()}
        for seed, values in beside.items()
        if int(seed) not in own
        and set(values) == set(trained)
        and all(
            _but_for_seed(store.models.load(value["name"], value["version"]).manifest) == _but_for_seed(manifests[year])
            for year, value in values.items()
        )
    }
    return next(iter(own)) if len(own) == 1 else None, dict(sorted(replicates.items()))


def _but_for_seed(manifest: Mapping[str, Any]) -> tuple[Any, ...]:
    return {**manifest["config"], "seed": None}, manifest["cutoff"], manifest["data_sha256"]


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
    duels, trials = [], max(len(store.ledger.history()), 1)
    for allocator in allocators:
        for verdict in store.verdicts(allocator).history():
            tests = verdict.evidence.get("duel")
            if tests and verdict.prior:
                weeks, tried = verdict.evidence["weeks"], verdict.evidence["badge"]["try"]
                duels.append(kept_duel(allocator, verdict.candidate, verdict.prior, weeks, tried, tests))
        papers = [
            store.assets.read("paper_evaluations", key)
            for key in store.assets.keys("paper_evaluations")
            if split(key)[0] == allocator
        ]
        stream = current_stream(papers)
        if len(stream) >= MIN_JUDGED_WEEKS:
            challenger, champion = (stream[-1][side]["version"] for side in ("challenger", "champion"))
            net, other = (np.array([paper[side]["net"] for paper in stream]) for side in ("challenger", "champion"))
            duels.append(duel(allocator, challenger, champion, net, other, trials))
    return duels
