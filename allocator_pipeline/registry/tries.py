"""What counts as a try: a report made, a stream judged, a training that failed.

- A report is a try of its recipe, whether or not anybody is promoted by it: net returns of the walk-forward weeks of
  all judged years, beside HRP and equal weight over the same weeks.
- A stream is a try of its newest fine-tune: net returns of the successive challengers. The baselines walk the same
  weeks through the same accounting. They start one week earlier, from cash, and that week is left out: the challenger
  starts from the champion's portfolio, so the baselines start from their own.
- A training that its recipe, its data or its numbers have stopped is a try without results. One that the machine has
  stopped (a full disk, a killed process) is none: nobody has chosen or rejected anything by it, and a sequence of
  sixty tries should not be used up by it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from allocator_pipeline.allocators.base import Allocator
from allocator_pipeline.artifact import Identity
from allocator_pipeline.atomic import canonical_json, sha256
from allocator_pipeline.config import MIN_JUDGED_WEEKS, CostConfig
from allocator_pipeline.errors import (
    AllocatorError,
    MissingPartitionError,
    NotEnoughDataError,
    StorageError,
    WorkerError,
)
from allocator_pipeline.evaluation.walk_forward import POLICY
from allocator_pipeline.market import calendar
from allocator_pipeline.portfolio.rollout import simulate
from allocator_pipeline.portfolio.state import StateTensors
from allocator_pipeline.registry.ledger import BASELINES, EvidenceLedger, Try

OF_THE_MACHINE = (StorageError, WorkerError)
"""Failures that say nothing about a recipe."""


def report_try(report: Mapping[str, Any], manifest: Mapping[str, Any], date: str) -> Try:
    """Return the try that judging a report is.

    Parameters
    ----------
    report : mapping
        As `evaluation.walk_forward.eval_report` returns it.
    manifest : mapping
        Of the candidate's artefact.
    date : str
        ISO Monday of the week that the verdict takes effect.

    Raises
    ------
    MissingPartitionError
        If the report lacks a baseline.
    """
    series = report["walk_forward"]["series"]
    absent = [name for name in BASELINES if name not in series]
    if absent:
        raise MissingPartitionError(
            f"The report compares with no {' or '.join(absent)}.",
            todo="materialise eval_reports of that year again, with its baselines.",
            source=f"{report['allocator']}|{report['year']}",
        )
    nets = {name: series[name]["weekly"]["net"] for name in BASELINES}
    return _scored(manifest, date, series[POLICY]["weekly"]["weeks"], series[POLICY]["weekly"]["net"], nets)


def stream_try(
    papers: Sequence[Mapping[str, Any]],
    baselines: Mapping[str, Sequence[float]],
    manifest: Mapping[str, Any],
    date: str,
) -> Try:
    """Return the try that judging a stream is.

    Parameters
    ----------
    papers : sequence of mapping
        Successive paper evaluations, each with a challenger.
    baselines : mapping of str to sequence of float
        Net returns of `BASELINES` in the same weeks, as `baseline_returns` returns them.
    manifest : mapping
        Of the newest challenger's artefact.
    date : str
        ISO Monday of the week that the verdict takes effect.
    """
    weeks = [paper["week"] for paper in papers]
    return _scored(manifest, date, weeks, [paper["challenger"]["net"] for paper in papers], baselines)


def count_failure(ledger: EvidenceLedger, identity: Identity, error: AllocatorError) -> None:
    """Record a training that failed, unless the machine is to blame; the same failure again is the entry there is."""
    if isinstance(error, OF_THE_MACHINE):
        return
    ledger.record(
        Try(
            allocator=identity.name,
            candidate=identity.version,
            recipe_sha256=sha256(canonical_json(dict(identity.config))),
            data_sha256=identity.data,
            date=identity.cutoff,
            failure=error.problem,
        )
    )


def baseline_returns(
    weeks: Sequence[str], states: StateTensors, baselines: Mapping[str, Allocator], costs: CostConfig
) -> dict[str, list[float]]:
    """Let baselines walk some successive weeks, each holding what its own decision of the week before has become.

    Parameters
    ----------
    weeks : sequence of str
        ISO Mondays.
    states : StateTensors
        Hold these weeks and the one before, with known returns.
    baselines : mapping of str to Allocator
    costs : CostConfig

    Returns
    -------
    dict of str to list of float
        Net return of each week.

    Raises
    ------
    NotEnoughDataError
        If the states do not hold these weeks.
    """
    walked = states.between(str(calendar.shift_week(weeks[0], -1).date()), weeks[-1])
    if [str(week) for week in walked.weeks][1:] != list(weeks):
        raise NotEnoughDataError(
            "The state tensors do not hold the stream's weeks and the one before.",
            todo="materialise state_tensors of their years.",
            week=weeks[0],
        )
    return {name: simulate(rule.target_weights, walked, costs).net[1:].tolist() for name, rule in baselines.items()}


def _scored(
    manifest: Mapping[str, Any],
    date: str,
    weeks: Sequence[str],
    net: Sequence[float],
    baselines: Mapping[str, Sequence[float]],
) -> Try:
    made = {
        "allocator": manifest["name"],
        "candidate": manifest["version"],
        "recipe_sha256": sha256(canonical_json(manifest["config"])),
        "data_sha256": manifest["data_sha256"],
        "date": date,
    }
    if len(weeks) < MIN_JUDGED_WEEKS:
        return Try(**made, failure=f"Only {len(weeks)} weeks can be scored; {MIN_JUDGED_WEEKS} are needed.")
    return Try(**made, weeks=list(weeks), net=list(net), baselines={name: list(baselines[name]) for name in BASELINES})
