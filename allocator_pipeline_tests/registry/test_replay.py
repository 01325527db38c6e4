"""Verdicts made again: the same, unless somebody has touched something."""

from __future__ import annotations

import gzip
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from allocator_pipeline.atomic import canonical_json, sha256
from allocator_pipeline.config import GateConfig
from allocator_pipeline.errors import CorruptArtifactError, MissingPartitionError, UnsafeNameError
from allocator_pipeline.portfolio.state import concatenate
from allocator_pipeline.registry import orders, promotion
from allocator_pipeline.registry.chain import GENESIS
from allocator_pipeline.registry.court import Court
from allocator_pipeline.registry.replay import Finding, replay
from allocator_pipeline.registry.rulings import ruling_on_report
from allocator_pipeline.registry.verdict_format import FORMAT, SINCE
from allocator_pipeline.registry.verdicts import Verdict
from allocator_pipeline_tests.registry.conftest import COSTS, STATES, best_and_worst, make_ruling, rivals

ALL = concatenate(list(STATES.values()))
ORDER = ("after", "reason", "version", "week")


@pytest.fixture
def heard(judge, report_on, stream, court) -> Court:
    """A court that has heard three reports, a stream and an order."""
    first = court.log.history()[0]  # of the stream's champion
    promotion.promote_from_stream(court, stream(26, -0.001), rivals)
    judge(report_on(2018, best_and_worst(2018)[0]))
    orders.rollback(replace(court, gate=GateConfig(True, True)), first.champion, "2019-03-04", "A test.")
    return court


def again(court: Court) -> list[Finding]:
    return replay(court, lambda weeks: ALL, COSTS)


def statuses(court: Court) -> list[str]:
    return [finding.status for finding in again(court)]


def rewrite(court: Court, number: int, **changes: object) -> None:
    """Change a verdict and seal the whole log anew, as somebody with access to the folder could."""
    seal, links = GENESIS, []
    for verdict in court.log.history():
        values = {**asdict(verdict), **(changes if verdict.number == number else {}), "previous_sha256": seal}
        links.append(Verdict(**values))
        seal = links[-1].sha256
    for link in links:
        (court.log.folder / f"{link.number:06d}.json").write_bytes(link.to_bytes())
    (court.log.folder / "head.json").write_bytes(canonical_json({"count": len(links), "sha256": seal}))


def test_every_kind_of_verdict_can_be_made_again(heard) -> None:
    kinds = [verdict.kind for verdict in heard.log.history()]
    assert kinds == ["report", "stream", "report", "rollback"]
    assert statuses(heard) == ["same"] * 4
    assert statuses(replace(heard, gate=GateConfig(True, True))) == ["same"] * 4  # each by the gate of its time


def older(evidence: dict) -> dict:
    """Return the evidence as the first format had it."""
    found = {name: value for name, value in evidence.items() if name not in ("format", "seen_as_replicates")}
    if evidence["duel"]:
        found["duel"] = {name: value for name, value in evidence["duel"].items() if name != "deflated"}
    return found


def test_a_verdict_of_an_older_format_is_one_of_another_version_and_no_edited_one(heard) -> None:
    third = heard.log.history()[2]
    rewrite(heard, 3, evidence=older(third.evidence))
    found = again(heard)[2]
    assert found.status == "of another version"
    assert found.why == (
        f"its format is 1, that of this version {FORMAT}: not compared is evidence.duel.deflated, evidence.format, "
        "evidence.growth, evidence.seen_as_replicates"
    )
    assert "no states were given" in replay(heard)[2].why
    other_method = {**third.evidence["duel"], "deflated": {"probability": 0.5}}  # as another version computed it
    rewrite(heard, 3, evidence={**older(third.evidence), "duel": other_method})
    assert statuses(heard) == ["same", "same", "of another version", "same"]


@pytest.mark.parametrize("number", [1, 99])
def test_another_format_hides_no_edit_of_what_both_have(heard, number) -> None:
    evidence = {**heard.log.history()[2].evidence, "format": number, "candidate": {"sharpe": 9.0}}
    rewrite(heard, 3, evidence=evidence)
    found = again(heard)[2]
    assert (found.status, "evidence.candidate.sharpe" in found.why) == ("differs", True)


def test_what_an_older_format_had_may_not_be_absent(heard) -> None:
    evidence = older(heard.log.history()[2].evidence)
    del evidence["duel"]["ledoit_wolf"]
    rewrite(heard, 3, evidence=evidence)
    assert again(heard)[2].why == "made again, it has another evidence.duel.ledoit_wolf"


def test_a_newer_format_is_compared_in_what_both_have(heard) -> None:
    rewrite(heard, 3, evidence={**heard.log.history()[2].evidence, "format": 99, "new": 1})
    found = again(heard)[2]
    assert (found.status, "not compared is what only one of them has" in found.why) == ("of another version", True)


def places(value: object, place: str = "evidence") -> set[str]:
    """Return the places of a JSON value, down to where names are those of inputs or baselines, or may be absent."""
    if not isinstance(value, dict) or place in ("evidence.inputs", "evidence.badge.against", "evidence.duel.deflated"):
        return {place}
    return {each for name, inner in value.items() for each in places(inner, f"{place}.{name}")}


def test_no_field_comes_or_goes_without_a_new_format(heard) -> None:
    """If this fails, raise `verdict_format.FORMAT`, name the place in `SINCE`, then change what is expected here."""
    report, stream, order = (heard.log.history()[at].evidence for at in (2, 1, 3))
    metrics = [
        "cagr",
        "cvar",
        "drawdown_weeks",
        "hit_rate",
        "max_drawdown",
        "sharpe",
        "sortino",
        "turnover",
        "volatility",
        "weeks",
    ]
    bootstrap = ["block_weeks", "draws", "estimate", "high", "level", "low", "p_value"]
    ledoit_wolf = ["block_weeks", "draws", "estimate", "p_value", "standard_error", "t"]
    common = {f"evidence.{name}" for name in ("format", "badge.against", "inputs")}
    common |= {f"evidence.badge.{name}" for name in ("position", "proof", "sequence", "try", "verdict")}
    common |= {f"evidence.gate.{name}" for name in ("proof_to_promote", "proof_to_serve")}
    judged = {f"evidence.{name}" for name in ("baselines", "first_week", "last_week", "metric", "weeks")}
    judged.add("evidence.duel.deflated")
    judged |= {f"evidence.{side}.{metric}" for side in ("candidate", "champion") for metric in metrics}
    judged |= {f"evidence.duel.bootstrap.{name}" for name in bootstrap}
    judged |= {f"evidence.duel.ledoit_wolf.{name}" for name in ledoit_wolf}
    walked = {f"evidence.walk_forward.{name}" for name in ("equal_weight", "hrp", "policy", "years")}
    of_report = {"evidence.universe", "evidence.seen_as_replicates"}
    assert (FORMAT, max(SINCE)) == (2, 2)
    assert places(report) == common | judged | walked | of_report
    assert places(stream) == common | judged
    assert places(order) == common | {"evidence.duel", *(f"evidence.{name}" for name in ORDER)}


def test_a_changed_input_is_found(heard) -> None:
    digest = heard.log.history()[2].evidence["inputs"]["walk"]
    path = heard.inputs.root / f"{digest}.json.gz"
    walk = heard.inputs.read(digest)
    walk["candidate"]["net"][3] += 0.01
    path.write_bytes(gzip.compress(canonical_json(walk), mtime=0))
    findings = again(heard)
    assert [finding.status for finding in findings] == ["same", "same", "differs", "same"]
    assert "cannot be trusted" in findings[2].why


def test_an_absent_input_is_said_to_be_absent(heard) -> None:
    (heard.inputs.root / f"{heard.log.history()[1].evidence['inputs']['baselines']}.json.gz").unlink()
    assert statuses(heard) == ["same", "inputs absent", "same", "same"]
    shutil.rmtree(heard.inputs.root)
    assert statuses(heard) == ["inputs absent"] * 4


def test_an_edited_verdict_is_found_by_its_seal(heard) -> None:
    path = heard.log.folder / "000002.json"
    path.write_bytes(path.read_bytes().replace(b'"kept"', b'"promoted"'))
    with pytest.raises(CorruptArtifactError, match="not what was written"):
        again(heard)


@pytest.mark.parametrize(
    ("number", "changes", "named"),
    [
        (3, {"outcome": "kept", "promoted": False}, "outcome"),
        (2, {"reason": "They paid me."}, "reason"),
        (4, {"candidate": "v2015-12-28-other"}, "candidate"),
        (3, {"effective_week": "2018-12-31"}, "effective_week"),
    ],
)
def test_an_edited_verdict_sealed_anew_is_found_by_its_inputs(heard, number, changes, named) -> None:
    verdict = heard.log.history()[number - 1]
    if verdict.outcome == changes.get("outcome"):
        changes = {"outcome": "promoted", "promoted": True}
    rewrite(heard, number, **changes)
    findings = again(heard)
    assert findings[number - 1].status == "differs"
    assert named in findings[number - 1].why or named == "candidate"


@pytest.mark.parametrize("place", ["badge", "duel", "candidate", "gate"])
def test_edited_evidence_sealed_anew_is_found(heard, place) -> None:
    evidence = heard.log.history()[2].evidence
    edits = {
        "badge": {**evidence["badge"], "verdict": "proven"},
        "duel": {**evidence["duel"], "ledoit_wolf": {**evidence["duel"]["ledoit_wolf"], "p_value": 0.001}},
        "candidate": {**evidence["candidate"], "sharpe": 9.0},
        "gate": {"proof_to_promote": False, "proof_to_serve": False, "more": 1},
    }
    rewrite(heard, 3, evidence={**evidence, place: edits[place]})
    assert again(heard)[2].status == "differs"


def test_another_input_in_the_place_of_one_is_found(heard) -> None:
    """A kept document of the right hash, but not the one that was judged."""
    evidence = heard.log.history()[2].evidence
    report = heard.inputs.read(evidence["inputs"]["report"])
    series = report["walk_forward"]["series"]
    series["policy"] = {**series["policy"], "metrics": dict.fromkeys(series["policy"]["metrics"], 99.0)}
    digest = heard.inputs.keep(report)
    rewrite(heard, 3, evidence={**evidence, "inputs": {**evidence["inputs"], "report": digest}}, source_sha256=digest)
    assert again(heard)[2].status == "differs"


def test_a_walk_that_nobody_has_walked_is_found_though_everything_is_sealed_anew(heard) -> None:
    """Edited by somebody who also writes the tests and metrics that follow from it."""
    third = heard.log.history()[2]
    inputs = third.evidence["inputs"]
    documents = {name: heard.inputs.read(inputs[name]) for name in ("report", "candidate", "champion", "walk")}
    for at in range(len(documents["walk"]["weeks"])):
        documents["walk"]["champion"]["net"][at] -= 0.01
    forged = {**inputs, "walk": heard.inputs.keep(documents["walk"])}
    tries = heard.ledger.history()
    entry = tries[third.evidence["badge"]["try"] - 1]
    ruling = ruling_on_report(documents, entry, None, heard.log.history()[:2], GateConfig(), forged)
    rewrite(heard, 3, outcome=ruling.outcome, reason=ruling.reason, promoted=ruling.promoted,
            champion=ruling.champion, evidence=ruling.evidence)  # fmt: skip
    found = again(heard)[2]
    assert (found.status, "walked again" in found.why, "walk.champion.net" in found.why) == ("differs", True, True)
    assert replay(heard)[2].status == "walk not remade"


def test_a_walk_over_other_states_or_none_is_not_called_the_same(heard) -> None:
    other = concatenate([*(STATES[year] for year in (2016, 2017)), replace(STATES[2018], returns=STATES[2018].marks)])
    statuses_of = [[finding.status for finding in replay(heard, states, COSTS)] for states in (lambda _: other, None)]
    assert statuses_of == [["same", "same", "walk not remade", "same"]] * 2
    shutil.rmtree(heard.artifacts.root)
    assert statuses(heard) == statuses_of[0]


def test_a_verdict_of_another_try_is_found(heard) -> None:
    evidence = heard.log.history()[2].evidence
    other = heard.ledger.history()[0]
    changed = {**evidence, "badge": {**evidence["badge"], "try": 1}}
    rewrite(heard, 3, evidence=changed)
    assert "not the entry" in again(heard)[2].why
    rewrite(heard, 3, evidence={**changed, "inputs": {**evidence["inputs"], "entry": other.sha256}})
    assert again(heard)[2].status == "differs"


def test_a_verdict_without_inputs_is_not_called_the_same(court) -> None:
    court.log.append(make_ruling(), after=0)
    assert statuses(court) == ["inputs absent"]


def test_inputs_lie_under_their_own_hash(court) -> None:
    value = {"b": [1.5, 2], "a": None}
    digest = court.inputs.keep(value)
    assert digest == sha256(canonical_json(value)) == court.inputs.keep({"a": None, "b": [1.5, 2]})
    assert court.inputs.read(digest) == value
    assert [path.name for path in Path(court.inputs.root).iterdir()] == [f"{digest}.json.gz"]
    with pytest.raises(MissingPartitionError, match="not kept"):
        court.inputs.read("0" * 64)
    with pytest.raises(UnsafeNameError):
        court.inputs.read("../evidence/000001")
    for damage in (b"", b"no gzip", gzip.compress(b"{}"), (court.inputs.root / f"{digest}.json.gz").read_bytes()[:20]):
        (court.inputs.root / f"{digest}.json.gz").write_bytes(damage)
        with pytest.raises(CorruptArtifactError, match="cannot be trusted"):
            court.inputs.read(digest)
