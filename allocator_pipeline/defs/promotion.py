"""What the promotion asset and its sensor share: what waits for a verdict, and judging it in order."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from allocator_pipeline.atomic import canonical_json, sha256
from allocator_pipeline.config import CostConfig, forecaster_of
from allocator_pipeline.defs.partitions import split
from allocator_pipeline.defs.resources import StoreResource
from allocator_pipeline.errors import ConfigurationError
from allocator_pipeline.registry.promotion import promote_from_report, promote_from_stream, rollback
from allocator_pipeline.registry.verdicts import Verdict


def pending_reports(allocator: str, store: StoreResource) -> list[str]:
    """Return the partition keys of an allocator's stored reports that its promoted policy does not know, oldest first.

    A promotion that died between verdict and materialisation leaves its report waiting; judging it again finds the
    verdict.
    """
    known = (
        store.assets.read("promoted_policies", allocator) if store.assets.has("promoted_policies", allocator) else {}
    )
    judged = {verdict["source_sha256"] for verdict in known.get("verdicts", [])}
    keys = [key for key in store.assets.keys("eval_reports") if split(key)[0] == allocator]
    return [key for key in keys if sha256(canonical_json(store.assets.read("eval_reports", key))) not in judged]


def judge_pending(allocator: str, store: StoreResource, costs: CostConfig, log: Callable[[str], None]) -> list[Verdict]:
    """Judge every report that waits, oldest first, then the stream of paper evaluations.

    Whatever run comes first does the work and the others find it done, so that the order of runs does not matter.

    Returns
    -------
    list of Verdict
        The new ones.
    """
    verdicts, models = store.verdicts(allocator), store.models
    known = len(verdicts.history())
    for key in pending_reports(allocator, store):
        report = store.assets.read("eval_reports", key)
        states = store.assets.read("state_tensors", f"{forecaster_of(allocator)}|{split(key)[1]}")
        verdict = promote_from_report(verdicts, models, report, states, costs)
        log(f"report {key}: {_told(verdict)}")
    papers = [
        store.assets.read("paper_evaluations", key)
        for key in store.assets.keys("paper_evaluations")
        if split(key)[0] == allocator
    ]
    stream = promote_from_stream(verdicts, models, papers) if papers else None
    if stream is not None:
        log(f"stream: {_told(stream)}")
    return verdicts.history()[known:]


def roll_back(allocator: str, store: StoreResource, version: str, effective_week: str | None, reason: str) -> Verdict:
    """Make a former champion serve again from a week on.

    Raises
    ------
    ConfigurationError
        If no week is named.
    ConflictError
        If the version was not champion before that week.
    """
    if effective_week is None:
        raise ConfigurationError(
            "A roll-back needs the week from which it serves.",
            todo="name its Monday as effective_week in the run config.",
        )
    return rollback(store.verdicts(allocator), store.models, version, effective_week, reason)


def _told(verdict: Verdict) -> str:
    return f"{verdict.outcome}, champion {verdict.champion} from {verdict.effective_week}: {verdict.reason}"


def history_table(history: list[Verdict]) -> pd.DataFrame:
    """Return the verdicts as a table for the UI, the newest first."""
    return pd.DataFrame(
        [
            {
                "number": verdict.number,
                "source": verdict.source.replace("|", " "),
                "candidate": verdict.candidate,
                "outcome": verdict.outcome,
                "champion": verdict.champion,
                "effective": verdict.effective_week,
                "reason": verdict.reason,
            }
            for verdict in reversed(history)
        ],
        columns=["number", "source", "candidate", "outcome", "champion", "effective", "reason"],
    )
