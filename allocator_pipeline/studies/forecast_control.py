"""The planted control of the forecasters: they must find a signal that is there, and nothing where nothing is.

``make forecast-control`` prints the table of docs/forecasters.md and writes ``data/results/forecast_control.json``.
Finished walks are kept in ``forecast_control-runs.jsonl`` beside it, so that a study that was interrupted goes on where
it stopped.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from allocator_pipeline.atomic import write_bytes
from allocator_pipeline.config import FORECASTERS, Settings
from allocator_pipeline.studies.arguments import at_least
from allocator_pipeline.studies.control_market import SHAPES
from allocator_pipeline.studies.control_trials import ControlTrial, run_control_trial
from allocator_pipeline.studies.tables import markdown, number
from allocator_pipeline.studies.trials import append_run, finished, finite, read_runs

STRENGTH = 0.045
"""Daily drift, in daily standard deviations, per unit of signal: an oracle's weekly rank IC of about .10."""

YEARS = (1996, 2020)

TUNING_DRAWS = range(100, 120)
"""Shuffles that recipes were chosen on."""

DRAWS, NULL_DRAWS = range(5_000, 5_008), range(6_000, 6_020)
"""Shuffles with and without a signal that the study reports; nothing was chosen on them."""

QUICK_YEARS, QUICK_DRAWS = (1996, 2000), 2

Record = dict[str, Any]

RECOVERED_AT_LEAST = {"ridge": 0.80, "lstm": 0.85, "patchtst": 0.80}
"""On the reversal."""

BEHIND_RIDGE_AT_MOST, NULL_IC_AT_MOST = 0.10, 0.004


def null_of(shape: str) -> str:
    """Return the shape under whose name the market without a signal is walked: one for each kind of market."""
    return "volume" if SHAPES[shape].by_volume else "reversal"


def plan(draws: Sequence[int], null_draws: Sequence[int], years: tuple[int, int]) -> list[ControlTrial]:
    """Return all walks of a study: those with a signal first, and of each kind cheap forecasters first."""
    nulls = sorted({null_of(shape) for shape in SHAPES})
    kinds = [(shape, STRENGTH, draws) for shape in SHAPES], [(shape, 0.0, null_draws) for shape in nulls]
    return [
        ControlTrial(forecaster, shape, strength, draw, years)
        for kind in kinds
        for forecaster in ("ridge", "lstm", "patchtst")
        for shape, strength, numbers in kind
        for draw in numbers
    ]


def run_plan(
    trials: Sequence[ControlTrial], store: Path, jobs: int, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Return what came of each trial, walked now or found in a file; each is appended to it as it ends."""
    stored = read_runs(store)
    keys = {trial: trial.key() for trial in trials}
    runs = {trial: stored[key] for trial, key in keys.items() if key in stored}
    pending = [trial for trial in trials if trial not in runs]
    say(f"{len(runs)} of {len(trials)} walks are in {store} already; {len(pending)} to do in {jobs} processes.")
    spent: dict[str, list[float]] = {}
    for trial, outcome in finished(pending, run_control_trial, jobs):
        runs[trial] = {"key": keys[trial], **dataclasses.asdict(trial), **outcome}
        append_run(store, runs[trial])
        spent.setdefault(trial.forecaster, []).append(outcome["wall_seconds"])
        left = _seconds_left([other.forecaster for other in pending if other not in runs], spent) / jobs / 60
        learnt = f"IC {outcome['ic']:+.4f}, oracle {outcome['oracle']:+.4f}, {outcome['cpu_seconds']:.1f} CPU s"
        say(f"[{len(runs)}/{len(trials)}] {trial}: {learnt}; about {left:.0f} min left")
    return [runs[trial] for trial in trials]


def _seconds_left(pending: Sequence[str], spent: Mapping[str, Sequence[float]]) -> float:
    means = {name: statistics.fmean(seconds) for name, seconds in spent.items()}
    slowest = max(means.values())  # what has not been met yet is likely to be slow: cheap ones come first
    return sum(means.get(name, slowest) for name in pending)


def summary(runs: Sequence[Mapping[str, Any]]) -> list[Record]:
    """Return one record for each forecaster and shape.

    Parameters
    ----------
    runs : sequence of mapping
        As `run_plan` returns.

    Returns
    -------
    list of dict
        ``forecaster``, ``shape``; ``recovered_mean``, the share of the oracle's rank IC, mean over draws, with its
        ``standard_error`` and ``recovered_worst``; ``ic``, ``oracle_ic`` and ``align`` (means); ``null_ic``, the mean
        rank IC where nothing is planted (in the same kind of market), with ``null_standard_error``; ``cpu_seconds`` of
        a walk (median); ``draws``, ``null_draws``, ``folds``. What was not measured is None.
    """
    table = pd.DataFrame(runs)
    records = []
    for forecaster in FORECASTERS:
        own = table[table["forecaster"] == forecaster]
        for shape in SHAPES:
            planted = own[(own["shape"] == shape) & (own["strength"] > 0)]
            null = own[(own["shape"] == null_of(shape)) & (own["strength"] == 0)]
            recovered = planted["recovered"].astype(float)
            first, last = planted["years"].iloc[0]
            record = {
                "forecaster": forecaster,
                "shape": shape,
                "recovered_mean": float(recovered.mean()),
                "standard_error": float(recovered.to_numpy().std(ddof=1) / len(recovered) ** 0.5),
                "recovered_worst": float(recovered.min()),
                "ic": float(planted["ic"].mean()),
                "oracle_ic": float(planted["oracle"].mean()),
                "align": float(planted["align"].mean()),
                "null_ic": float(null["ic"].mean()),
                "null_standard_error": float(null["ic"].to_numpy().std(ddof=1) / max(len(null), 1) ** 0.5),
                "cpu_seconds": float(planted["cpu_seconds"].median()),
                "draws": len(planted),
                "null_draws": len(null),
                "folds": int(last - first + 1),
            }
            records.append(finite(record))
    return records


def verdicts(records: Sequence[Record]) -> list[str]:
    """Return each target and whether it is met, a line each."""
    found = {(row["forecaster"], row["shape"]): row for row in records}
    lines = []
    for forecaster, least in RECOVERED_AT_LEAST.items():
        share = found[forecaster, "reversal"]["recovered_mean"]
        lines.append(_verdict(f"{forecaster} recovers at least {least:.2f} of the reversal", share, share >= least))
    for (forecaster, shape), row in found.items():
        behind = found["ridge", shape]["recovered_mean"] - row["recovered_mean"]
        if forecaster != "ridge":
            aim = f"{forecaster} at most {BEHIND_RIDGE_AT_MOST:.2f} behind ridge on {shape}"
            lines.append(_verdict(aim, behind, behind <= BEHIND_RIDGE_AT_MOST))
    for (forecaster, shape), row in found.items():
        if row["null_ic"] is not None and shape == null_of(shape):
            aim = f"{forecaster}: IC within {NULL_IC_AT_MOST} of zero where no {shape} is planted"
            lines.append(_verdict(aim, row["null_ic"], abs(row["null_ic"]) <= NULL_IC_AT_MOST))
    return lines


def _verdict(aim: str, value: float, met: bool) -> str:
    return f"- {aim}: {'met' if met else 'MISSED'} ({number(value, 4)})"


COLUMNS: Mapping[str, Callable[[Record], str]] = {
    "forecaster": lambda row: row["forecaster"],
    "shape": lambda row: row["shape"],
    "recovered": lambda row: f"{number(row['recovered_mean'])} ({number(row['standard_error'])})",
    "worst draw": lambda row: number(row["recovered_worst"]),
    "IC": lambda row: number(row["ic"], 4),
    "oracle's IC": lambda row: number(row["oracle_ic"], 4),
    "align": lambda row: number(row["align"]),
    "null IC": lambda row: f"{number(row['null_ic'], 4)} ({number(row['null_standard_error'], 4)})",
    "CPU s": lambda row: number(row["cpu_seconds"], 1),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the study, print its table and write its records as JSON."""
    results = Settings.from_env().data_dir / "results"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a look in a few minutes: 5 folds of 2 tuning draws")
    parser.add_argument(
        "--jobs", type=at_least(1), default=os.cpu_count() or 1, help="processes of one thread (one a core)"
    )
    parser.add_argument("--results", type=Path, default=results, help=f"folder of the results ({results})")
    chosen = parser.parse_args(arguments)
    began = time.perf_counter()
    quick = TUNING_DRAWS[:QUICK_DRAWS]
    trials = plan(quick, quick, QUICK_YEARS) if chosen.quick else plan(DRAWS, NULL_DRAWS, YEARS)
    store = chosen.results / "forecast_control-runs.jsonl"
    records = summary(run_plan(trials, store, chosen.jobs, lambda line: print(line, flush=True)))
    out = chosen.results / f"forecast_control{'-quick' if chosen.quick else ''}.json"
    write_bytes(out, json.dumps(records, indent=2, allow_nan=False).encode())
    print(f"\n{markdown(records, COLUMNS)}\n")
    print("\n".join(verdicts(records)))
    size = f"{records[0]['draws']} draws (null: {records[0]['null_draws']}) x {records[0]['folds']} folds"
    print(f"\n{size}; {out} written, {(time.perf_counter() - began) / 60:.1f} min.")


if __name__ == "__main__":
    main()
