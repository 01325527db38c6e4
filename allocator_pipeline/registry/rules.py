"""The rule that decides, without any file: numbers in, outcome and reason out.

PPO must beat hierarchical risk parity and equal weight on net Sharpe over all judged weeks of its recipe, and the
champion on net Sharpe over the weeks that neither was trained on. SAC must beat the champion's CAGR there. Fewer than
26 such weeks are too few, and the champion stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from allocator_pipeline.config import MIN_JUDGED_WEEKS, algorithm_of
from allocator_pipeline.errors import MissingPartitionError
from allocator_pipeline.evaluation.metrics import metrics
from allocator_pipeline.evaluation.walk_forward import POLICY
from allocator_pipeline.market import calendar


@dataclass(frozen=True)
class Rule:
    """What an algorithm's candidate must do.

    Parameters
    ----------
    metric : str
        The one of `evaluation.metrics.metrics` that must be greater than the champion's.
    baselines : tuple of str
        Series of the report that the recipe must beat on the same metric over all judged years.
    """

    metric: str
    baselines: tuple[str, ...]


WORDS = {"sharpe": "Sharpe ratio", "cagr": "CAGR", "hrp": "HRP", "equal_weight": "equal weight"}
"""How reasons name metrics and baselines."""

TIE = 1e-9
"""What rounding may make of equal numbers: two policies shrunk to equal weight are equal, and neither is above."""

RULES = {
    "ppo": Rule("sharpe", ("hrp", "equal_weight")),
    "sac": Rule("cagr", ()),
    "dpg": Rule("sharpe", ("hrp", "equal_weight")),
}


@dataclass(frozen=True)
class Duel:
    """Candidate and champion over the weeks that both have not seen.

    Parameters
    ----------
    prior : str
        Version of the champion.
    weeks : tuple of str
        ISO Mondays.
    candidate, champion : mapping of str to float
        Metrics over those weeks; empty where there are fewer than 26.
    """

    prior: str
    weeks: tuple[str, ...]
    candidate: Mapping[str, float]
    champion: Mapping[str, float]


def judge_report(report: Mapping[str, Any], duel: Duel | None) -> tuple[str, str, dict[str, Any]]:
    """Apply the rule to a report's candidate; pure.

    Parameters
    ----------
    report : mapping
        As `evaluation.walk_forward.eval_report` returns it.
    duel : Duel or None
        None if there is no champion yet.

    Returns
    -------
    tuple of (str, str, dict)
        Outcome, reason and evidence.

    Raises
    ------
    MissingPartitionError
        If the report lacks a baseline that the rule names.
    """
    rule = RULES[algorithm_of(report["allocator"])]
    evidence = _evidence(rule, duel)
    if duel is None:
        return "promoted", "It is the first policy judged.", evidence
    if duel.prior == report["candidate"]:
        return "kept", "The candidate is the champion already.", evidence
    if len(duel.weeks) < MIN_JUDGED_WEEKS:
        return "insufficient", _too_few(len(duel.weeks)), evidence
    series = report["walk_forward"]["series"]
    absent = [name for name in rule.baselines if name not in series]
    if absent:
        raise MissingPartitionError(
            f"The report compares with no {' or '.join(absent)}.",
            todo="materialise eval_reports of that year again, with its baselines.",
            source=f"{report['allocator']}|{report['year']}",
        )
    weekly = {name: series[name]["weekly"] for name in (POLICY, *rule.baselines)}
    measured = {name: metrics(each["net"], each["turnover"])[rule.metric] for name, each in weekly.items()}
    evidence["walk_forward"] = {"years": report["walk_forward"]["years"], **measured}
    rivals = {name: (measured[POLICY], measured[name]) for name in rule.baselines}
    rivals["the champion"] = (duel.candidate[rule.metric], duel.champion[rule.metric])
    lost = [
        WORDS.get(name, name) for name, (mine, theirs) in rivals.items() if not mine > theirs + TIE
    ]  # a reason quotes no number: alone it would say too much, and the evidence has it with its interval
    if lost:
        return "kept", f"Net {WORDS[rule.metric]} is not above that of {', '.join(lost)}.", evidence
    beaten = ", ".join(WORDS.get(name, name) for name in rivals)
    return "promoted", f"Net {WORDS[rule.metric]} is above that of {beaten}.", evidence


def current_stream(papers: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the latest run of successive weeks in which fine-tunes challenged one and the same champion."""
    stream: list[Mapping[str, Any]] = []
    for paper in sorted(papers, key=lambda paper: paper["week"], reverse=True):
        if paper["challenger"] is None:
            break
        if stream:
            later = stream[-1]
            follows = str(calendar.shift_week(later["week"], -1).date()) == paper["week"]
            if not follows or paper["champion"]["version"] != later["champion"]["version"]:
                break
        stream.append(paper)
    return stream[::-1]


def judge_stream(allocator: str, stream: Sequence[Mapping[str, Any]]) -> tuple[str, str, dict[str, Any]]:
    """Apply the rule to a stream of paper weeks; pure.

    Parameters
    ----------
    allocator : str
    stream : sequence of mapping
        Successive paper evaluations with a challenger each, as `current_stream` returns them.

    Returns
    -------
    tuple of (str, str, dict)
        Outcome, reason and evidence.
    """
    rule = RULES[algorithm_of(allocator)]
    weeks = tuple(paper["week"] for paper in stream)
    enough = len(weeks) >= MIN_JUDGED_WEEKS
    sides = {
        side: metrics([paper[side]["net"] for paper in stream], [paper[side]["turnover"] for paper in stream])
        for side in (("challenger", "champion") if enough else ())
    }
    duel = Duel(stream[-1]["champion"]["version"], weeks, sides.get("challenger", {}), sides.get("champion", {}))
    evidence = _evidence(rule, duel)
    if not enough:
        return "insufficient", _too_few(len(weeks)), evidence
    mine, theirs = duel.candidate[rule.metric], duel.champion[rule.metric]
    above = mine > theirs + TIE
    verb = "above" if above else "not above"
    reason = f"Net {WORDS[rule.metric]} of the stream is {verb} the champion's."
    return "promoted" if above else "kept", reason, evidence


def _too_few(weeks: int) -> str:
    return f"Only {weeks} weeks are unseen by both; {MIN_JUDGED_WEEKS} are needed."


def _evidence(rule: Rule, duel: Duel | None) -> dict[str, Any]:
    against = {"metric": rule.metric, "baselines": list(rule.baselines)}
    if duel is None:
        return against
    return {
        **against,
        "weeks": len(duel.weeks),
        "first_week": duel.weeks[0] if duel.weeks else None,
        "last_week": duel.weeks[-1] if duel.weeks else None,
        "candidate": dict(duel.candidate),
        "champion": dict(duel.champion),
    }
