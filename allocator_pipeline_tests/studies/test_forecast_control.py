"""Positive and null control, small: a signal that is there is found, and none where there is none."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from allocator_pipeline.config import FORECASTERS
from allocator_pipeline.schemas import PRICES, UNIVERSE, validate
from allocator_pipeline.studies import control_trials, forecast_control
from allocator_pipeline.studies.control_market import (
    SHAPES,
    ControlMarket,
    control_market,
    log_volumes,
    plant,
    price_table,
    universe_table,
)
from allocator_pipeline.studies.control_trials import ControlTrial, walk
from allocator_pipeline.studies.forecast_control import (
    DRAWS,
    NULL_DRAWS,
    TUNING_DRAWS,
    YEARS,
    main,
    null_of,
    plan,
    run_plan,
    summary,
    verdicts,
)

SHORT = range(2004, 2007)


def planted(shape: str, strength: float) -> ControlMarket:
    random = np.random.default_rng(4)
    noise = 0.015 * random.standard_normal((252 * 10, 15))
    volume = log_volumes(noise.shape, random) if SHAPES[shape].by_volume else None
    returns, signal = plant(noise, strength, SHAPES[shape], volume)
    prices = price_table(returns, "1997-01-02", None if volume is None else np.exp(volume))
    columns = [f"S{i:02d}" for i in range(15)]
    return ControlMarket(prices, pd.DataFrame(signal, prices["date"].unique(), columns), SHAPES[shape].by_volume)


FAST = [
    ("ridge", "reversal"),
    ("ridge", "momentum"),
    ("ridge", "volume"),
    ("lstm", "momentum"),
    ("patchtst", "reversal"),
]
SLOW = [pair for pair in itertools.product(FORECASTERS, SHAPES) if pair not in FAST]


@pytest.mark.parametrize(
    ("forecaster", "shape"), [*FAST, *(pytest.param(*pair, marks=pytest.mark.slow) for pair in SLOW)]
)
def test_a_planted_signal_is_found(forecaster, shape):
    weekly = walk(forecaster, SHORT, planted(shape, 0.10))
    weeks = np.isfinite(weekly["ic"]).sum()
    assert weeks > 150
    assert weekly["oracle"].mean() > 0.12
    assert weekly["ic"].mean() > 0.7 * weekly["oracle"].mean()
    assert weekly["ic"].mean() > 5 * weekly["ic"].std() / np.sqrt(weeks)
    assert weekly["align"].mean() > 0.7


@pytest.mark.parametrize("forecaster", ["ridge", "lstm", pytest.param("patchtst", marks=pytest.mark.slow)])
def test_nothing_is_found_in_noise(forecaster):
    weekly = walk(forecaster, SHORT, planted("volume", 0.0))
    assert abs(weekly["ic"].mean()) < 3 * weekly["ic"].std() / np.sqrt(len(weekly["ic"]))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_signal_reads_the_days_it_says_and_is_all_that_is_added(shape):
    random = np.random.default_rng(0)
    noise = 0.01 * random.standard_normal((400, 15))
    volume = log_volumes(noise.shape, random) if SHAPES[shape].by_volume else None
    returns, signal = plant(noise, 0.05, SHAPES[shape], volume)
    days = SHAPES[shape].days
    assert not signal[:days].any()
    np.testing.assert_allclose(signal[days:].mean(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(signal[days:].std(axis=1), 1)
    np.testing.assert_allclose(returns[1:] - noise[1:], 0.05 * noise.std(axis=0) * signal[:-1], atol=1e-15)
    np.testing.assert_array_equal(plant(noise, 0.0, SHAPES[shape], volume)[0], noise)


def test_a_draw_is_a_shuffle_of_real_days():
    one, two = control_market(100, "reversal", 0.0), control_market(100, "momentum", 0.0)
    pd.testing.assert_frame_equal(one.prices, two.prices)
    assert not one.prices.equals(control_market(101, "reversal", 0.0).prices)
    assert one.prices["volume"].isna().all()
    assert control_market(100, "volume", 0.0).prices["volume"].gt(0).all()
    validate(one.prices, PRICES, "control")
    validate(universe_table(2004, sorted(set(one.prices["symbol"]))), UNIVERSE, "control")


def test_draws_that_recipes_were_chosen_on_are_not_reported():
    assert not {*TUNING_DRAWS} & {*DRAWS, *NULL_DRAWS}
    assert not {*DRAWS} & {*NULL_DRAWS}
    assert len(DRAWS) >= 8
    assert len(NULL_DRAWS) >= 20
    assert YEARS[1] - YEARS[0] + 1 == 25
    trials = plan(DRAWS, NULL_DRAWS, YEARS)
    assert len(set(trials)) == len(trials) == 3 * (3 * 8 + 2 * 20)


def outcome(trial: ControlTrial) -> dict:
    ic = 0.09 if trial.strength else 0.001 * (trial.draw % 3 - 1)
    recovered = 0.9 if trial.strength else None
    return {"ic": ic, "oracle": 0.1, "align": 0.8, "recovered": recovered, "cpu_seconds": 1.0, "wall_seconds": 1.0}


def test_finished_walks_are_kept_and_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    walked: list[ControlTrial] = []

    def run(trial: ControlTrial) -> dict:
        if len(walked) == 5:
            raise KeyboardInterrupt
        walked.append(trial)
        return outcome(trial)

    monkeypatch.setattr(forecast_control, "run_control_trial", run)
    trials, store = plan([1, 2], [3, 4, 5], (1996, 1997)), tmp_path / "runs.jsonl"
    with pytest.raises(KeyboardInterrupt):
        run_plan(trials, store, 1, lambda line: None)
    monkeypatch.setattr(forecast_control, "run_control_trial", outcome)
    lines: list[str] = []
    runs = run_plan(trials, store, 1, lines.append)
    assert lines[0].startswith(f"5 of {len(trials)} walks are")
    assert len(lines) == 1 + len(trials) - 5
    assert "min left" in lines[-1]
    records = summary(runs)
    assert [(row["forecaster"], row["shape"]) for row in records] == [(f, s) for f in FORECASTERS for s in SHAPES]
    for row in records:
        assert row["recovered_mean"] == pytest.approx(0.9)
        assert row["standard_error"] == pytest.approx(0)
        assert row["null_ic"] == pytest.approx(0)
        assert (row["draws"], row["null_draws"], row["folds"]) == (2, 3, 2)
    assert all("met" in line for line in verdicts(records))
    worse = [row | {"recovered_mean": 0.5} if row["forecaster"] == "lstm" else row for row in records]
    assert sum("MISSED" in line for line in verdicts(worse)) == 4


def test_keys_name_what_shapes_a_result(monkeypatch: pytest.MonkeyPatch):
    trial = ControlTrial("lstm", "reversal", 0.045, 5000, (1996, 2020))
    key = trial.key()
    assert key == ControlTrial("lstm", "reversal", 0.045, 5000, (1996, 2020)).key()
    assert key != ControlTrial("lstm", "reversal", 0.045, 5001, (1996, 2020)).key()
    monkeypatch.setattr(control_trials, "FORECAST_CHAIN_YEARS", 7)
    assert key != trial.key()
    monkeypatch.undo()
    monkeypatch.setattr(control_trials, "code_digest", lambda *given: "other code")
    assert key != trial.key()


def test_the_command_writes_its_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.setattr(forecast_control, "run_control_trial", outcome)
    main(["--quick", "--results", str(tmp_path)])
    records = json.loads((tmp_path / "forecast_control-quick.json").read_text())
    assert len(records) == len(FORECASTERS) * len(SHAPES)
    assert {"forecaster", "shape", "recovered_mean", "standard_error", "null_ic"} <= set(records[0])
    assert "| lstm | momentum | 0.90 (0.00) |" in capsys.readouterr().out


def test_each_kind_of_market_has_one_null():
    assert {shape: null_of(shape) for shape in SHAPES} == {
        "reversal": "reversal",
        "momentum": "reversal",
        "volume": "volume",
    }


@pytest.mark.slow
def test_the_control_recovers_most_of_the_oracle_on_shuffled_real_days():
    for forecaster in FORECASTERS:
        trial = ControlTrial(forecaster, "reversal", 0.045, TUNING_DRAWS[0], YEARS)
        assert control_trials.run_control_trial(trial)["recovered"] > 0.75
