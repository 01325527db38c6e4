from __future__ import annotations

import json
import math
from typing import Any

import pytest

from allocator_pipeline.allocators.recipes import RECIPES
from allocator_pipeline.studies import learnability
from allocator_pipeline.studies.learnability import FULL, QUICK, plan, report, summary, targets
from allocator_pipeline.studies.planted import TUNING_MARKETS


def run(ic: float, market: int, captured: float | None, excess: float, share: float | None = 0.5, **others: Any) -> Any:
    """A finished training of PPO, before shrinkage twice as good or bad as served."""
    return {
        "algorithm": "ppo",
        "recipe": "default",
        "ic": ic,
        "market": market,
        "seed": 0,
        "captured": captured,
        "unshrunk_captured": None if captured is None else 2 * captured,
        "excess": excess,
        "unshrunk_excess": 2 * excess,
        "share": share,
        "t": None if share is None else 3.0,
        "turnover": 0.1,
        "cpu_seconds": 2.0,
    } | others


RUNS = [
    run(0.10, 2000, 0.9, 0.9, 0.8),
    run(0.10, 2000, 0.7, 0.7, 0.6, seed=1),
    run(0.10, 2001, 1.0, 0.5, 1.0, cpu_seconds=9.0),
    run(0.05, 2000, 0.4, 0.2),
    run(0.0, 3000, None, 0.0, 0.0),
    run(0.0, 3001, None, -0.03, 0.6),
    run(0.0, 3001, None, -0.01, 0.2, seed=1),
    run(0.0, 3002, None, 0.0, 0.0),
]


def test_summary_has_a_record_for_each_ic_allocator_and_recipe() -> None:
    other = [row | {"algorithm": "dpg"} for row in RUNS]
    records = summary([*RUNS, *other])
    assert [(row["ic"], row["allocator"]) for row in records] == [
        (0.10, "dpg"), (0.10, "ppo"), (0.05, "dpg"), (0.05, "ppo"),
    ]  # fmt: skip
    strong = records[1]
    assert strong["captured_median"] == pytest.approx(0.9)
    assert strong["captured_worst"] == pytest.approx(0.7)
    assert strong["unshrunk_median"] == pytest.approx(1.8)
    assert strong["unshrunk_worst"] == pytest.approx(1.4)
    assert strong["share"] == pytest.approx(0.8)
    assert strong["cpu_seconds"] == 2.0
    assert (strong["trainings"], strong["markets"], strong["null_markets"]) == (3, 2, 3)
    assert records[3]["captured_median"] == pytest.approx(0.4)


def test_the_null_loss_is_a_mean_over_markets_with_its_standard_error() -> None:
    for record in summary(RUNS):
        assert record["null_loss"] == pytest.approx(0.02 / 3)
        assert record["null_error"] == pytest.approx(0.02 / 3)  # of losses 0, 0.02 and 0
        assert record["unshrunk_null_loss"] == pytest.approx(0.04 / 3)
        assert record["false_positive_rate"] == pytest.approx(2 / 4)
        assert record["false_positive_rate_half"] == pytest.approx(1 / 4)


def test_what_was_not_measured_is_null_in_json() -> None:
    (record,) = summary([run(0.10, 2000, 0.5, 0.2, None)])
    assert record["null_loss"] is record["null_error"] is record["false_positive_rate"] is record["share"] is None
    assert record["null_markets"] == 0
    (single,) = summary([run(0.10, 2000, 0.5, 0.2, None), run(0.0, 3000, None, -0.1, None)])
    assert single["null_loss"] == pytest.approx(0.1)
    assert single["null_error"] is single["false_positive_rate"] is None
    json.dumps([record, single], allow_nan=False)


def test_targets_say_met_missed_or_not_measured() -> None:
    lines = [target.verdict(summary(RUNS)) for target in targets()]
    assert "ppo: median captured at IC 0.10 at least 0.88: met (0.900)" in lines
    assert "ppo: worst captured at IC 0.10 at least 0.70: met (0.700)" in lines
    assert "ppo: median captured at IC 0.05 at least 0.75: MISSED (0.400)" in lines
    assert "ppo: mean loss on null markets at most 0.02: met (0.007)" in lines
    assert "sac: median captured at IC 0.10 at least 0.85: not measured" in lines
    lossy = summary([*RUNS, run(0.0, 3003, None, -0.5)])
    assert any("ppo: mean loss on null markets at most 0.02: MISSED" in t.verdict(lossy) for t in targets())


def test_targets_ask_of_the_default_recipe_only() -> None:
    others = summary([row | {"recipe": "reference"} for row in RUNS])
    assert all(target.verdict(others).endswith("not measured") for target in targets())


def test_the_report_is_tables_and_says_what_was_not_trained_now() -> None:
    text = report(summary(RUNS), 8, 5)
    tables = [part for part in text.split("\n\n") if part.startswith("|")]
    assert len(tables) == 2
    for table in tables:
        assert len({line.count("|") for line in table.splitlines()}) == 1
    assert "| 0.10 | ppo | default | 0.90 | 0.70 | 1.80 | 1.40 | 0.80 | 3.0 | 0.100 | 2.0 | 3 (2) |" in tables[0]
    assert "| ppo | default | 0.007 +- 0.007 | 0.013 +- 0.013 | 0.50 | 0.25 | 3 |" in tables[1]
    assert "8 trainings, 5 of them from earlier runs" in text


def test_the_full_plan_is_large_enough_and_touches_no_market_that_recipes_were_tuned_on() -> None:
    trials = plan(FULL)
    assert len(set(trials)) == len(trials)
    assert not {trial.market for trial in trials} & set(TUNING_MARKETS)
    planted = {trial.market for trial in trials if trial.ic}
    assert not planted & {trial.market for trial in trials if not trial.ic}
    for algorithm in ("ppo", "sac", "dpg"):
        own = [trial for trial in trials if (trial.algorithm, trial.recipe) == (algorithm, "default")]
        for ic in (0.10, 0.05):
            assert len({(trial.market, trial.seed) for trial in own if trial.ic == ic}) >= 6 * 3
        assert len({trial.market for trial in own if trial.ic == 0}) >= 24
    assert {(trial.algorithm, trial.recipe) for trial in trials} == set(RECIPES)
    assert {trial.market for trial in plan(QUICK, TUNING_MARKETS, TUNING_MARKETS)} <= set(
        TUNING_MARKETS
    )  # a look opens no market of the study


@pytest.mark.slow
def test_a_study_writes_its_records_and_continues_its_own_runs(tmp_path: Any, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setattr(learnability, "QUICK", {"default": learnability.Size(1, 1, 1)})
    arguments = ["--quick", "--jobs", "2", "--results", str(tmp_path)]
    learnability.main(arguments)
    records = json.loads((tmp_path / "learnability-quick.json").read_bytes())
    assert {(row["ic"], row["allocator"]) for row in records} == {
        (ic, allocator) for ic in (0.10, 0.05) for allocator in ("ppo", "sac", "dpg")
    }
    for row in records:
        assert math.isfinite(row["captured_median"])
        assert math.isfinite(row["null_loss"])
        assert row["captured_worst"] > 0.5 or row["ic"] == 0.05, row["allocator"]
    assert "9 trainings, 0 of them from earlier runs" in capsys.readouterr().out
    learnability.main(arguments)
    assert "9 trainings, 9 of them from earlier runs" in capsys.readouterr().out
    assert json.loads((tmp_path / "learnability-quick.json").read_bytes()) == records
