"""How much of a planted signal each recipe learns, out of sample, and what it loses where nothing is planted.

``make learnability`` prints the tables of docs/learnability.md, which says what the figures mean, and writes
``data/results/learnability.json``. Finished trainings are kept in ``learnability-runs.jsonl`` beside it, so that a
study that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from allocator_pipeline.allocators.recipes import RECIPES, recipe_values
from allocator_pipeline.atomic import canonical_json, sha256, write_bytes
from allocator_pipeline.config import Settings
from allocator_pipeline.studies.arguments import at_least
from allocator_pipeline.studies.planted import TUNING_MARKETS
from allocator_pipeline.studies.tables import markdown, number
from allocator_pipeline.studies.trials import Trial, finite, run_trials

ICS = (0.10, 0.05)

MARKETS = tuple(range(2_400, 2_424))
NULL_MARKETS = tuple(range(3_400, 3_440))
"""Markets with and without a signal; nothing was tuned on them (docs/learnability.md tells their history)."""

MAY_BE_ABSENT = ("captured", "unshrunk_captured", "share", "t")
"""Columns of runs that hold None where nothing is planted or nothing is shrunk."""

Record = dict[str, Any]


@dataclass(frozen=True)
class Size:
    """How much of a recipe is trained: markets with a signal (at each IC), seeds on each, markets without."""

    markets: int
    seeds: int
    null_markets: int


FULL: Mapping[str, Size] = {
    "reference": Size(2, 1, 2),
    "default_sb3": Size(4, 2, 6),
    "default_one": Size(4, 2, 6),
    "default": Size(24, 3, 40),
}
"""The slow ones first, so that no long training is left over at the end."""

QUICK: Mapping[str, Size] = {"default": Size(1, 1, 4)}


@dataclass(frozen=True)
class Target:
    """What the default recipe of an allocator should reach.

    Parameters
    ----------
    allocator : str
    ic : float
        The record that holds the figure.
    figure : str
        Its name there.
    words : str
        Its name for a reader.
    limit : float
    at_most : bool
        Whether the limit is the greatest value allowed, not the least.
    """

    allocator: str
    ic: float
    figure: str
    words: str
    limit: float
    at_most: bool = False

    def verdict(self, records: Sequence[Record]) -> str:
        """Return the target and whether it is met, in one line."""
        chosen = (self.allocator, self.ic, "default")
        found = [row[self.figure] for row in records if (row["allocator"], row["ic"], row["recipe"]) == chosen]
        aim = f"{self.allocator}: {self.words} {'at most' if self.at_most else 'at least'} {self.limit:.2f}"
        if not found or found[0] is None:
            return f"{aim}: not measured"
        met = found[0] <= self.limit if self.at_most else found[0] >= self.limit
        return f"{aim}: {'met' if met else 'MISSED'} ({found[0]:.3f})"


def targets() -> list[Target]:
    """Return the targets of all allocators."""
    found = []
    for allocator, median in {"ppo": 0.88, "sac": 0.85, "dpg": 0.88}.items():
        found += [
            Target(allocator, 0.10, "captured_median", "median captured at IC 0.10", median),
            Target(allocator, 0.10, "captured_worst", "worst captured at IC 0.10", 0.70),
            Target(allocator, 0.05, "captured_median", "median captured at IC 0.05", 0.75),
            Target(allocator, 0.10, "null_loss", "mean loss on null markets", 0.02, at_most=True),
        ]
    return found


def plan(
    sizes: Mapping[str, Size], markets: Sequence[int] = MARKETS, null_markets: Sequence[int] = NULL_MARKETS
) -> list[Trial]:
    """Return all trainings of a study on the first of these markets with a signal and without."""
    trials = []
    for name, size in sizes.items():
        numbers = [(ic, at, seed) for ic in ICS for at in markets[: size.markets] for seed in range(size.seeds)]
        numbers += [(0.0, at, 0) for at in null_markets[: size.null_markets]]
        algorithms = [algorithm for algorithm, recipe in RECIPES if recipe == name]
        trials += [Trial(algorithm, name, *number) for number in numbers for algorithm in algorithms]
    return trials


def summary(runs: Sequence[Mapping[str, Any]]) -> list[Record]:
    """Return one record for each IC, allocator and recipe.

    Parameters
    ----------
    runs : sequence of mapping
        As `trials.run_trials` returns.

    Returns
    -------
    list of dict
        ``ic``, ``allocator``, ``recipe`` and a hash of its values; over the trainings on markets with that signal:
        ``captured_median`` and ``captured_worst`` as served, ``unshrunk_median`` and ``unshrunk_worst`` before
        shrinkage, ``share`` (mean) and ``t_median`` of the shrinkage, ``turnover`` (mean, weekly), ``cpu_seconds``
        (median, one training), ``trainings``, ``markets``; and the figures of `null_figures`, equal at each IC. What
        was not measured is None.
    """
    table = pd.DataFrame(runs).astype(dict.fromkeys(MAY_BE_ABSENT, float))
    records = []
    for (algorithm, recipe), own in table.groupby(["algorithm", "recipe"]):
        null = null_figures(own[own["ic"] == 0.0])
        for ic in sorted({float(ic) for ic in own["ic"]} - {0.0}):
            part = own[own["ic"] == ic]
            figures = {
                "ic": ic,
                "allocator": algorithm,
                "recipe": recipe,
                "recipe_sha256": sha256(canonical_json(recipe_values(RECIPES[str(algorithm), str(recipe)]))),
                "captured_median": float(part["captured"].median()),
                "captured_worst": float(part["captured"].min()),
                "unshrunk_median": float(part["unshrunk_captured"].median()),
                "unshrunk_worst": float(part["unshrunk_captured"].min()),
                "share": float(part["share"].mean()),
                "t_median": float(part["t"].median()),
                "turnover": float(part["turnover"].mean()),
                "cpu_seconds": float(part["cpu_seconds"].median()),
                "trainings": len(part),
                "markets": int(part["market"].nunique()),
            }
            records.append(finite(figures | null))
    return sorted(records, key=lambda row: (row["recipe"], -row["ic"], row["allocator"]))


def null_figures(runs: pd.DataFrame) -> Record:
    """Return what trainings on markets without a signal lose to equal weight.

    Returns
    -------
    dict
        ``null_loss`` and ``unshrunk_null_loss``, annual Sharpe ratio, mean over markets, each with its standard error;
        ``false_positive_rate`` and ``false_positive_rate_half``, the share of trainings of which more than nothing and
        more than half is served (None without shrinkage); ``null_markets``. None where there is no such market.
    """
    figures: Record = {"null_markets": int(runs["market"].nunique())}
    for name in ("", "unshrunk_"):
        loss = -runs.groupby("market")[f"{name}excess"].mean()
        figures |= {
            f"{name}null_loss": float(loss.mean()),
            f"{name}null_error": float(loss.std() / max(len(loss), 1) ** 0.5),
        }
    shares = runs["share"].dropna()
    for name, share in (("", 0.0), ("_half", 0.5)):
        figures[f"false_positive_rate{name}"] = float((shares > share).mean())
    return finite(figures)


CAPTURED_COLUMNS: Mapping[str, Callable[[Record], str]] = {
    "IC": lambda row: f"{row['ic']:.2f}",
    "allocator": lambda row: row["allocator"],
    "recipe": lambda row: row["recipe"],
    "captured: median": lambda row: number(row["captured_median"]),
    "worst": lambda row: number(row["captured_worst"]),
    "before shrinkage: median": lambda row: number(row["unshrunk_median"]),
    "worst ": lambda row: number(row["unshrunk_worst"]),
    "share served": lambda row: number(row["share"]),
    "t": lambda row: number(row["t_median"], 1),
    "weekly turnover": lambda row: number(row["turnover"], 3),
    "CPU s": lambda row: number(row["cpu_seconds"], 1),
    "trainings (markets)": lambda row: f"{row['trainings']} ({row['markets']})",
}

NULL_COLUMNS: Mapping[str, Callable[[Record], str]] = {
    "allocator": lambda row: row["allocator"],
    "recipe": lambda row: row["recipe"],
    "null loss": lambda row: f"{number(row['null_loss'], 3)} +- {number(row['null_error'], 3)}",
    "before shrinkage": lambda row: (
        f"{number(row['unshrunk_null_loss'], 3)} +- {number(row['unshrunk_null_error'], 3)}"
    ),
    "share > 0": lambda row: number(row["false_positive_rate"]),
    "share > 0.5": lambda row: number(row["false_positive_rate_half"]),
    "null markets": lambda row: str(row["null_markets"]),
}


def report(records: Sequence[Record], trainings: int, earlier: int) -> str:
    """Return both tables, the targets, and how many trainings come from earlier runs of the same code."""
    once = {(row["allocator"], row["recipe"]): row for row in records if row["null_markets"]}
    return "\n\n".join(
        [
            markdown(records, CAPTURED_COLUMNS),
            markdown(list(once.values()), NULL_COLUMNS),
            "\n".join(f"- {target.verdict(records)}" for target in targets()),
            f"{trainings} trainings, {earlier} of them from earlier runs with the same recipes, code and libraries.",
        ]
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the study, print its tables and write its records as JSON."""
    results = Settings.from_env().data_dir / "results"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a look in two minutes: default recipes, tuning markets")
    parser.add_argument("--jobs", type=at_least(1), default=os.cpu_count() or 1, help="processes (one for each core)")
    parser.add_argument("--results", type=Path, default=results, help=f"folder of the results ({results})")
    chosen = parser.parse_args(arguments)
    began = time.perf_counter()
    trials = plan(QUICK, TUNING_MARKETS, TUNING_MARKETS) if chosen.quick else plan(FULL)
    store = chosen.results / "learnability-runs.jsonl"
    runs, earlier = run_trials(trials, store, chosen.jobs, lambda line: print(line, flush=True))
    records = summary(runs)
    out = chosen.results / f"learnability{'-quick' if chosen.quick else ''}.json"
    write_bytes(out, json.dumps(records, indent=2, allow_nan=False).encode())
    print(f"\n{report(records, len(runs), earlier)}\n\n{out} written, {(time.perf_counter() - began) / 60:.1f} min.")


if __name__ == "__main__":
    main()
