"""What the promotion asset and its sensor share: what waits for a verdict, and judging it in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import pandas as pd

from allocator_pipeline.atomic import canonical_json, sha256
from allocator_pipeline.config import CostConfig, forecaster_of
from allocator_pipeline.defs.inputs import states_of_years
from allocator_pipeline.defs.partitions import split
from allocator_pipeline.defs.resources import StoreResource
from allocator_pipeline.defs.storage import Partitioned
from allocator_pipeline.errors import ConfigurationError, CorruptArtifactError, MissingPartitionError
from allocator_pipeline.market import calendar
from allocator_pipeline.registry.court import Court
from allocator_pipeline.registry.ledger import BASELINES
from allocator_pipeline.registry.orders import promote, rollback
from allocator_pipeline.registry.promotion import promote_from_report, promote_from_stream
from allocator_pipeline.registry.record import badge_words
from allocator_pipeline.registry.tries import baseline_returns
from allocator_pipeline.registry.verdicts import Verdict


def pending_reports(allocator: str, store: StoreResource) -> list[str]:
    """Return the partition keys of an allocator's stored reports that its promoted policy does not know, oldest first.

    A promotion that died between verdict and materialisation leaves its report waiting; judging it again finds the
    verdict. So it does where what is stored of the promoted policy cannot be read: every report waits then.
    """
    try:
        known = store.assets.read("promoted_policies", allocator)["verdicts"]
    except (MissingPartitionError, CorruptArtifactError):
        known = []
    judged = {verdict["source_sha256"] for verdict in known}
    keys = [key for key in store.assets.keys("eval_reports") if split(key)[0] == allocator]
    return [key for key in keys if sha256(canonical_json(store.assets.read("eval_reports", key))) not in judged]


def judge_pending(court: Court, store: StoreResource, costs: CostConfig, log: Callable[[str], None]) -> list[Verdict]:
    """Judge every report that waits, oldest first, then the stream of paper evaluations.

    Whatever run comes first does the work and the others find it done. Runs of different allocators share the ledger of
    tries; their order there is that of the runs, which `open_steps.before_promotion` sets for weeks that go on.

    Returns
    -------
    list of Verdict
        The new ones.
    """
    allocator = court.log.allocator
    known = len(court.log.history())
    for key in pending_reports(allocator, store):
        report = store.assets.read("eval_reports", key)
        states = store.assets.read("state_tensors", f"{forecaster_of(allocator)}|{split(key)[1]}")
        verdict = promote_from_report(court, report, states, costs)
        log(f"report {key}: {_told(verdict)}")
    papers = [
        store.assets.read("paper_evaluations", key)
        for key in store.assets.keys("paper_evaluations")
        if split(key)[0] == allocator
    ]

    rivals = partial(stream_rivals, allocator, store=store, costs=costs)
    stream = promote_from_stream(court, papers, rivals) if papers else None
    if stream is not None:
        log(f"stream: {_told(stream)}")
    return court.log.history()[known:]


def newest_paper(allocator: str, store: StoreResource) -> str | None:
    """Return the newest week that an allocator's paper evaluations score."""
    weeks = [week for name, week in map(split, store.assets.keys("paper_evaluations")) if name == allocator]
    return max(weeks, default=None)


def follow_order(
    court: Court, *, rollback_to: str | None, promote_to: str | None, effective_week: str | None, reason: str
) -> Verdict | None:
    """Do what an order says: make a former champion serve again, or promote a version by hand, from a week on.

    Returns
    -------
    Verdict or None
        None if nothing is ordered.

    Raises
    ------
    ConfigurationError
        If no week is named, or both are ordered at once.
    ConflictError
        If the version to roll back to was not champion before that week, or the other was trained on later data.
    """
    if rollback_to is None and promote_to is None:
        return None
    if effective_week is None or (rollback_to is not None and promote_to is not None):
        raise ConfigurationError(
            "An order needs one version, to roll back to or to promote, and the week from which it serves.",
            todo="name rollback_to or promote_to, and its Monday as effective_week, in the run config.",
        )
    if promote_to is not None:
        return promote(court, promote_to, effective_week, reason)
    return rollback(court, str(rollback_to), effective_week, reason)


def stream_rivals(
    allocator: str, weeks: Sequence[str], store: StoreResource, costs: CostConfig
) -> tuple[dict[str, list[float]], str]:
    """Return what the baselines earned in a stream's weeks, and the hash of the states they walked.

    Raises
    ------
    MissingPartitionError
        If states or baseline weights of these weeks or the one before are not stored.
    """
    from allocator_pipeline.allocators.scheduled import Scheduled

    before = calendar.shift_week(weeks[0], -1)
    years = range(before.year, pd.Timestamp(weeks[-1]).year + 1)
    keys = [f"{forecaster_of(allocator)}|{year}" for year in years]
    states = states_of_years(Partitioned(store.assets, "state_tensors", keys), allocator, years)
    rules = {
        name: Scheduled(pd.concat([store.assets.read("baseline_weights", f"{name}|{year}") for year in years]))
        for name in BASELINES
    }
    returns = baseline_returns(weeks, states, rules, costs)
    return returns, states.between(str(before.date()), weeks[-1]).digest()


def _told(verdict: Verdict) -> str:
    return f"{verdict.outcome}, champion {verdict.champion} from {verdict.effective_week}: {verdict.reason}"


def champion_badge(court: Court, champion: Verdict | None) -> str:
    """Return what evidence a champion has: the try that proved it, or that none did."""
    if champion is None:
        return "none"
    proof = court.proof(champion.champion)
    return f"proven (try {proof.number})" if proof is not None else "not proven"


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
                "badge": badge_words(verdict.evidence.get("badge")),
                "effective": verdict.effective_week,
                "reason": verdict.reason,
            }
            for verdict in reversed(history)
        ],
        columns=["number", "source", "candidate", "outcome", "champion", "badge", "effective", "reason"],
    )
