"""From what a verdict is made of to the ruling, without any file: the first time, and whenever it is made again.

The inputs of a verdict are JSON values kept by hash (`registry.inputs`). On a report: the report, the walk of candidate
and champion over the weeks that neither has seen, and both manifests. On a stream: its papers, the baselines' returns
over the same weeks, and both manifests. The entry in the ledger is an input too, and lies there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd
from scipy import special

from allocator_pipeline.config import MIN_JUDGED_WEEKS, GateConfig
from allocator_pipeline.errors import ConflictError, NoChampionError
from allocator_pipeline.evaluation.comparison import gain_after_tries
from allocator_pipeline.evaluation.ledoit_wolf import sharpe_test
from allocator_pipeline.evaluation.metrics import metrics
from allocator_pipeline.evaluation.significance import sharpe_difference
from allocator_pipeline.market import calendar
from allocator_pipeline.registry.gate import gated_outcome
from allocator_pipeline.registry.growth import growth_evidence, walked
from allocator_pipeline.registry.ledger import Entry, proof_of
from allocator_pipeline.registry.rules import Duel, judge_report, judge_stream
from allocator_pipeline.registry.verdict_format import FORMAT
from allocator_pipeline.registry.verdicts import Ruling, Verdict, latest_by

NO_BADGE: Mapping[str, Any] = {
    "verdict": "none",
    "try": None,
    "sequence": None,
    "position": None,
    "proof": None,
    "against": {},
}
"""Of a version that was never tried."""

SCORES = ("sharpe_difference", "t", "z", "threshold")


def effective_week(last_exit: str | pd.Timestamp) -> str:
    """Return the first week decided when an exit is known: its decision session is that exit or later."""
    day = pd.Timestamp(last_exit)
    following = calendar.weeks(day - pd.Timedelta(days=7), day + pd.Timedelta(days=21))
    return str(following.loc[following["decision_session"] >= day, "week"].iloc[0].date())


def ruling_on_report(
    documents: Mapping[str, Any],
    entry: Entry,
    proof: Entry | None,
    history: Sequence[Verdict],
    gate: GateConfig,
    inputs: Mapping[str, str],
) -> Ruling:
    """Rule on an evaluation report.

    Parameters
    ----------
    documents : mapping
        ``report``, ``candidate`` (its manifest), and ``walk`` where there is a champion, see `walk`.
    entry : Entry
        The try in the ledger.
    proof : Entry or None
        The try up to this one that has proved the candidate, see `proven_by`.
    history : sequence of Verdict
        All verdicts of the allocator before.
    gate : GateConfig
        In force.
    inputs : mapping of str to str
        Hashes of all inputs, ``report`` among them.
    """
    report = documents["report"]
    week = effective_week(report["last_exit"])
    before = latest_by(list(history), week)
    duel = None if before is None else _duel(documents["walk"])
    outcome, reason, evidence = judge_report(report, duel)
    outcome, reason = gated_outcome(outcome, reason, first=before is None, proven=proof is not None, gate=gate)
    sides = (
        None
        if before is None
        else {"challenger": documents["walk"]["candidate"]["net"], "champion": documents["walk"]["champion"]["net"]}
    )
    return Ruling(
        kind="report",
        candidate=report["candidate"],
        prior=before.champion if before else None,
        outcome=outcome,
        reason=reason,
        effective_week=week,
        source=f"report:{report['allocator']}|{report['year']}",
        source_sha256=inputs["report"],
        evidence={
            **evidence,
            "universe": report.get("universe"),
            "seen_as_replicates": report.get("seen_as_replicates", []),
            **_made_with(badge(entry, proof), sides, gate, inputs),
            **growth_evidence(report["allocator"], *walked(report), sides),
        },
    )


def ruling_on_stream(
    allocator: str,
    documents: Mapping[str, Any],
    entry: Entry,
    proof: Entry | None,
    history: Sequence[Verdict],
    gate: GateConfig,
    inputs: Mapping[str, str],
) -> Ruling:
    """Rule on a stream of paper weeks.

    Parameters
    ----------
    allocator : str
    documents : mapping
        ``papers`` (successive paper evaluations with a challenger each), ``baselines`` (their net returns in the same
        weeks) and ``candidate``, the newest's manifest.
    entry, proof, history, gate
        As of `ruling_on_report`.
    inputs : mapping of str to str
        Hashes of all inputs, ``papers`` among them.

    Raises
    ------
    ConflictError, NoChampionError
        As `check_stream`.
    """
    papers = documents["papers"]
    champion, newest = papers[-1]["champion"]["version"], papers[-1]["challenger"]["version"]
    before = check_stream(allocator, documents, history)
    outcome, reason, evidence = judge_stream(allocator, papers)
    if before.champion != champion:
        outcome, reason = "kept", f"The stream challenged {champion}, which is champion no more."
    outcome, reason = gated_outcome(outcome, reason, first=False, proven=proof is not None, gate=gate)
    sides = {side: [paper[side]["net"] for paper in papers] for side in ("challenger", "champion")}
    return Ruling(
        kind="stream",
        candidate=newest,
        prior=before.champion,
        outcome=outcome,
        reason=reason,
        effective_week=effective_week(papers[-1]["exit_session"]),
        source=f"stream:{allocator}|{papers[0]['week']}..{papers[-1]['week']}",
        source_sha256=inputs["papers"],
        evidence={
            **evidence,
            **_made_with(badge(entry, proof), sides, gate, inputs),
            **growth_evidence(allocator, sides["challenger"], documents["baselines"], sides),
        },
    )


def check_stream(allocator: str, documents: Mapping[str, Any], history: Sequence[Verdict]) -> Verdict:
    """Return the verdict in force when a stream's verdict would take effect, if the stream may be judged at all.

    Raises
    ------
    ConflictError
        If the newest fine-tune does not start from the stream's champion.
    NoChampionError
        If no champion is effective.
    """
    newest = documents["papers"][-1]
    champion, week = newest["champion"]["version"], effective_week(newest["exit_session"])
    if documents["candidate"]["parent"] != champion:
        raise ConflictError(
            f"{newest['challenger']['version']} was not fine-tuned from the champion {champion}.",
            todo="materialise finetuned_policies and paper_evaluations of that week again.",
            week=newest["week"],
        )
    before = latest_by(list(history), week)
    if before is None:
        raise NoChampionError(f"{allocator} has a stream but no champion.", todo="restore its verdicts.", week=week)
    return before


def ruling_on_order(
    allocator: str,
    documents: Mapping[str, Any],
    entry: Entry | None,
    proof: Entry | None,
    history: Sequence[Verdict],
    gate: GateConfig,
    inputs: Mapping[str, str],
) -> Ruling:
    """Rule on an order to roll back; the gate has no say in it, for an operator must be able to go back.

    Parameters
    ----------
    allocator : str
    documents : mapping
        ``order``: ``version``, ``week`` from which it serves, ``reason``, and ``after``, the number of verdicts before.
    entry : Entry or None
        The version's last try dated up to that week, if there was one.
    proof, history, gate
        As of `ruling_on_report`.
    inputs : mapping of str to str
        Hashes of all inputs, ``order`` among them.

    Raises
    ------
    NoChampionError, ConflictError
        As `check_order`.
    """
    order = documents["order"]
    before = check_order(allocator, order, history)
    return Ruling(
        kind="rollback",
        candidate=order["version"],
        prior=before.champion,
        outcome="rolled_back",
        reason=order["reason"],
        effective_week=order["week"],
        source="order",
        source_sha256=inputs["order"],
        evidence={**order, **_made_with(badge(entry, proof), None, gate, inputs)},
    )


def ruling_on_promotion(
    allocator: str,
    documents: Mapping[str, Any],
    entry: Entry | None,
    proof: Entry | None,
    history: Sequence[Verdict],
    gate: GateConfig,
    inputs: Mapping[str, str],
) -> Ruling:
    """Rule on an order to promote; the gate applies, and nothing else is asked.

    Parameters
    ----------
    allocator : str
    documents : mapping
        ``order``: as of `ruling_on_order`, and ``kind``.
    entry, proof, history, gate, inputs
        As of `ruling_on_order`.
    """
    order = documents["order"]
    before = latest_by(list(history), order["week"])
    outcome, reason = gated_outcome(
        "promoted", order["reason"], first=before is None, proven=proof is not None, gate=gate
    )
    return Ruling(
        kind="promotion",
        candidate=order["version"],
        prior=before.champion if before else None,
        outcome=outcome,
        reason=reason,
        effective_week=order["week"],
        source="order",
        source_sha256=inputs["order"],
        evidence={**order, **_made_with(badge(entry, proof), None, gate, inputs)},
    )


def check_order(allocator: str, order: Mapping[str, Any], history: Sequence[Verdict]) -> Verdict:
    """Return the verdict in force at an order's week, if the order can be followed.

    Raises
    ------
    NoChampionError
        If no champion is effective at that week.
    ConflictError
        If the version was not champion by that week.
    """
    version, week = order["version"], order["week"]
    before = latest_by(list(history), week)
    if before is None:
        raise NoChampionError(
            f"No policy of {allocator} is champion at that week.", todo="name a later week.", week=week
        )
    former = {verdict.champion for verdict in history if verdict.effective_week <= week}
    if version not in former:
        raise ConflictError(
            f"{version} was not champion of {allocator} by that week, so there is no way back to it.",
            todo=f"choose one of {sorted(former)}.",
            week=week,
        )
    return before


def proven_by(tries: Sequence[Entry], entry: Entry | None, week: str) -> Entry | None:
    """Return the try that has proved an entry's version by a week, among the tries up to that entry.

    Parameters
    ----------
    tries : sequence of Entry
        The whole ledger; what came after the entry does not count, so that a verdict can be made again.
    entry : Entry or None
        None if the version was never tried.
    week : str
        ISO Monday.
    """
    return None if entry is None else proof_of(tries[: entry.number], entry.allocator, entry.candidate, week)


def badge(entry: Entry | None, proof: Entry | None) -> dict[str, Any]:
    """Return what a verdict says about the evidence for its candidate over all tries so far.

    Returns
    -------
    dict
        ``verdict`` (of the entry, or "none"); ``try``, which is also how many there were so far; ``sequence`` and
        ``position``, how many of its places are used; ``proof``, the number of the try that has proved the version, or
        None: this is what "proven" means everywhere; ``against``: baseline -> ``sharpe_difference``, ``t``, ``z``,
        ``threshold`` (None for a tie) and ``p_value``, the one-sided tail probability of z, which knows of no other
        try.
    """
    if entry is None:
        return dict(NO_BADGE)
    against = {
        name: {
            **{score: each[score] for score in SCORES},
            "p_value": float(special.ndtr(-each["z"])),
        }
        for name, each in entry.against.items()
        if each["stream"]
    }
    return {
        "verdict": entry.verdict,
        "try": entry.number,
        "sequence": entry.sequence,
        "position": entry.position,
        "proof": None if proof is None else proof.number,
        "against": against,
    }


def _made_with(
    found: Mapping[str, Any], sides: Mapping[str, Sequence[float]] | None, gate: GateConfig, inputs: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "badge": dict(found),
        "duel": None if sides is None else _significance(sides["challenger"], sides["champion"], found["try"]),
        "gate": asdict(gate),
        "inputs": dict(inputs),
    }


def _significance(candidate: Sequence[float], champion: Sequence[float], tries: int) -> dict[str, Any] | None:
    """Test the Sharpe difference of candidate and champion, and deflate the gain for all tries; None below 26 weeks."""
    if len(candidate) < MIN_JUDGED_WEEKS:
        return None
    return {
        "bootstrap": sharpe_difference(candidate, champion),
        "ledoit_wolf": sharpe_test(candidate, champion),
        "deflated": gain_after_tries(candidate, champion, tries),
    }


def _duel(walk: Mapping[str, Any]) -> Duel:
    sides = {
        side: metrics(walk[side]["net"], walk[side]["turnover"]) if walk[side]["net"] else {}
        for side in ("candidate", "champion")
    }
    return Duel(walk["prior"], tuple(walk["weeks"]), sides["candidate"], sides["champion"])
