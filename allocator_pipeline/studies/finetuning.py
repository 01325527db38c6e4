"""What weekly fine-tuning does to a champion, without and with its own labelled experience.

``python -m allocator_pipeline.studies.finetuning`` trains champions on generated markets, with a planted signal and
without one, fine-tunes each every half year in both ways, and compares what the three earn above equal weight on weeks
that none has seen. ``--quick`` is a look in some minutes. Finished trials are lines of a file; an interrupted study
goes on where it stopped.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pandas as pd
from scipy import stats

from allocator_pipeline.atomic import write_bytes
from allocator_pipeline.config import ALGORITHMS, Settings
from allocator_pipeline.studies.arguments import at_least
from allocator_pipeline.studies.finetuning_trials import STREAMS, FinetuneTrial, run_finetune_trial
from allocator_pipeline.studies.planted import TUNING_MARKETS
from allocator_pipeline.studies.tables import markdown, number
from allocator_pipeline.studies.trials import append_run, finished, read_runs

HARMLESS = 0.02
"""A loss of annual Sharpe ratio that is accepted, as on null markets in the learnability study."""

Record = dict[str, Any]


@dataclass(frozen=True)
class Size:
    """How large a study is.

    Parameters
    ----------
    ics : tuple of float
    planted, null : range
        Numbers of the markets with a signal and without.
    finetunes : int
        Of each champion, 26 weeks apart; a market has room for 18.
    """

    ics: tuple[float, ...]
    planted: range
    null: range
    finetunes: int

    def first(self, markets: int | None) -> Size:
        """Return the same with the first so many markets of each kind; with all of them for None."""
        return dataclasses.replace(self, planted=self.planted[:markets], null=self.null[:markets])


FULL = Size((0.10, 0.05), range(2500, 2524), range(3500, 3524), 18)
QUICK = Size((0.10,), TUNING_MARKETS[:3], TUNING_MARKETS[:3], 6)


def plan(size: Size, algorithms: Sequence[str] = ALGORITHMS) -> list[FinetuneTrial]:
    """Return the trials of a study, all kinds of markets side by side: one that is stopped has looked at each."""
    kinds = [*((ic, size.planted) for ic in size.ics), (0.0, size.null)]
    rounds = zip_longest(*([(ic, number) for number in numbers] for ic, numbers in kinds))
    where = [each for one_round in rounds for each in one_round if each is not None]
    return [FinetuneTrial(algorithm, ic, at, size.finetunes) for ic, at in where for algorithm in algorithms]


def paired(differences: Sequence[float]) -> tuple[float, float | None, float | None]:
    """Return mean, standard error and lower 95 % bound (Student's t) of one difference a market.

    A single market has neither error nor bound.
    """
    values = pd.Series(differences, dtype=float)
    mean = float(values.mean())
    if len(values) < 2:
        return mean, None, None
    error = float(values.std() / len(values) ** 0.5)
    return mean, error, mean - float(stats.t.ppf(0.95, len(values) - 1)) * error


def summary(runs: Sequence[Mapping[str, Any]]) -> list[Record]:
    """Return a record for each IC and allocator: means over markets, and differences with their standard errors."""
    records = []
    for (_, algorithm), part in pd.DataFrame(list(runs)).groupby(["ic", "algorithm"]):
        record: Record = {
            "ic": float(part["ic"].iloc[0]),
            "allocator": algorithm,
            "markets": int(part["market"].nunique()),
            "weeks": int(part["weeks"].sum()),
            "labelled": float(part["labelled"].mean()),
        }
        for stream in STREAMS:
            record[stream] = float(part[f"{stream}_sharpe"].mean())
        for name, of, to in (("tuning", "without", "champion"), ("experience", "with", "without")):
            for measure in ("sharpe", "return"):
                for prefix in ("", "unshrunk_"):
                    gained = part[f"{prefix}{of}_{measure}"] - part[f"{prefix}{to}_{measure}"]
                    found = dict(zip(("", "_error", "_bound"), paired(gained.tolist()), strict=True))
                    record |= {f"{prefix}{name}_{measure}{part}": value for part, value in found.items()}
        records.append(record)
    return sorted(records, key=lambda row: (-row["ic"], row["allocator"]))


def _difference(row: Record, name: str, digits: int = 3) -> str:
    return f"{number(row[name], digits)} +- {number(row[f'{name}_error'], digits)}"


COLUMNS: Mapping[str, Callable[[Record], str]] = {
    "IC": lambda row: number(row["ic"]) if row["ic"] else "none",
    "allocator": lambda row: row["allocator"],
    "champion": lambda row: number(row["champion"], 3),
    "fine-tuned": lambda row: number(row["without"], 3),
    "with experience": lambda row: number(row["with"], 3),
    "fine-tuned less champion": lambda row: _difference(row, "tuning_sharpe"),
    "with less without": lambda row: _difference(row, "experience_sharpe"),
    "all of the tilt": lambda row: _difference(row, "unshrunk_experience_sharpe"),
    "return, % a year": lambda row: _difference(
        {
            name: None if row[name] is None else 100.0 * row[name]
            for name in ("experience_return", "experience_return_error")
        },
        "experience_return",
        2,
    ),
    "markets": lambda row: str(row["markets"]),
    "weeks": lambda row: f"{row['weeks']:,}",
}


def verdict(row: Record) -> str:
    """Return in words whether experience is harmless: the Sharpe ratio lost is below `HARMLESS` with 95 % confidence.

    Both as served and with all of the tilt: shrinkage would hide what it does not serve.
    """
    where = f"{row['allocator']}, {'IC ' + number(row['ic']) if row['ic'] else 'no signal'}"
    bounds = [row["experience_sharpe_bound"], row["unshrunk_experience_sharpe_bound"]]
    if None in bounds:
        return f"{where}: one market says nothing"
    worst = f"it costs at most {number(max(0.0, -min(bounds)), 3)} of Sharpe ratio (95 %, {row['markets']} markets)"
    return f"{where}: experience is {'harmless' if min(bounds) > -HARMLESS else 'not shown to be harmless'}, {worst}"


def report(records: Sequence[Record]) -> str:
    """Return the table and the verdicts."""
    return "\n\n".join([markdown(records, COLUMNS), "\n".join(f"- {verdict(row)}" for row in records)])


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the study, print its table and write its records as JSON."""
    results = Settings.from_env().data_dir / "results"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="three tuning markets of each kind, six fine-tunes each")
    parser.add_argument("--markets", type=at_least(1), help="only the first so many markets of each kind")
    parser.add_argument("--jobs", type=at_least(1), default=os.cpu_count() or 1, help="processes (one for each core)")
    parser.add_argument("--results", type=Path, default=results, help=f"folder of the results ({results})")
    chosen = parser.parse_args(arguments)
    began = time.perf_counter()
    trials = plan((QUICK if chosen.quick else FULL).first(chosen.markets))
    store = chosen.results / "finetuning-runs.jsonl"
    stored, keys = read_runs(store), {trial: trial.key() for trial in trials}
    runs = {trial: stored[key] for trial, key in keys.items() if key in stored}
    pending = [trial for trial in trials if trial not in runs]
    print(f"{len(runs)} of {len(trials)} trials are in {store} already.", flush=True)
    for trial, outcome in finished(pending, run_finetune_trial, chosen.jobs):
        runs[trial] = {"key": keys[trial], **dataclasses.asdict(trial), **outcome}
        append_run(store, runs[trial])
        gained = outcome["with_sharpe"] - outcome["without_sharpe"]
        print(f"[{len(runs)}/{len(trials)}] {trial}: experience {gained:+.3f} Sharpe", flush=True)
    records = summary([runs[trial] for trial in trials])
    out = chosen.results / f"finetuning{'-quick' if chosen.quick else ''}.json"
    write_bytes(out, json.dumps(records, indent=2, allow_nan=False).encode())
    print(f"\n{report(records)}\n\n{out} written, {(time.perf_counter() - began) / 60:.1f} min.")


if __name__ == "__main__":
    main()
