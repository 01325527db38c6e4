"""Who becomes champion: the necessary condition that reports and streams of paper weeks must meet.

A report of year Y can promote the policy of Y-1, which it judged, and no other. A stream promotes its newest fine-tune.
The first policy judged is promoted, so that there is something to serve; every later one must beat the champion of its
time on weeks that neither was trained on. `config.GateConfig` can demand more: the badge of the ledger. What people
order is in `registry.orders`.

A report is a try and goes into the ledger before anybody sees it (`count_report`), whether or not it is judged later; a
stream does when it is judged, before its verdict goes into the log: a process that dies between the two finds the same
try there. What a verdict was made from is kept, so that `registry.replay` can make it again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from allocator_pipeline.atomic import canonical_json, sha256
from allocator_pipeline.config import MIN_JUDGED_WEEKS, CostConfig
from allocator_pipeline.errors import ConflictError, NoChampionError, NotEnoughDataError
from allocator_pipeline.evaluation.walk_forward import POLICY, check_format
from allocator_pipeline.market import calendar
from allocator_pipeline.portfolio.rollout import simulate
from allocator_pipeline.portfolio.state import StateTensors
from allocator_pipeline.registry.artifacts import ArtifactStore, LoadedArtifact
from allocator_pipeline.registry.court import Court
from allocator_pipeline.registry.ledger import Entry, Try
from allocator_pipeline.registry.rules import current_stream
from allocator_pipeline.registry.rulings import (
    check_stream,
    effective_week,
    proven_by,
    ruling_on_report,
    ruling_on_stream,
)
from allocator_pipeline.registry.tries import report_try, stream_try
from allocator_pipeline.registry.verdicts import Ruling, Verdict, VerdictLog, latest_by

if TYPE_CHECKING:
    from allocator_pipeline.allocators.policy import Policy

Rivals = Callable[[Sequence[str]], tuple[dict[str, list[float]], str]]
"""From weeks to the baselines' net returns in them, and the sha256 of the states they walked."""


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
    verdict = in_force(log, week)
    return verdict, admitted(artifacts, log.allocator, verdict.champion, str(pd.Timestamp(week).date()))


def in_force(log: VerdictLog, week: str | pd.Timestamp) -> Verdict:
    """Return the verdict in force at a week.

    Raises
    ------
    NoChampionError
        If none is effective yet.
    CorruptArtifactError
        If the log does not verify.
    """
    key = str(pd.Timestamp(week).date())
    verdict = log.champion_at(key)
    if verdict is None:
        raise NoChampionError(
            f"No policy of {log.allocator} is champion at that week.",
            todo="materialise trained_policies, eval_reports of the year after, and promoted_policies first.",
            week=key,
        )
    return verdict


def count_report(court: Court, report: Mapping[str, Any]) -> Entry:
    """Record the try that a report is, before it is stored or shown; judging it later finds the same entry.

    Who looks at the reports of four seeds and has one of them promoted has tried four times.

    Parameters
    ----------
    court : Court
    report : mapping
        As `evaluation.walk_forward.eval_report` returns it.

    Raises
    ------
    MissingPartitionError, CorruptArtifactError
        If a baseline or the candidate's artefact is absent, or a log or the artefact does not verify.
    """
    return court.count(try_of_report(court, report))


def try_of_report(court: Court, report: Mapping[str, Any]) -> Try:
    """Return the try that a report is, as `count_report` records it; the errors are the same."""
    candidate = court.artifacts.load(court.log.allocator, report["candidate"])
    return report_try(report, candidate.manifest, effective_week(report["last_exit"]))


def promote_from_report(court: Court, report: Mapping[str, Any], states: StateTensors, costs: CostConfig) -> Verdict:
    """Judge an evaluation report exactly once and record the verdict; its try is in the ledger first.

    Parameters
    ----------
    court : Court
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
        If a baseline or an artefact is absent, an artefact does not verify, or another version wrote the report;
        nothing is recorded then.
    """
    check_format(report)
    name = court.log.allocator
    if report["allocator"] != name:
        raise ConflictError(
            f"This is a report on {report['allocator']}, not {name}.", todo="pass the allocator's own report."
        )
    week, walks = effective_week(report["last_exit"]), dict[str, tuple[dict[str, Any], dict[str, str]]]()

    def judge(history: list[Verdict]) -> Ruling:
        weekly = report["year_only"]["series"][POLICY]["weekly"]
        candidate = admitted(court.artifacts, name, report["candidate"], weekly["weeks"][0])
        documents: dict[str, Any] = {"report": report, "candidate": candidate.manifest}
        hashes: dict[str, str] = {}
        before = latest_by(history, week)
        if before is not None:
            if before.champion not in walks:
                champion = court.artifacts.load(name, before.champion)
                walks[before.champion] = champion_walk(candidate, champion, weekly, states, costs)
            walk, hashes = walks[before.champion]
            documents |= walk
        entry = court.count(report_try(report, candidate.manifest, week))
        proof = proven_by(court.ledger.history(), entry, week)
        inputs = kept(court, documents, entry, hashes)
        return ruling_on_report(documents, entry, proof, history, court.gate, inputs)

    return court.rule(sha256(canonical_json(report)), judge)


def promote_from_stream(court: Court, papers: Sequence[Mapping[str, Any]], rivals: Rivals) -> Verdict | None:
    """Judge the current stream of fine-tunes each time another 26 common weeks are complete.

    Parameters
    ----------
    court : Court
    papers : sequence of mapping
        Every paper evaluation of the allocator so far, in any order; see `evaluation.paper.paper_evaluation`.
    rivals : callable
        From the stream's weeks to the baselines' net returns in them (`registry.tries.baseline_returns`) and the
        sha256 of the state tensors they walked.

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
        verdict = _judge_stream_once(court, stream[:end], rivals)
        if verdict.promoted:
            break  # the rest was fixed before the promotion was known; its stream starts anew
    return verdict


def policy_of(artifact: LoadedArtifact) -> Policy:
    """Build the policy that an artefact holds."""
    from allocator_pipeline.allocators.policy import Policy  # imports torch

    return Policy.from_files(artifact.files)


def _judge_stream_once(court: Court, stream: Sequence[Mapping[str, Any]], rivals: Rivals) -> Verdict:
    name, papers, last = court.log.allocator, list(stream), stream[-1]["week"]

    def judge(history: list[Verdict]) -> Ruling:
        candidate = admitted(court.artifacts, name, papers[-1]["challenger"]["version"], last)
        champion = court.artifacts.load(name, papers[-1]["champion"]["version"])
        baselines, states = rivals([paper["week"] for paper in papers])
        week = effective_week(papers[-1]["exit_session"])
        documents = {
            "papers": papers,
            "baselines": baselines,
            "candidate": candidate.manifest,
            "champion": champion.manifest,
        }
        check_stream(name, documents, history)
        entry = court.count(stream_try(papers, baselines, candidate.manifest, week))
        proof = proven_by(court.ledger.history(), entry, week)
        inputs = kept(court, documents, entry, {"states": states})
        return ruling_on_stream(name, documents, entry, proof, history, court.gate, inputs)

    return court.rule(sha256(canonical_json(papers)), judge)


def kept(
    court: Court, documents: Mapping[str, Any], entry: Entry | None, hashes: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Keep the documents of a verdict; return the hashes of all that it is made from."""
    kept = {name: court.inputs.keep(value) for name, value in documents.items()}
    return {**kept, **(hashes or {}), **({"entry": entry.sha256} if entry is not None else {})}


def admitted(artifacts: ArtifactStore, allocator: str, version: str, week: str) -> LoadedArtifact:
    """Return a verified artefact that read nothing after the decision of a week.

    Raises
    ------
    ConflictError
        If it was trained on an exit after that decision.
    MissingPartitionError, CorruptArtifactError
        If it is absent or does not verify.
    """
    artifact = artifacts.load(allocator, version)
    if pd.Timestamp(artifact.cutoff) > calendar.week(week)["decision_session"]:
        raise ConflictError(
            f"{allocator} {version} was trained on data up to {artifact.cutoff}, after that week's decision.",
            todo="use a version with an earlier cut-off.",
            week=week,
        )
    return artifact


def champion_walk(
    candidate: LoadedArtifact,
    champion: LoadedArtifact,
    weekly: Mapping[str, Any],
    states: StateTensors,
    costs: CostConfig,
) -> tuple[dict[str, Any], dict[str, str]]:
    """Let the champion walk the candidate's weeks, from cash like it, and keep those after both cut-offs.

    Parameters
    ----------
    candidate, champion : LoadedArtifact
    weekly : mapping
        Of the candidate in the report's ``year_only`` section: ``weeks``, ``net`` and ``turnover``.
    states : StateTensors
        Hold these weeks.
    costs : CostConfig

    Returns
    -------
    tuple of (dict, dict)
        Two documents: ``champion``, its manifest, and ``walk``: ``prior`` (the champion's version), ``weeks``, and net
        return and turnover of both sides in these, empty where the weeks are too few or the two are the same; and the
        hash of the states walked.

    Raises
    ------
    NotEnoughDataError
        If the states do not hold the weeks.
    """
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
    sides: dict[str, dict[str, list[float]]] = {side: {"net": [], "turnover": []} for side in ("candidate", "champion")}
    if champion.version != candidate.version and unseen.sum() >= MIN_JUDGED_WEEKS:
        run = simulate(policy_of(champion).target_weights, walked, costs)
        for measure in ("net", "turnover"):
            sides["candidate"][measure] = np.array(weekly[measure])[unseen].tolist()
            sides["champion"][measure] = getattr(run, measure)[unseen].tolist()
    kept = [week for week, new in zip(weeks, unseen, strict=True) if new]
    walk = {"prior": champion.version, "weeks": kept, **sides}
    return {"walk": walk, "champion": champion.manifest}, {"states": walked.digest()}
