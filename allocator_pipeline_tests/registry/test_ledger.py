"""The ledger of tries: counted once, never edited, proven against every baseline or not at all."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from allocator_pipeline.atomic import canonical_json
from allocator_pipeline.errors import ConflictError, CorruptArtifactError, NotEnoughDataError, UnsafeNameError
from allocator_pipeline.evaluation.evidence import Thresholds
from allocator_pipeline.registry.chain import GENESIS
from allocator_pipeline.registry.ledger import TRIES, EvidenceLedger, Try, compare, judged

WEEKS = [str(day.date()) for day in pd.date_range("2018-01-01", periods=160, freq="7D")]
MARKET = np.random.default_rng(0).normal(0.002, 0.02, 160)
HRP = 0.9 * MARKET + np.random.default_rng(1).normal(0.0002, 0.004, 160)


def attempt(seed: int = 2, gain: float = 0.0, first: int = 0, last: int = 130, **changes: Any) -> Try:
    own = np.random.default_rng(seed).normal(gain, 0.005, 160)
    values: dict[str, Any] = {
        "allocator": "ppo_lstm",
        "candidate": f"v2020-01-06-{seed}",
        "recipe_sha256": "1" * 64,
        "data_sha256": "2" * 64,
        "date": "2020-07-06",
        "weeks": WEEKS[first:last],
        "net": (MARKET + own)[first:last],
        "baselines": {"hrp": HRP[first:last], "equal_weight": MARKET[first:last]},
    }
    return Try(**(values | changes))


@pytest.fixture
def ledger(tmp_path: Path) -> EvidenceLedger:
    return EvidenceLedger(tmp_path, draws=4_000)


def failure(number: int = 0) -> Try:
    return Try("sac_lstm", f"v{number}", "1" * 64, "2" * 64, "2020-07-06", failure="The training diverged.")


def test_tries_are_numbered_chained_and_counted_once(ledger: EvidenceLedger) -> None:
    first, second = ledger.record(attempt()), ledger.record(attempt(3, last=134))
    again = ledger.record(attempt(date="2021-01-04"))
    assert again == first
    assert ledger.history() == [first, second]
    assert [entry.number for entry in ledger.history()] == [1, 2]
    assert (first.previous_sha256, second.previous_sha256) == (GENESIS, first.sha256)
    assert (second.sequence, second.position) == (1, 2)
    assert (second.weeks[0], second.weeks[-1], second.date) == (WEEKS[0], WEEKS[133], "2020-07-06")


def test_noise_is_not_proven_and_a_large_gain_is(ledger: EvidenceLedger) -> None:
    assert ledger.record(attempt()).verdict == "not_proven"
    good = ledger.record(attempt(4, gain=0.006))
    assert good.verdict == "proven"
    assert all(each["z"] > each["threshold"] for each in good.against.values())
    assert ledger.proof("ppo_lstm", good.candidate) == good
    assert ledger.proof("sac_lstm", good.candidate) is None
    assert ledger.proof("ppo_lstm", attempt().candidate) is None


def test_one_baseline_beaten_is_not_enough(ledger: EvidenceLedger) -> None:
    good = attempt(4, gain=0.006)
    strong = {**good.baselines, "hrp": np.asarray(good.net) + 0.001}
    entry = ledger.record(dataclasses.replace(good, baselines=strong))
    assert entry.against["equal_weight"]["z"] > entry.against["equal_weight"]["threshold"]
    assert entry.verdict == "not_proven"


def test_a_tie_has_no_evidence_is_counted_and_leaves_the_error_to_others(ledger: EvidenceLedger) -> None:
    tie = ledger.record(attempt(net=MARKET[:130]))
    assert tie.verdict == "tie"
    assert (tie.against["equal_weight"]["t"], tie.against["equal_weight"]["spent"]) == (0.0, 0.0)
    after = ledger.record(attempt(3))
    assert (after.number, after.position) == (2, 1)
    assert after.against["equal_weight"]["correlations"] == [1.0]


def test_a_tie_with_one_baseline_takes_nothing_from_the_other(tmp_path: Path, ledger: EvidenceLedger) -> None:
    """It cannot be proven, so that it costs neither error nor a place, on any processor."""
    other = EvidenceLedger(tmp_path / "elsewhere", draws=4_000)
    rounding = 1e-16 * np.random.default_rng(5).normal(size=130)
    for seed in range(9):
        tie = ledger.record(attempt(net=MARKET[:130] + seed * rounding, candidate=f"v{seed}"))
        assert (tie.verdict, tie.position, tie.against["hrp"]["threshold"]) == ("tie", 0, None)
        assert tie.against["hrp"]["z"] != 0.0
    mine, alone = ledger.record(attempt(3)), other.record(attempt(3))
    assert (mine.number, mine.position) == (10, alone.position)
    assert mine.against == alone.against


def test_a_failure_is_a_try(ledger: EvidenceLedger) -> None:
    entry = ledger.record(failure())
    assert (entry.number, entry.verdict, entry.failure) == (1, "failed", "The training diverged.")
    assert entry.against["hrp"]["spent"] == 0.0
    assert ledger.record(failure()) == entry
    assert ledger.record(attempt()).position == 1


def test_failures_and_ties_do_not_win_a_new_sequence(ledger: EvidenceLedger) -> None:
    """Whoever has spent the error of half a sequence cannot fail his way to the low threshold of a new one."""
    scored_tries = [ledger.record(attempt(seed, first=seed, last=100 + seed)) for seed in range(5)]
    for number in range(TRIES):
        last = ledger.record(failure(number))
    ledger.record(attempt(net=MARKET[:130]))
    after = ledger.record(attempt(9))
    assert (last.sequence, last.position) == (1, 5)
    assert (after.number, after.sequence, after.position) == (TRIES + 7, 1, 6)
    assert after.against["hrp"]["spent"] >= scored_tries[-1].against["hrp"]["spent"]


def test_a_new_sequence_begins_after_sixty_scored_tries(ledger: EvidenceLedger) -> None:
    first = ledger.record(attempt(0, last=60))
    for seed in range(1, TRIES):
        last = ledger.record(attempt(seed, last=60))
    assert (last.sequence, last.position) == (1, TRIES)
    failed = ledger.record(failure())
    assert (failed.sequence, failed.position) == (1, TRIES)  # it needs no place, so that it opens nothing
    anew = ledger.record(attempt(99))
    assert (anew.number, anew.sequence, anew.position) == (TRIES + 2, 2, 1)
    assert anew.against["hrp"]["threshold"] == first.against["hrp"]["threshold"]


def test_a_sequence_that_another_version_has_counted_is_refused(ledger: EvidenceLedger) -> None:
    entry = ledger.record(attempt())
    against = {name: {**each, "correlations": [0.0, 1.0]} for name, each in entry.against.items()}
    other = dataclasses.replace(entry, against=against)
    with pytest.raises(CorruptArtifactError, match="another version"):
        judged(attempt(3), compare(attempt(3)), [other], "evidence", draws=4_000)


def test_a_stored_entry_can_be_judged_again_to_the_same_bits(ledger: EvidenceLedger) -> None:
    tries = [attempt(seed, first=seed, last=100 + seed) for seed in range(4)]
    for each in tries:
        ledger.record(each)
    history = ledger.history()
    for at, each in enumerate(tries):
        assert judged(each, compare(each), history[:at], "evidence", draws=4_000) == history[at]
    rule = Thresholds(draws=4_000, seed=history[0].seed)
    rows = [np.array([entry.against["hrp"]["correlations"]]) for entry in history]
    assert [rule.next(row)[0] for row in rows] == [entry.against["hrp"]["threshold"] for entry in history]


def test_equal_tries_give_equal_bytes(tmp_path: Path, ledger: EvidenceLedger) -> None:
    other = EvidenceLedger(tmp_path / "elsewhere", draws=4_000)
    for each in (attempt(), failure(), attempt(3)):
        assert ledger.record(each).to_bytes() == other.record(each).to_bytes()


def test_tampering_is_found(ledger: EvidenceLedger) -> None:
    for seed in range(3):
        ledger.record(attempt(seed))
    history = ledger.history()
    paths = [ledger.folder / f"{number:06d}.json" for number in (1, 2, 3)]
    whole = [path.read_bytes() for path in paths]
    edited = json.loads(whole[1]) | {"verdict": "proven"}
    damages = {
        "edited": (1, canonical_json(edited)),
        "edited and sealed anew": (1, dataclasses.replace(history[1], verdict="proven").to_bytes()),
        "the last sealed anew": (2, dataclasses.replace(history[2], verdict="proven").to_bytes()),
        "the last removed": (2, None),
        "another ledger's": (0, dataclasses.replace(history[0], ledger="other").to_bytes()),
    }
    for at, payload in damages.values():
        if payload is None:
            paths[at].unlink()
        else:
            paths[at].write_bytes(payload)
        with pytest.raises(CorruptArtifactError, match="not what was written"):
            ledger.history()
        with pytest.raises(CorruptArtifactError):
            ledger.record(attempt(9))
        paths[at].write_bytes(whole[at])
    assert ledger.history() == history


def test_what_cannot_be_judged_is_refused_and_not_recorded(ledger: EvidenceLedger) -> None:
    with pytest.raises(ConflictError, match="lacks hrp"):
        ledger.record(attempt(baselines={"equal_weight": MARKET[:130]}))
    with pytest.raises(ConflictError, match="successive weeks"):
        ledger.record(attempt(weeks=WEEKS[129::-1]))
    with pytest.raises(ConflictError, match="successive weeks"):
        ledger.record(attempt(weeks=WEEKS[:129]))
    with pytest.raises(NotEnoughDataError):
        ledger.record(attempt(last=20))
    with pytest.raises(UnsafeNameError):
        EvidenceLedger(ledger.folder, "../out")
    assert ledger.history() == []
