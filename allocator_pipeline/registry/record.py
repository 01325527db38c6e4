"""The verdicts on an allocator as a court's record, in markdown: parties, weeks, rule, evidence, ruling and seals.

Nothing here decides; everything is read from the verdicts as they lie in the log.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from allocator_pipeline.evaluation.evidence import TRIES
from allocator_pipeline.evaluation.report.estimates import Tries
from allocator_pipeline.evaluation.significance import narrow_words
from allocator_pipeline.registry.growth import apart, growth_words
from allocator_pipeline.registry.ledger import FAILED, NOT_PROVEN, PROVEN, TIE
from allocator_pipeline.registry.rules import WORDS
from allocator_pipeline.registry.verdicts import Verdict

RULINGS = {
    "promoted": "Promoted",
    "kept": "The champion is kept",
    "insufficient": "The champion is kept, for want of weeks",
    "rolled_back": "Rolled back",
}
ORDERS = {
    "rollback": ("roll-back", "a version that was champion before may be so again, by order"),
    "promotion": ("promotion", "a stored version that verifies may be promoted by hand, subject to the gate in force"),
}
"""How orders are called, and the rule for each."""

BADGES = {
    PROVEN: "proven: the threshold of every baseline is exceeded",
    NOT_PROVEN: "not proven: a threshold is not exceeded",
    TIE: "a tie, so without a threshold: week by week it is what it is compared with",
    FAILED: "failed: there are no results to score",
    "none": "none: this version was never tried",
}
"""What the badge of a verdict means."""

NORMAL_95 = 1.96
"""Standard errors on either side of a 95 % interval."""


def court_record(history: Sequence[Verdict]) -> str:
    """Return the record of an allocator, the newest case first.

    Parameters
    ----------
    history : sequence of Verdict
        Oldest first.

    Returns
    -------
    str
        Markdown.
    """
    return "\n\n".join(case(verdict) for verdict in reversed(history)) or "No case has been heard yet."


def case(verdict: Verdict) -> str:
    """Return one case in markdown: parties, weeks, rule and numbers, evidence, ruling, seals."""
    evidence = verdict.evidence
    parts = [
        f"### Case {verdict.number}: {_title(verdict)}",
        f"**{RULINGS[verdict.outcome]}.** {verdict.reason} Champion from the week of {verdict.effective_week}: "
        f"`{verdict.champion}`.",
        _bullets(
            [
                ("Parties", _parties(verdict)),
                ("Weeks", _weeks(evidence)),
                ("Rule", _rule(verdict)),
                ("Numbers", _numbers(evidence)),
                ("Duel", _duel(evidence.get("duel"), evidence.get("badge"))),
                ("Caution", narrow_words(evidence["weeks"]) if evidence.get("duel") else ""),
                ("Evidence over all tries", _evidence(evidence.get("badge"))),
                ("Seen before", _seen(evidence.get("seen_as_replicates"))),
                ("Gate in force", gate_words(evidence.get("gate"))),
                ("Seals", _seals(verdict)),
            ]
        ),
    ]
    return "\n\n".join(parts)


def badge_words(badge: Mapping[str, Any] | None) -> str:
    """Return a badge in a few words: ``not proven (try 12; 9 of 60 places used in sequence 1)``."""
    if not badge:
        return "none"
    told = str(badge["verdict"]).replace("_", " ")
    if not badge.get("try"):
        return told
    earlier = badge.get("proof") if badge["verdict"] != PROVEN else None
    stands = f", proven by try {earlier}" if earlier else ""
    return f"{told} (try {badge['try']}{stands}; {place_words(badge)})"


def place_words(badge: Mapping[str, Any]) -> str:
    """Return where a try stands in its sequence; after the sixtieth place a new one begins, with its own error."""
    return f"{badge['position']} of {TRIES} places used in sequence {badge['sequence']}"


def gate_words(gate: Mapping[str, Any] | None) -> str:
    """Return what a gate demands."""
    if gate is None:
        return ""
    demands = [
        words for name, words in (("proof_to_promote", "a promotion"), ("proof_to_serve", "being served")) if gate[name]
    ]
    return f"the badge is needed for {' and for '.join(demands)}" if demands else "the badge is needed for nothing"


def _title(verdict: Verdict) -> str:
    what, _, which = verdict.source.partition(":")
    which = which.partition("|")[2]
    if what == "order":
        return f"{ORDERS[verdict.kind][0]} by order, effective {verdict.effective_week}"
    return f"{what} of {which}"


def _parties(verdict: Verdict) -> str:
    if verdict.prior is None:
        return f"`{verdict.candidate}`, unopposed: there was no champion"
    role = "former champion" if verdict.kind == "rollback" else "challenger"
    return f"{role} `{verdict.candidate}` v. champion `{verdict.prior}`"


def _weeks(evidence: Mapping[str, Any]) -> str:
    if not evidence.get("weeks"):
        return ""
    return f"{evidence['weeks']} unseen by both, {evidence['first_week']} to {evidence['last_week']}"


def _rule(verdict: Verdict) -> str:
    evidence = verdict.evidence
    if verdict.kind in ORDERS:
        return ORDERS[verdict.kind][1]
    if verdict.prior is None:
        return "the first policy judged is promoted, so that there is one to serve"
    baselines = evidence["baselines"] if verdict.kind == "report" else []
    metric = WORDS[evidence["metric"]]
    over = f"that of {' and '.join(WORDS[name] for name in baselines)} over all judged years, and " if baselines else ""
    return f"net {metric} must exceed {over}the champion's over the weeks unseen by both"


def _numbers(evidence: Mapping[str, Any]) -> str:
    metric = evidence.get("metric")
    if metric is None:
        return ""
    told, badge = [], evidence.get("badge") or {}
    if evidence.get("candidate"):
        mine, theirs = evidence["candidate"][metric], evidence["champion"][metric]
        told.append(f"{WORDS[metric]} {mine:.4f} v. the champion's {theirs:.4f}{_apart(evidence, metric)}")
    if walked := evidence.get("walk_forward"):
        scores = badge.get("against", {}) if metric == "sharpe" else {}
        rivals = [f"{WORDS[name]} {walked[name]:.4f}{_scored(scores.get(name))}" for name in evidence["baselines"]]
        years = f"{walked['years'][0]} to {walked['years'][-1]}"
        recipe = growth_words(evidence["growth"]) if evidence.get("growth") else f"{walked['policy']:.4f}"
        told.append(", ".join([f"{years}: recipe {recipe}", *rivals]))
    elif evidence.get("growth"):
        told.append(f"CAGR over the weeks tried {growth_words(evidence['growth'])}")
    return f"{'; '.join(told)}; {Tries(badge.get('try') or 0).words()}" if told else ""


def _apart(evidence: Mapping[str, Any], metric: str) -> str:
    """Return candidate less champion with its interval, by the metric that decides."""
    if (growth := evidence.get("growth")) and growth["champion"]:
        return f" (difference {apart(growth['champion'])})"
    return f" ({_difference(evidence['duel']['bootstrap'])})" if metric == "sharpe" and evidence.get("duel") else ""


def _scored(score: Mapping[str, Any] | None) -> str:
    """Return recipe less baseline in brackets; nothing where it was not scored."""
    return f" ({_score_interval(score)})" if score else ""


def _score_interval(score: Mapping[str, Any]) -> str:
    """Return a scored difference with the interval that its t statistic stands for; of a tie there is none."""
    if not score["t"]:
        return "difference none, a tie"
    found = score["sharpe_difference"]
    off = NORMAL_95 * abs(found / score["t"])
    return _difference({"estimate": found, "low": found - off, "high": found + off})


def _difference(item: Mapping[str, float]) -> str:
    return f"difference {item['estimate']:+.2f}, 95 % interval [{item['low']:+.2f}, {item['high']:+.2f}]"


def _duel(duel: Mapping[str, Any] | None, badge: Mapping[str, Any] | None) -> str:
    if not duel:
        return ""
    gain = duel.get("deflated")
    lucky = f"above the luckiest of all tries with probability {gain['probability']:.3f}; " if gain else ""
    return (
        f"Sharpe ratio less the champion's: {_difference(duel['bootstrap'])} (paired stationary bootstrap); p = "
        f"{duel['ledoit_wolf']['p_value']:.3f} (Ledoit-Wolf, two-sided); {lucky}"
        f"{Tries((badge or {}).get('try') or 0).words()}"
    )


def _evidence(badge: Mapping[str, Any] | None) -> str:
    if not badge:
        return ""
    if not badge["try"]:
        return BADGES["none"]
    place = f"try {badge['try']} ({place_words(badge)})"
    scores = [
        f"{WORDS[name]}: Sharpe {_score_interval(each)}, t = {each['t'] + 0.0:.2f}, "
        + f"z = {each['z'] + 0.0:.2f}, "  # a tie's may be -0
        + (f"threshold {each['threshold']:.2f}, " if each["threshold"] is not None else "")
        + f"p = {each['p_value']:.3f} (one-sided, of this try alone)"
        for name, each in badge["against"].items()
    ]
    stands = [f"proven by try {badge['proof']}, which stands"] if badge.get("proof") not in (None, badge["try"]) else []
    return "; ".join([f"{place}, {BADGES[badge['verdict']]}", *stands, *scores])


def _seen(years: Sequence[int] | None) -> str:
    """Say which judged years were decided by policies that `seed_policies` had shown, without a try."""
    if not years:
        return ""
    return (
        f"the policies that decide {', '.join(map(str, years))} are stored as replicates too; where their seed was "
        "chosen by what these showed, the evidence carries that choice and the threshold does not"
    )


def _seals(verdict: Verdict) -> str:
    inputs = verdict.evidence.get("inputs", {})
    seals = (
        {"verdict": verdict.sha256, **inputs}
        if inputs
        else {"verdict": verdict.sha256, "source": verdict.source_sha256}
    )
    return ", ".join(f"{name} `{digest[:12]}`" for name, digest in seals.items())


def _bullets(items: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"- **{name}:** {text}" for name, text in items if text)
