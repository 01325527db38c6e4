"""The gate study: its plan, that it goes on where it stopped, its records and verdicts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from allocator_pipeline.studies import gate
from allocator_pipeline.studies.gate import (
    GATES,
    Batch,
    main,
    null_table,
    plan,
    power_table,
    run_batch,
    run_batches,
    summary,
    verdicts,
)
from allocator_pipeline.studies.gate_market import Setting

NULL = Batch(Setting(2, "heavy", "ar1"), 0)
GAIN = Batch(Setting(2, "normal", "independent", 0.6), 0)


@pytest.fixture(scope="module", autouse=True)
def small() -> object:
    """Few markets in a batch, few draws."""
    patch = pytest.MonkeyPatch()
    patch.setattr(gate, "BATCH", 8)
    patch.setattr(gate, "DRAWS", 4_000)
    yield
    patch.undo()


@pytest.fixture(scope="module")
def results() -> list[dict[str, Any]]:
    return [run_batch(NULL), run_batch(GAIN)]


def test_every_setting_has_its_batches_and_a_part_of_the_plan_has_all_settings():
    batches = plan(32, 16)
    assert len(set(batches)) == len(batches) == 12 * 4 + 24 * 2
    assert len({batch.setting for batch in batches[:36]}) == 36
    assert {batch.tries for batch in batches if batch.setting.gain} == {12}
    assert {batch.tries for batch in batches if not batch.setting.gain} == {60}


def test_keys_tell_batches_apart():
    batches = plan(32, 16)
    assert len({batch.key() for batch in batches}) == len(batches)
    assert NULL.key() == Batch(Setting(2, "heavy", "ar1"), 0).key()


def test_equal_batches_give_equal_results(results):
    again = run_batch(GAIN)
    assert again["passed"] == results[1]["passed"]
    assert run_batch(Batch(GAIN.setting, 1))["passed"] != results[1]["passed"]


def test_records_say_how_often_each_gate_passed(results):
    records = summary([NULL, GAIN], results)
    assert len(records) == 2 * 2 * len(GATES)
    for row in records:
        result = results[0 if row["true_sharpe_gain"] == 0 else 1]
        passed = result["passed"][row["market"]][row["gate"]]
        assert row["per_try"] == pytest.approx(sum(passed["count"]) / 8 / (60 if result is results[0] else 12))
        assert row["in_12_tries"] == sum(0 < first <= 12 for first in passed["first"]) / 8
        if result is results[0]:
            assert row["in_60_tries"] == sum(first > 0 for first in passed["first"]) / 8 >= row["in_12_tries"]
        else:
            assert row["in_60_tries"] is None
    found = {(row["gate"], row["market"]): row for row in records if row["true_sharpe_gain"] == 0.6}
    for name in GATES:
        assert found[name, "one"]["in_12_tries"] >= found[name, "both"]["in_12_tries"] or name in ("point", "saffron")
    assert found["bootstrap", "one"]["in_12_tries"] >= found["evidence", "one"]["in_12_tries"]


def test_a_study_goes_on_where_it_stopped(tmp_path: Path, results):
    store, said = tmp_path / "runs.jsonl", []
    first = run_batches([GAIN], store, 1, said.append)
    both = run_batches([NULL, GAIN], store, 1, said.append)
    assert both[1] == first[0]
    assert [result["passed"] for result in both] == [result["passed"] for result in results]
    assert any("1 of 2 batches are in" in line for line in said)
    assert len(store.read_text().splitlines()) == 2


def test_the_study_prints_and_stores_what_it_found(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.setattr(gate, "YEARS", (2,))
    monkeypatch.setattr(gate, "TAILS", ("normal",))
    monkeypatch.setattr(gate, "LIKENESS", ("independent",))
    patched = [batch for batch in plan(8, 8) if batch.setting.gain in (0.0, 0.6)]
    monkeypatch.setattr(gate, "plan", lambda *runs: patched)
    monkeypatch.setattr(gate, "verdicts", lambda records: ["said"])
    main(["--quick", "--jobs", "1", "--results", str(tmp_path)])
    records = json.loads((tmp_path / "gate-quick.json").read_text())
    assert set(records[0]) == {
        "gate",
        "market",
        "tails",
        "correlation",
        "years",
        "true_sharpe_gain",
        "runs",
        "per_try",
        "in_12_tries",
        "in_60_tries",
        "se",
    }
    printed = capsys.readouterr().out
    assert null_table(records, "one") in printed
    assert power_table(records, "both") in printed
    assert "- said" in printed


def made_up(**rates: float) -> list[dict[str, Any]]:
    shared = {"market": "one", "tails": "heavy", "correlation": "ar1", "years": 10, "runs": 1000, "se": 0.007}
    rows = [{**shared, "gate": "evidence", "true_sharpe_gain": 0.0, "in_60_tries": rates["false"]}]
    for gain in (0.3, 0.6):
        for name in ("evidence", "bootstrap"):
            rows.append({**shared, "gate": name, "true_sharpe_gain": gain, "in_12_tries": rates[name]})
    return rows


def test_verdicts_follow_the_rates():
    good = verdicts(made_up(false=0.06, evidence=0.7, bootstrap=0.8))
    assert [": met" in line for line in good] == [True, True, True]
    bad = verdicts(made_up(false=0.07, evidence=0.6, bootstrap=0.8))
    assert ["MISSED" in line for line in bad] == [True, True, True]
    assert "10, heavy, ar1, one" in bad[0]
