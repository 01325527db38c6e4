from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from allocator_pipeline.allocators import recipes
from allocator_pipeline.studies import finetuning
from allocator_pipeline.studies.finetuning import FULL, QUICK, main, paired, plan, report, summary, verdict
from allocator_pipeline.studies.finetuning_trials import FinetuneTrial, first_row, most_finetunes, run_finetune_trial
from allocator_pipeline.studies.planted import TUNING_MARKETS, market, split


def run(number: int, gained: float, ic: float = 0.10, **others: Any) -> dict[str, Any]:
    """A finished trial whose experience is worth ``gained``, and twice as much with all of the tilt."""
    streams = {"champion": 0.5, "without": 0.4, "with": 0.4 + gained}
    twice = {"champion": 0.5, "without": 0.4, "with": 0.4 + 2.0 * gained}
    figures = {f"{stream}_{of}": value for stream, value in streams.items() for of in ("sharpe", "return")}
    figures |= {f"unshrunk_{stream}_{of}": value for stream, value in twice.items() for of in ("sharpe", "return")}
    return {"algorithm": "ppo", "ic": ic, "market": number, "weeks": 156, "labelled": 26.0, **figures, **others}


def test_differences_are_paired_by_market() -> None:
    (record,) = summary([run(1, 0.1), run(2, 0.3)])
    assert record["experience_sharpe"] == pytest.approx(0.2)
    assert record["experience_sharpe_error"] == pytest.approx(0.1)
    assert record["unshrunk_experience_sharpe"] == pytest.approx(0.4)
    assert record["tuning_return"] == pytest.approx(-0.1)
    assert record["tuning_return_error"] == pytest.approx(0.0)
    assert (record["markets"], record["weeks"]) == (2, 312)
    assert paired([0.3]) == (0.3, None, None)
    assert paired([1.0, 2.0, 3.0]) == pytest.approx((2.0, 3.0**-0.5, 2.0 - 2.919986 * 3.0**-0.5))


def test_the_verdict_is_one_of_harmlessness() -> None:
    harmless = summary([run(1, 0.001), run(2, -0.001), run(3, 0.0)])[0]
    assert verdict(harmless) == (
        "ppo, IC 0.10: experience is harmless, it costs at most 0.003 of Sharpe ratio (95 %, 3 markets)"
    )
    assert "not shown to be harmless" in verdict(summary([run(1, 0.1), run(2, -0.2)])[0])  # too little is known
    assert "not shown to be harmless" in verdict(summary([run(1, -0.03), run(2, -0.03)])[0])
    hidden = summary([run(number, -0.015) for number in (1, 2, 3)])[0]  # twice as much with all of the tilt
    assert "not shown to be harmless" in verdict(hidden)
    assert "one market says nothing" in verdict(summary([run(1, -0.1)])[0])
    told = report(summary([run(1, 0.1), run(2, 0.3), run(1, 0.0, ic=0.0)]))
    assert "| 0.10 | ppo | 0.500 | 0.400 | 0.600 | -0.100 +- 0.000 | 0.200 +- 0.100 |" in told
    assert "| none | ppo |" in told


def test_the_full_study_is_on_markets_that_nothing_was_tuned_on() -> None:
    assert not set(FULL.planted) & set(TUNING_MARKETS)
    assert len(plan(FULL)) == 3 * (2 * 24 + 24)
    assert len(plan(QUICK)) == 18
    assert plan(FULL.first(2)) == plan(FULL)[: 2 * 3 * 3]
    assert plan(FULL.first(None)) == plan(FULL)
    assert most_finetunes(split(market(1, 0.1))[1]) == FULL.finetunes
    assert first_row() == 28


@pytest.fixture
def short_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    key = ("dpg", "default")
    changes = {"members": 1, "folds": 2, "n_envs": 4, "total_steps": 4 * 13 * 10}
    monkeypatch.setitem(recipes.RECIPES, key, dataclasses.replace(recipes.RECIPES[key], **changes))


def test_three_streams_over_the_same_weeks(short_recipe: None) -> None:
    found = run_finetune_trial(FinetuneTrial("dpg", 0.10, 1, 2))
    assert found["weeks"] == 52
    assert found["labelled"] == 26
    assert found["unshrunk_with_sharpe"] != found["unshrunk_without_sharpe"] != found["unshrunk_champion_sharpe"]
    again = run_finetune_trial(FinetuneTrial("dpg", 0.10, 1, 2))
    same = [name for name in found if not name.endswith("seconds")]
    assert {name: again[name] for name in same} == {name: found[name] for name in same}


def test_the_command_prints_its_table_and_does_nothing_twice(
    short_recipe: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = dataclasses.replace(QUICK, planted=TUNING_MARKETS[:1], null=TUNING_MARKETS[:1], finetunes=1)
    monkeypatch.setattr(finetuning, "QUICK", small)
    monkeypatch.setattr(finetuning, "plan", lambda size: plan(size, ("dpg",)))
    command = ["--quick", "--jobs", "1", "--results", str(tmp_path)]
    main(command)
    assert "| 0.10 | dpg |" in capsys.readouterr().out
    assert [row["ic"] for row in json.loads((tmp_path / "finetuning-quick.json").read_bytes())] == [0.10, 0.0]
    main(command)
    assert "2 of 2 trials are in" in capsys.readouterr().out
