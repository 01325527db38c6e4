"""Verdicts made again from their kept inputs, by the same rule: whoever changes an input or a verdict is found out.

Thresholds are drawn anew, tests run anew, a report's metrics computed anew from its weekly returns. Where the stored
state tensors are still those that a verdict on a report names, candidate and champion walk its year anew; where these
are others or gone, the finding says so. Earlier years of a report, its baselines, and papers and baselines of a stream
are taken as they were kept. A verdict of another format (`registry.verdict_format`) is compared in what both formats
have, and called one of another version if it is the same there. Numbers may differ by 1e-6 of their size, which is what
another processor's rounding makes of them; what somebody has edited by less, its hash tells.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from allocator_pipeline.atomic import canonical_json
from allocator_pipeline.config import CostConfig, GateConfig
from allocator_pipeline.errors import AllocatorError, MissingPartitionError, NotEnoughDataError
from allocator_pipeline.evaluation.metrics import metrics
from allocator_pipeline.evaluation.walk_forward import POLICY
from allocator_pipeline.portfolio.rollout import simulate
from allocator_pipeline.portfolio.state import StateTensors
from allocator_pipeline.registry import promotion
from allocator_pipeline.registry.court import Court
from allocator_pipeline.registry.ledger import Entry, Try, compare, judged
from allocator_pipeline.registry.rulings import (
    proven_by,
    ruling_on_order,
    ruling_on_promotion,
    ruling_on_report,
    ruling_on_stream,
)
from allocator_pipeline.registry.tries import report_try, stream_try
from allocator_pipeline.registry.verdict_format import FORMAT, format_of, places_apart
from allocator_pipeline.registry.verdicts import Ruling, Verdict

SAME, DIFFERS, ABSENT, NOT_WALKED = "same", "differs", "inputs absent", "walk not remade"
OTHER_VERSION = "of another version"
ELSEWHERE = ("states", "entry")
"""Inputs that are not kept among the documents: state tensors, by hash alone, and the entry of the ledger."""

ORDERS = {"rollback": ruling_on_order, "promotion": ruling_on_promotion}
"""Kinds of verdict that follow from an order by hand."""

ROUNDING = 1e-6

States = Callable[[Sequence[str]], StateTensors]
"""From weeks to the stored state tensors that hold them; raises MissingPartitionError where they are gone."""


@dataclass(frozen=True)
class Finding:
    """What came of making a verdict again.

    Parameters
    ----------
    number : int
        Of the verdict.
    source : str
        What was judged.
    status : {"same", "differs", "inputs absent", "walk not remade", "of another version"}
        The last but one: the same from the kept inputs, but the walk among them had to be taken as it was kept. The
        last: the same as far as it can be compared, which is not in full.
    why : str
        What differs, is absent or cannot be compared; empty for the same.
    """

    number: int
    source: str
    status: str
    why: str = ""


def replay(court: Court, states: States | None = None, costs: CostConfig | None = None) -> list[Finding]:
    """Make every verdict on an allocator again, from stored inputs and the rule.

    Parameters
    ----------
    court : Court
        Its gate is not used: each verdict names the gate that was in force.
    states : callable, optional
        The stored states; without them no walk is made again.
    costs : CostConfig, optional
        Of the data folder, which its walks were made with.

    Returns
    -------
    list of Finding
        One for each verdict, oldest first.

    Raises
    ------
    CorruptArtifactError
        If the log or the ledger is not what was written; nothing in it can be trusted then.
    """
    history, tries = court.log.history(), court.ledger.history()
    walks = _Walks(court, states, costs or CostConfig())
    return [_again(court, verdict, history[: verdict.number - 1], tries, walks) for verdict in history]


def _again(court: Court, verdict: Verdict, before: Sequence[Verdict], tries: Sequence[Entry], walks: _Walks) -> Finding:
    def found(status: str, why: str = "") -> Finding:
        return Finding(verdict.number, verdict.source, status, why)

    inputs = verdict.evidence.get("inputs")
    if not inputs:
        return found(ABSENT, "the verdict names none; it was made before they were kept")
    try:
        documents = {name: court.inputs.read(digest) for name, digest in inputs.items() if name not in ELSEWHERE}
        ruling = _ruling(court, verdict, documents, before, tries)
        misstated = list(_misstated(documents["report"])) if "report" in documents else []
    except MissingPartitionError as error:
        return found(ABSENT, error.problem)
    except AllocatorError as error:
        return found(DIFFERS, error.problem)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        return found(DIFFERS, f"its inputs do not fit together: {error!r}")
    if isinstance(ruling, str):
        return found(DIFFERS, ruling)
    made = json.loads(canonical_json(asdict(ruling)))
    stored, number = {item.name: getattr(verdict, item.name) for item in fields(Ruling)}, format_of(verdict.evidence)
    left_out, common = places_apart(number), number > FORMAT
    differing = [
        place for name in stored for place in _differences(made[name], stored[name], name, left_out, common=common)
    ]
    if differing := differing + misstated:
        return found(DIFFERS, f"made again, it has another {', '.join(differing)}")
    status, why = walks.again(documents, inputs["states"]) if "walk" in documents else (SAME, "")
    if number == FORMAT or status == DIFFERS:
        return found(status, why)
    apart = "what only one of them has" if common else ", ".join(sorted(left_out))
    told = f"its format is {number}, that of this version {FORMAT}: not compared is {apart}"
    return found(OTHER_VERSION, f"{told}; {why}" if why else told)


class _Walks:
    """The walks behind verdicts on reports, from stored artefacts and states."""

    def __init__(self, court: Court, states: States | None, costs: CostConfig) -> None:
        self._court, self._states, self._costs = court, states, costs

    def again(self, documents: Mapping[str, Any], digest: str) -> tuple[str, str]:
        """Return the status and what differs or is absent.

        Parameters
        ----------
        documents : mapping
            ``report``, ``walk`` and both manifests, as kept.
        digest : str
            Of the states that the verdict names.
        """
        if self._states is None:
            return NOT_WALKED, "no states were given"
        weekly = documents["report"]["year_only"]["series"][POLICY]["weekly"]
        weeks = weekly["weeks"]
        try:
            walked = self._states(weeks).between(weeks[0], weeks[-1])
            if walked.digest() != digest:
                return NOT_WALKED, "the stored states are not those that it names"
            differing = self._unlike(documents, weekly, walked)
        except (MissingPartitionError, NotEnoughDataError) as error:
            return NOT_WALKED, error.problem
        except AllocatorError as error:
            return DIFFERS, error.problem
        return (DIFFERS, f"walked again, it has another {', '.join(differing)}") if differing else (SAME, "")

    def _unlike(self, documents: Mapping[str, Any], weekly: Mapping[str, Any], walked: StateTensors) -> list[str]:
        candidate, champion = (
            self._court.artifacts.load(self._court.log.allocator, documents[side]["version"])
            for side in ("candidate", "champion")
        )
        run = simulate(promotion.policy_of(candidate).target_weights, walked, self._costs)
        made, _ = promotion.champion_walk(candidate, champion, weekly, walked, self._costs)
        made |= {
            "candidate": candidate.manifest,
            "report": {"net": run.net.tolist(), "turnover": run.turnover.tolist()},
        }
        kept = {**documents, "report": {measure: weekly[measure] for measure in ("net", "turnover")}}
        made = json.loads(canonical_json(made))
        return [place for item in made for place in _differences(made[item], kept[item], item)]


def _misstated(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield the places at which a report's metrics are not those of its weekly returns."""
    for section in ("year_only", "walk_forward"):
        for name, series in report[section]["series"].items():
            made = metrics(series["weekly"]["net"], series["weekly"]["turnover"])
            stated = {metric: series["metrics"].get(metric) for metric in made}
            yield from _differences(made, stated, f"report.{section}.{name}")


def _ruling(
    court: Court, verdict: Verdict, documents: dict[str, Any], before: Sequence[Verdict], tries: Sequence[Entry]
) -> Ruling | str:
    """Return the ruling, or why its entry in the ledger is not the one that its inputs lead to."""
    inputs, gate = verdict.evidence["inputs"], GateConfig(**verdict.evidence["gate"])
    number = verdict.evidence["badge"]["try"]
    entry = tries[number - 1] if number is not None and number <= len(tries) else None
    if (entry.sha256 if entry else None) != inputs.get("entry"):
        return f"try {number} of the ledger is not the entry it names"
    proof = proven_by(tries, entry, verdict.effective_week)
    if verdict.kind in ORDERS:
        if entry and (entry.allocator, entry.candidate) != (verdict.allocator, verdict.candidate):
            return f"try {number} of the ledger is about {entry.allocator} {entry.candidate}"
        return ORDERS[verdict.kind](verdict.allocator, documents, entry, proof, before, gate, inputs)
    if entry is None:
        return "it names no try of the ledger"
    if verdict.kind == "report":
        attempt = report_try(documents["report"], documents["candidate"], entry.date)
        ruling = ruling_on_report(documents, entry, proof, before, gate, inputs)
    else:
        attempt = stream_try(documents["papers"], documents["baselines"], documents["candidate"], entry.date)
        ruling = ruling_on_stream(verdict.allocator, documents, entry, proof, before, gate, inputs)
    return _unlike(court, attempt, entry, tries) or ruling


def _unlike(court: Court, attempt: Try, entry: Entry, tries: Sequence[Entry]) -> str:
    """Return what differs between an entry of the ledger and the try made again; empty if nothing does."""
    earlier = tries[: entry.number - 1]
    made = judged(attempt, compare(attempt), earlier, court.ledger.name, entry.draws, entry.seed)
    differing = _differences(json.loads(canonical_json(asdict(made))), asdict(entry), f"try {entry.number}")
    return f"made again, it has another {', '.join(differing)}" if differing else ""


def _differences(
    made: Any, stored: Any, place: str, left_out: frozenset[str] = frozenset(), *, common: bool = False
) -> list[str]:
    """Return the places at which two JSON values differ by more than rounding.

    Left out are the places named, and if only what is ``common`` counts, those that one of the two lacks.
    """
    if isinstance(made, dict) and isinstance(stored, dict):
        both, names = made.keys() & stored.keys(), {name: f"{place}.{name}" for name in {**made, **stored}}
        alone = [inner for name, inner in names.items() if name not in both and inner not in left_out]
        return ([] if common else alone) + [
            each
            for name, inner in names.items()
            if name in both and inner not in left_out
            for each in _differences(made[name], stored[name], inner, left_out, common=common)
        ]
    if isinstance(made, list) and isinstance(stored, list) and len(made) == len(stored):
        unlike = any(_differences(one, other, place) for one, other in zip(made, stored, strict=True))
        return [place] if unlike else []
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (made, stored))
    same = math.isclose(made, stored, rel_tol=ROUNDING, abs_tol=1e-9) if numbers else made == stored
    return [] if same else [place]
