"""The forecasters' rows count their targets rightly, and both sides of them are the same network."""

from __future__ import annotations

import importlib.util
import time
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from allocator_pipeline.forecasters.inputs import CONTEXT
from benchmarks import forecast_memory, forecasting, window_loop
from benchmarks.forecasting import (
    backfill,
    fit,
    fit_by_windows,
    material,
    network_forecaster,
    sample_years,
    targets_a_step,
    targets_read,
    window_scores,
)
from benchmarks.memory import extra_mebibytes
from benchmarks.outsiders import absent, cpu_seconds_a_step, neuralforecast_trainer, transformers_trainer
from benchmarks.row import lines, measure
from benchmarks.table import table

DAYS, STOCKS, WARM_UP, UNKNOWN = 300, 6, 130, 6
"""A target of the last six days has no exit yet."""

NAMES = ("lstm", "patchtst")


@pytest.fixture(scope="module")
def data():
    return material(STOCKS, DAYS, WARM_UP)


@contextmanager
def outputs_of(kind):
    """Collect the shapes of what modules of a class return."""
    shapes: list[tuple[int, ...]] = []

    def note(module, _, output):
        if type(module).__name__ == kind:
            first = output[0] if isinstance(output, (tuple, list)) else output
            shapes.append(tuple(getattr(first, "shape", ())))

    handle = torch.nn.modules.module.register_module_forward_hook(note)
    try:
        yield shapes
    finally:
        handle.remove()


@pytest.mark.parametrize("name", NAMES)
def test_a_dense_training_reads_each_known_target_once_an_epoch(name, data):
    fitted = fit(network_forecaster(name, epochs=2), data)
    assert targets_read(fitted, data) == 2 * (DAYS - WARM_UP - UNKNOWN) * STOCKS


@pytest.mark.parametrize("name", NAMES)
def test_targets_in_a_step_are_the_outputs_that_are_read(name, data):
    fresh = network_forecaster(name, epochs=1)
    with outputs_of(type(fresh.build()).__name__) as shapes:
        fit(fresh, data)
    rows, outputs = max(shapes)
    assert targets_a_step(fresh, data) == rows * outputs


@pytest.mark.parametrize("name", NAMES)
def test_the_loop_learns_one_target_from_each_window(name, data):
    fresh = network_forecaster(name)
    with outputs_of(type(fresh.build()).__name__) as shapes:
        fit_by_windows(fresh, data, batch=10, steps=3)
    assert [rows for rows, _ in shapes] == [10, 10, 10]
    assert {outputs for _, outputs in shapes} == {1}


@pytest.mark.parametrize("name", NAMES)
def test_both_sides_compute_the_same_network(name, data):
    """What the loop trains scores a chunk's days as it scores the windows that end on them."""
    fresh = network_forecaster(name)
    network = fit_by_windows(fresh, data, batch=32, steps=5)
    chunk = torch.from_numpy(data.values[-fresh.config.chunk :]).permute(1, 2, 0)
    with torch.inference_mode():
        dense = network(chunk)
        for days in (CONTEXT, CONTEXT + 20, fresh.config.chunk):
            alone = window_scores(network, chunk[..., :days], fresh.config.stride)
            torch.testing.assert_close(alone, dense[:, days // fresh.config.stride - 1], rtol=1e-4, atol=1e-6)
    assert dense.std() > 1e-3, "a head of zeros would make any two networks equal"


@pytest.mark.parametrize("name", NAMES)
def test_the_loop_scores_a_window_as_the_forecaster_does(name, data):
    fitted = fit(network_forecaster(name, epochs=1), data)
    windows = data.values[-CONTEXT:].transpose(1, 0, 2)
    with torch.inference_mode():
        series = torch.from_numpy(windows).transpose(1, 2)
        scored = window_scores(fitted._fitted(), series, fitted.config.stride).numpy()
    np.testing.assert_allclose(scored, fitted.predict(windows), rtol=1e-4, atol=1e-6)
    assert scored.std() > 1e-3


def test_the_loop_learns(data):
    """A loop that did not train would be no reference: it fits a target that its windows hold."""
    easy = type(data)(data.values, np.where(np.isfinite(data.targets), data.values[..., 0], np.nan))
    windows = torch.from_numpy(easy.values).unfold(0, CONTEXT, 1)[WARM_UP - CONTEXT + 1 :].flatten(0, 1)
    network = fit_by_windows(network_forecaster("lstm"), easy, batch=64, steps=150)
    with torch.inference_mode():
        scored = window_scores(network, windows, 1)
    assert np.corrcoef(scored.numpy(), windows[:, 0, -1].numpy())[0, 1] > 0.9


def test_a_row_against_the_loop_says_both_ratios(data, monkeypatch):
    """At as many targets a step as ours, and at the batch that is best for the loop."""
    asked = []

    def slow_at_any_other(fresh, data, batch, steps):
        asked.append(batch)
        until = time.process_time() + steps * batch * (1e-5 if batch == 8 else 1e-3)
        while time.process_time() < until:
            pass

    monkeypatch.setattr(window_loop, "fit_by_windows", slow_at_any_other)
    row = window_loop.loop_row("lstm", data, batches=(8, 32), windows=64, repeats=1)
    result = measure("lstm_vs_loop", row)
    same = targets_a_step(network_forecaster("lstm"), data)
    assert set(asked) == {8, 32, same}
    assert f"in batches of {same} as ours" in result["recipe"]
    assert result["facts"]["the loop's best batch"] == 8
    assert 0 < result["facts"]["ratio at the loop's best batch"] < 0.1 * result["ratio"]
    assert "at the loop's best batch" in table([result])
    assert any("ratio at the loop's best batch" in line for line in lines(result))


def test_the_start_of_a_training_is_not_counted():
    def train(steps):
        until = time.process_time() + 0.05 + 0.004 * steps
        while time.process_time() < until:
            pass

    assert cpu_seconds_a_step(train, 5, 25) == pytest.approx(0.004, rel=0.2)


def test_memory_over_what_was_held_is_seen():
    kept = np.ones(2**20)  # 8 MiB that are there before
    seen = extra_mebibytes(lambda: np.ones(8 * 2**20).sum())  # 64 MiB, let go again
    if seen is None:
        pytest.skip("the kernel does not tell")
    assert 60 < seen < 80
    assert kept.any()


def test_the_table_that_memory_is_measured_on_holds_the_years_of_a_chain(tmp_path):
    forecast_memory.write(str(tmp_path / "prices"), "15")
    stored = forecast_memory.Stored(tmp_path / "prices")
    table = stored[next(iter(stored))]
    assert sorted(table["date"].dt.year.unique()) == list(range(forecast_memory.FIRST, forecast_memory.LAST + 1))
    assert table["symbol"].nunique() == 15
    assert table[["open", "high", "low", "volume"]].notna().all(axis=None)


def test_a_back_fill_forecasts_every_week_of_every_stock():
    (year,) = sample_years(1)
    assert (year.year, year.prices["date"].min().year) == (2022, 2016)
    assert backfill("ridge", [year]) == 52 * 15


@pytest.mark.parametrize(
    ("name", "chains"),
    [("lstm", [[2018, 2019], [2020, 2021, 2022]]), ("ridge", [[year] for year in range(2018, 2023)])],
)
def test_a_back_fill_follows_the_chains_of_warm_starts(name, chains, monkeypatch):
    fitted = []

    def chain(asked, years, prices):
        assert (asked, sorted(prices)) == (name, years)
        fitted.append(years)
        return [None] * len(years)

    monkeypatch.setattr(forecasting, "fit_chain", chain)
    monkeypatch.setattr(forecasting, "forecast_year", lambda model, year, prices, universe: [year])
    assert forecasting.backfill(name, [forecasting.Year(year, None, None) for year in range(2018, 2023)]) == 5
    assert fitted == chains


@pytest.mark.skipif(importlib.util.find_spec("neuralforecast") is None, reason="neuralforecast is not installed")
@pytest.mark.parametrize(("name", "kind"), [("lstm", "LSTM"), ("patchtst", "PatchTST")])
def test_neuralforecast_takes_so_many_windows_in_a_step(name, kind, data):
    with outputs_of(kind) as shapes:
        neuralforecast_trainer(name, data, windows=24)(3)
    assert {shape[0] for shape in shapes} == {24}


@pytest.mark.skipif(importlib.util.find_spec("transformers") is None, reason="transformers is not installed")
def test_transformers_takes_the_windows_of_all_stocks_on_some_days(data):
    with outputs_of("PatchTSTPredictionHead") as shapes:
        transformers_trainer(data, windows=24)(3)
    assert shapes == [(24 // STOCKS, 1, STOCKS)] * 3
    with pytest.raises(ValueError, match="no whole number of days"):
        transformers_trainer(data, windows=25)


def test_a_library_that_is_not_there_is_named():
    skipped = absent("no_such_library")
    assert skipped is not None
    assert "no_such_library is not installed" in skipped.reason
