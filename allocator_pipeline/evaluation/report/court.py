"""The champions and their badges, and the record of the verdicts that made them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from allocator_pipeline.config import PRINCIPAL_BASELINES
from allocator_pipeline.evaluation.evidence import TRIES
from allocator_pipeline.evaluation.page import table
from allocator_pipeline.evaluation.report.estimates import FIXED_RECIPE, FIXED_RULE, Tries, difference
from allocator_pipeline.evaluation.report.section import Comparison, Section, absent, folded, note
from allocator_pipeline.evaluation.summary import LABELS, OUTCOMES, Verdicts, p_value

Badge = Mapping[str, Any]

_ASIDE = {"tie": "a tie with a baseline", "failed": "its training failed", "none": "not put to the test"}


@dataclass(frozen=True)
class Champion:
    """Who serves an allocator after its latest verdict.

    Parameters
    ----------
    version : str
    since : str
        ISO Monday from which it serves.
    badge : mapping or None
        What the evidence said of it when it was judged last, ``proof`` among it; None where it was not asked.
    """

    version: str
    since: str
    badge: Badge | None

    @property
    def proven(self) -> bool:
        """True if any of its tries has proved it, as gate and serving see it (`registry.ledger.proof_of`)."""
        return self.badge is not None and self.badge["proof"] is not None

    def words(self, tries: Tries) -> str:
        """Return ``proven``, or ``not proven after N tries``, with where its own try stands in the sequence."""
        place = _place(self.badge)
        if self.badge is not None and self.proven:
            return f"proven (try {self.badge['proof']}{place})"
        own = f" ({self.own_try()})" if tries.count and self.own_try() else ""
        return f"{self.mark(tries)}{own}"

    def mark(self, tries: Tries) -> str:
        """Return the same in as few words as a table has room for."""
        if self.badge is not None and self.proven:
            return f"proven (try {self.badge['proof']})"
        return f"not proven {tries.words()}" if tries.count else "not proven, no try counted yet"

    def own_try(self) -> str:
        """Return where its own try stands in the sequence, nothing for what was never tried."""
        place = _place(self.badge)
        return f"its own: try {self.badge['try']}{place}" if self.badge is not None and place else ""


def champion_of(history: Sequence[Mapping[str, Any]]) -> Champion | None:
    """Return the champion after the verdict with the latest effect, or None if nobody was judged.

    Parameters
    ----------
    history : sequence of dict
        Verdicts of one allocator, oldest first.
    """
    if not history:
        return None
    latest = max(history, key=lambda item: (item["effective_week"], item["number"]))
    version = latest["champion"]
    own = [item for item in history if item["candidate"] == version]
    crowned = [item["effective_week"] for item in own if item["promoted"]]
    badges = [badge for item in own if (badge := badge_of(item)) is not None]
    return Champion(version, max(crowned, default=latest["effective_week"]), badges[-1] if badges else None)


def badge_of(verdict: Mapping[str, Any]) -> Badge | None:
    """Return what the evidence said, or None where the gate did not ask."""
    badge: Badge | None = verdict.get("evidence", {}).get("badge")
    return badge


def tries_so_far(comparison: Comparison | None, verdicts: Verdicts) -> Tries:
    """Return the number of tries counted so far, by the ledger (years judged, while it is empty) or by the verdicts."""
    counted = [int(comparison["tries"]["count"] or comparison["trials"])] if comparison is not None else []
    for history in verdicts.values():
        counted += [int(badge["try"] or 0) for item in history if (badge := badge_of(item)) is not None]
    return Tries(max(counted, default=0))


def badges(verdicts: Verdicts, tries: Tries) -> list[str]:
    """Say of each champion whether it is proven: ``"ppo_lstm: champion v2021-12-27-b2d958, proven (try 3)."``."""
    champions_now = {name: champion_of(history) for name, history in verdicts.items()}
    return [f"{name}: champion {one.version}, {one.words(tries)}." for name, one in champions_now.items() if one]


def table_note(verdicts: Verdicts, tries: Tries) -> str:
    """Return the line below the result table: what the brackets are, the tries, and which champions are proven."""
    now = {name: one for name, history in verdicts.items() if (one := champion_of(history))}
    proven = [name for name, one in now.items() if one.proven]
    champions_now = f"Champions proven (of {len(now)}): {', '.join(proven) or 'none'}." if now else "No champion yet."
    fixed = f"baselines are {FIXED_RULE.words()} each, ref. is {FIXED_RECIPE.words()}"
    intervals = "Brackets hold 95 % intervals; those of CAGR are in report.html."
    return f"{intervals}\nPolicies {tries.words()}; {fixed}.\n{champions_now}"


def champions(verdicts: Verdicts, tries: Tries) -> Section:
    """Show each allocator's champion with its badge and the evidence behind it."""
    body = []
    for allocator, history in verdicts.items():
        champion = champion_of(history)
        if champion is None:
            continue
        body.append(
            [
                f"<strong>{escape(allocator)}</strong>",
                f"<code>{escape(champion.version)}</code>",
                escape(champion.since),
                full_seal(champion, tries),
                *(_evidence(champion.badge, name) for name in PRINCIPAL_BASELINES),
            ]
        )
    header = ["", "champion", "serves from", "evidence", *(f"against {LABELS[name]}" for name in PRINCIPAL_BASELINES)]
    remark = (
        "Proven means: better than equal weight and HRP at 5 % over the whole sequence of tries, not in one test of "
        "its own. A proof once given stands, whatever later tries of the same version bring. z is the evidence in "
        "standard normal units; it has to exceed the threshold of its try. A sequence has 60 places, for tries that "
        "are scored and tie with nothing; then a new one begins with an error of 5 % of its own."
    )
    shown = table(header, body, text=[3]) + note(remark) if body else absent("promoted_policies")
    return Section("champions", "Champions", shown)


def seal(champion: Champion, tries: Tries) -> str:
    """Return the badge of a champion as a mark, short enough for a column of a table."""
    kind = "promoted" if champion.proven else "waiting"
    return f'<span class="badge {kind}">{escape(champion.mark(tries))}</span>'


def full_seal(champion: Champion, tries: Tries) -> str:
    """Return the same with what there is to know beside it: where its own try stands, and whether that was a tie."""
    aside = _ASIDE.get(champion.badge["verdict"], "") if champion.badge else ""
    told = "; ".join(part for part in (champion.own_try(), aside) if part)
    return seal(champion, tries) + (f'<small class="place">{escape(told)}</small>' if told else "")


def _place(badge: Badge | None) -> str:
    if not badge or not badge["try"]:
        return ""
    return f", {badge['position']} of {TRIES} places used in sequence {badge['sequence']}"


def _evidence(badge: Badge | None, baseline: str) -> str:
    item = (badge or {}).get("against", {}).get(baseline)
    if item is None:
        return "<small>not asked</small>"
    if item.get("threshold") is None:
        return f'z {item["z"] + 0.0:+.2f}<small class="place">no threshold: a tie cannot be proven</small>'
    return f"z {item['z']:+.2f}<br><small>threshold {item['threshold']:.2f}</small>"


def record(verdicts: Verdicts, tries: Tries) -> Section:
    """Show every verdict, the newest first."""
    parts: list[str] = []
    for allocator, history in verdicts.items():
        champion = champion_of(history)
        if champion is None:
            continue
        promoted = sum(item["outcome"] == "promoted" for item in history)
        count = f"{len(history)} {'verdict' if len(history) == 1 else 'verdicts'}"
        heading = f"{allocator}: {count}, {promoted} promoted, champion now {champion.version}, {champion.words(tries)}"
        parts.append(folded(heading, cases(list(reversed(history))), unfolded=not parts))
    remark = (
        "The newest first. A verdict takes effect at a week and is never changed afterwards; each carries the hash of "
        "the one before it and of what was judged. Champion now means after the latest verdict. Reasons and evidence "
        "are quoted as they were recorded."
    )
    return Section("verdicts", "Verdicts", note(remark) + ("".join(parts) or note("Nothing has been judged yet.")))


def cases(verdicts: Sequence[Mapping[str, Any]]) -> str:
    """Return some verdicts of one allocator as a table, in the order given."""
    header = ["no.", "effective", "judged", "candidate", "outcome", "evidence", "Sharpe ratio less the champion's"]
    return table([*header, "champion after", "reason"], [_verdict(item) for item in verdicts], text=[8])


def _verdict(item: Mapping[str, Any]) -> list[str]:
    outcome, badge = str(item["outcome"]), badge_of(item)
    evidence = json.dumps(item.get("evidence", {}), indent=1, sort_keys=True)
    seals = f"judged {item['source_sha256']}\nbefore {item['previous_sha256']}"
    return [
        str(item["number"]),
        escape(item["effective_week"]),
        escape(item["source"]),
        f"<code>{escape(item['candidate'])}</code>",
        f'<span class="badge {escape(outcome)}">{escape(OUTCOMES.get(outcome, outcome))}</span>',
        _mark(badge),
        _duel(item.get("evidence", {}).get("duel"), badge),
        f"<code>{escape(item['champion'])}</code>",
        f'<div class="record">{escape(item["reason"])}<details><summary>evidence</summary>'
        f"<pre>{escape(evidence)}\n{escape(seals)}</pre></details></div>",
    ]


def _mark(badge: Badge | None) -> str:
    if badge is None or badge["verdict"] == "none":
        return "<small>not asked</small>"
    words = str(badge["verdict"]).replace("_", " ")
    return f"{escape(words)}<br>{Tries(badge['try'] or 0).html()}"


def _duel(duel: Mapping[str, Any] | None, badge: Badge | None) -> str:
    if not duel or not duel.get("bootstrap"):
        return ""
    test = duel.get("ledoit_wolf")
    p = f"<small>p {p_value(test['p_value'])}</small>" if test else ""
    gain = duel.get("deflated")
    lucky = f"<small>above luck {100 * gain['probability']:.0f} %</small>" if gain else ""
    tries = "" if badge and badge["verdict"] != "none" else Tries(0).html()
    return f"{difference(duel['bootstrap'])}{p}{lucky}{tries}"
