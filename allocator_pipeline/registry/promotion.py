"""Who becomes champion: the necessary condition that reports, streams of paper weeks and roll-backs must meet.

A report of year Y can promote the policy of Y-1, which it judged, and no other. A stream promotes its newest fine-tune.
The first policy judged is promoted, so that there is something to serve; every later one must beat the champion of its
time on weeks that neither was trained on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from allocator_pipeline.allocators.base import Allocator
from allocator_pipeline.atomic import canonical_json, sha256
from allocator_pipeline.config import MIN_JUDGED_WEEKS, CostConfig
from allocator_pipeline.errors import ConflictError, NoChampionError, NotEnoughDataError
from allocator_pipeline.evaluation.metrics import metrics
from allocator_pipeline.evaluation.walk_forward import POLICY, check_format
from allocator_pipeline.market import calendar
from allocator_pipeline.portfolio.rollout import simulate
from allocator_pipeline.portfolio.state import StateTensors
from allocator_pipeline.registry.artifacts import ArtifactStore, LoadedArtifact
from allocator_pipeline.registry.rules import Duel, current_stream, judge_report, judge_stream
from allocator_pipeline.registry.verdicts import Ruling, Verdict, VerdictLog, latest_by


def effective_week(last_exit: str | pd.Timestamp) -> str:
    """Return the first week decided when an exit is known: its decision session is that exit or later."""
    day = pd.Timestamp(last_exit)
    following = calendar.weeks(day - pd.Timedelta(days=7), day + pd.Timedelta(days=21))
    return str(following.loc[following["decision_session"] >= day, "week"].iloc[0].date())


def champion_for(log: VerdictLog, artifacts: ArtifactStore, week: str | pd.Timestamp) -> tuple[Verdict, LoadedArtifact]:
    """Return the verdict in force at a week and the champion's verified artefact.

    Raises
    ------
    NoChampionError
        If none is effective yet.
    ConflictError
        If the champion was trained on an exit after the week's decision.
    CorruptArtifactError
        If log or artefact does not verify.
    """
    key = str(pd.Timestamp(week).date())
    verdict = log.champion_at(key)
    if verdict is None:
        raise NoChampionError(
            f"No policy of {log.allocator} is champion at that week.",
            todo="materialise trained_policies, eval_reports of the year after, and promoted_policies first.",
            week=key,
        )
    return verdict, _admitted(artifacts, log.allocator, verdict.champion, key)


def promote_from_report(
    log: VerdictLog, artifacts: ArtifactStore, report: Mapping[str, Any], states: StateTensors, costs: CostConfig
) -> Verdict:
    """Judge an evaluation report exactly once and record the verdict.

    Parameters
    ----------
    log : VerdictLog
    artifacts : ArtifactStore
        Holds candidate and champion.
    report : mapping
        As `evaluation.walk_forward.eval_report` returns it.
    states : StateTensors
        Hold the weeks of the report's ``year_only`` section.
    costs : CostConfig

    Returns
    -------
    Verdict
        The new one, or the earlier one on the same report.

    Raises
    ------
    ConflictError
        If the report is of another allocator, or its candidate was trained on the weeks it is judged on.
    MissingPartitionError, CorruptArtifactError
        If an artefact is absent or does not verify, or another version wrote the report; nothing is recorded then.
    """
    check_format(report)
    if report["allocator"] != log.allocator:
        raise ConflictError(
            f"This is a report on {report['allocator']}, not {log.allocator}.", todo="pass the allocator's own report."
        )
    digest, week = sha256(canonical_json(report)), effective_week(report["last_exit"])
    duels: dict[str, Duel] = {}

    def judge(history: list[Verdict]) -> Ruling:
        weekly = report["year_only"]["series"][POLICY]["weekly"]
        candidate = _admitted(artifacts, log.allocator, report["candidate"], weekly["weeks"][0])
        before = latest_by(history, week)
        if before is not None and before.champion not in duels:
            champion = artifacts.load(log.allocator, before.champion)
            duels[champion.version] = _duel(candidate, champion, weekly, states, costs)
        outcome, reason, evidence = judge_report(report, duels[before.champion] if before else None)
        return Ruling(
            kind="report",
            candidate=candidate.version,
            prior=before.champion if before else None,
            outcome=outcome,
            reason=reason,
            effective_week=week,
            source=f"report:{log.allocator}|{report['year']}",
            source_sha256=digest,
            evidence={**evidence, "universe": report.get("universe")},
        )

    return log.rule(digest, judge)


def promote_from_stream(
    log: VerdictLog, artifacts: ArtifactStore, papers: Sequence[Mapping[str, Any]]
) -> Verdict | None:
    """Judge the current stream of fine-tunes each time another 26 common weeks are complete.

    Parameters
    ----------
    log : VerdictLog
    artifacts : ArtifactStore
    papers : sequence of mapping
        Every paper evaluation of the allocator so far, in any order; see `evaluation.paper.paper_evaluation`.

    Returns
    -------
    Verdict or None
        The latest verdict on the stream, new or earlier; None while it is too short to be judged.

    Raises
    ------
    ConflictError
        If the newest fine-tune does not start from the stream's champion.
    MissingPartitionError, CorruptArtifactError
        If its artefact is absent or does not verify; nothing is recorded then.
    """
    stream = current_stream(papers)
    verdict = None
    for end in range(MIN_JUDGED_WEEKS, len(stream) + 1, MIN_JUDGED_WEEKS):
        verdict = _judge_stream_once(log, artifacts, stream[:end])
        if verdict.promoted:
            break  # the rest was fixed before the promotion was known; its stream starts anew
    return verdict


def rollback(
    log: VerdictLog, artifacts: ArtifactStore, version: str, effective_week: str | pd.Timestamp, reason: str
) -> Verdict:
    """Make an earlier champion champion again, from a week on until a later verdict takes effect.

    Returns
    -------
    Verdict
        The new one; the one in force if the version is champion at that week already.

    Raises
    ------
    ConflictError
        If the version was not champion by that week.
    NoChampionError
        If no champion is effective at that week.
    MissingPartitionError, CorruptArtifactError
        If its artefact is absent or does not verify.
    """
    week = str(calendar.week(effective_week)["week"].date())
    history = log.history()
    before = latest_by(history, week)
    if before is None:
        raise NoChampionError(
            f"No policy of {log.allocator} is champion at that week.", todo="name a later week.", week=week
        )
    if before.champion == version:
        return before
    former = {verdict.champion for verdict in history if verdict.effective_week <= week}
    if version not in former:
        raise ConflictError(
            f"{version} was not champion of {log.allocator} by that week, so there is no way back to it.",
            todo=f"choose one of {sorted(former)}.",
            week=week,
        )
    order = {"version": version, "week": week, "reason": reason, "after": len(history)}
    digest = sha256(canonical_json(order))

    def judge(history: list[Verdict]) -> Ruling:
        _admitted(artifacts, log.allocator, version, week)
        now = latest_by(history, week) or before
        return Ruling("rollback", version, now.champion, "rolled_back", reason, week, "order", digest, order)

    return log.rule(digest, judge)


def policy_of(artifact: LoadedArtifact) -> Allocator:
    """Build the policy that an artefact holds."""
    from allocator_pipeline.allocators.policy import Policy  # imports torch

    return Policy.from_files(artifact.files)


def _judge_stream_once(log: VerdictLog, artifacts: ArtifactStore, stream: Sequence[Mapping[str, Any]]) -> Verdict:
    digest = sha256(canonical_json(list(stream)))
    champion, newest, last = stream[-1]["champion"]["version"], stream[-1]["challenger"]["version"], stream[-1]["week"]
    week = effective_week(stream[-1]["exit_session"])

    def judge(history: list[Verdict]) -> Ruling:
        candidate = _admitted(artifacts, log.allocator, newest, last)
        if candidate.parent != champion:
            raise ConflictError(
                f"{newest} was not fine-tuned from the champion {champion}.",
                todo="materialise finetuned_policies and paper_evaluations of that week again.",
                week=last,
            )
        before = latest_by(history, week)
        if before is None:
            raise NoChampionError(
                f"{log.allocator} has a stream but no champion.", todo="restore its verdicts.", week=week
            )
        outcome, reason, evidence = judge_stream(log.allocator, stream)
        if before.champion != champion:
            outcome, reason = "kept", f"The stream challenged {champion}, which is champion no more."
        return Ruling(
            kind="stream",
            candidate=newest,
            prior=before.champion,
            outcome=outcome,
            reason=reason,
            effective_week=week,
            source=f"stream:{log.allocator}|{stream[0]['week']}..{last}",
            source_sha256=digest,
            evidence=evidence,
        )

    return log.rule(digest, judge)


def _admitted(artifacts: ArtifactStore, allocator: str, version: str, week: str) -> LoadedArtifact:
    """Return a verified artefact that read nothing after the decision of a week."""
    artifact = artifacts.load(allocator, version)
    if pd.Timestamp(artifact.cutoff) > calendar.week(week)["decision_session"]:
        raise ConflictError(
            f"{allocator} {version} was trained on data up to {artifact.cutoff}, after that week's decision.",
            todo="use a version with an earlier cut-off.",
            week=week,
        )
    return artifact


def _duel(
    candidate: LoadedArtifact,
    champion: LoadedArtifact,
    weekly: Mapping[str, Any],
    states: StateTensors,
    costs: CostConfig,
) -> Duel:
    """Let the champion walk the candidate's weeks, from cash like it, and keep those after both cut-offs."""
    weeks = list(weekly["weeks"])
    walked = states.between(weeks[0], weeks[-1])
    if [str(week) for week in walked.weeks] != weeks:
        raise NotEnoughDataError(
            "The state tensors do not hold the report's weeks.",
            todo="materialise state_tensors and eval_reports of that year again.",
            week=weeks[0],
        )
    cutoff = max(pd.Timestamp(candidate.cutoff), pd.Timestamp(champion.cutoff))
    unseen = np.array([calendar.week(week)["decision_session"] >= cutoff for week in weeks])
    kept = tuple(week for week, new in zip(weeks, unseen, strict=True) if new)
    if champion.version == candidate.version or len(kept) < MIN_JUDGED_WEEKS:
        return Duel(champion.version, kept, {}, {})
    run = simulate(policy_of(champion).target_weights, walked, costs)
    mine = metrics(np.array(weekly["net"])[unseen], np.array(weekly["turnover"])[unseen])
    return Duel(champion.version, kept, mine, metrics(run.net[unseen], run.turnover[unseen]))
