"""How often each gate lets noise pass, once and over many tries, and how often it finds a gain.

``make gate-study`` prints the tables of docs/gate.md, which says what the figures mean, and writes
``data/results/gate.json``. Finished batches of markets are kept in ``gate-runs.jsonl`` beside it, so that a study that
was interrupted goes on where it stopped.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.metadata
import json
import math
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from allocator_pipeline.atomic import canonical_json, sha256, write_bytes
from allocator_pipeline.config import Settings
from allocator_pipeline.studies.arguments import at_least
from allocator_pipeline.studies.gate_market import TRIES, Likeness, Setting, Tails, months
from allocator_pipeline.studies.gate_rules import GATES, Looks, all_gates
from allocator_pipeline.studies.tables import markdown, number
from allocator_pipeline.studies.trials import PACKAGE, append_run, bare_code, end_with_parent, read_runs

YEARS = (2, 5, 10)
TAILS: tuple[Tails, ...] = ("normal", "heavy")
LIKENESS: tuple[Likeness, ...] = ("ar1", "independent")
GAINS = (0.0, 0.3, 0.6)
SHORT = 12
"""Tries of the power; of the null markets as well, beside all sixty."""

MARKETS: Mapping[str, tuple[int, ...]] = {"both": (0, 1), "one": (0,)}
"""Which baselines are as good as the candidate (less its gain): both, or HRP alone, equal weight being hopeless."""

BATCH = 50
DRAWS = 50_000
SEED = 20_260_106

SHAPING = (
    "evaluation/evidence.py",
    "evaluation/hac.py",
    "evaluation/significance.py",
    "studies/gate_market.py",
    "studies/gate_rules.py",
)
"""What markets and gates consist of, and so what a finished batch depends on."""

Record = dict[str, Any]


@dataclass(frozen=True)
class Batch:
    """Some markets of one setting.

    Parameters
    ----------
    setting : Setting
    number : int
        Its place among the batches of the setting; it seeds the markets.
    """

    setting: Setting
    number: int

    @property
    def tries(self) -> int:
        """Sixty where nothing is to be found, twelve where something is."""
        return SHORT if self.setting.gain else TRIES

    def key(self) -> str:
        """Return a hash of all that shapes the result."""
        shape = {
            **dataclasses.asdict(self),
            "size": [BATCH, DRAWS, SEED, self.tries],
            "code": code_digest(),
            "libraries": [importlib.metadata.version(name) for name in ("numpy", "scipy")],
        }
        return sha256(canonical_json(shape))[:20]

    def __str__(self) -> str:
        setting = self.setting
        return (
            f"{setting.years} years, {setting.tails}, {setting.correlation}, gain {setting.gain}, batch {self.number}"
        )


@lru_cache(maxsize=1)
def code_digest() -> str:
    """Return a hash of the code of markets and gates; comments, docstrings and layout do not count."""
    return sha256("".join(f"{name} {bare_code((PACKAGE / name).read_text())}" for name in SHAPING).encode())


def plan(null_runs: int, gain_runs: int) -> list[Batch]:
    """Return all batches: the first of every setting, then the second of every setting, and so on."""
    settings = [
        Setting(years, tails, likeness, gain)
        for gain in GAINS
        for years in YEARS
        for tails in TAILS
        for likeness in LIKENESS
    ]
    counts = {setting: math.ceil((gain_runs if setting.gain else null_runs) / BATCH) for setting in settings}
    return [Batch(each, n) for n in range(max(counts.values())) for each in settings if n < counts[each]]


def run_batch(batch: Batch) -> Record:
    """Let every gate judge every market of a batch.

    Returns
    -------
    dict
        ``runs``, ``cpu_seconds``, and ``passed``: market -> gate -> for each run, how many tries passed in all, and the
        number of the first that did (0 if none).
    """
    began, setting = time.process_time(), batch.setting
    place = (GAINS.index(setting.gain), YEARS.index(setting.years), TAILS.index(setting.tails))
    rng = np.random.default_rng([SEED, *place, LIKENESS.index(setting.correlation), batch.number])
    gates = {market: all_gates() for market in MARKETS}
    passed = {market: {gate: np.zeros((batch.tries, BATCH), dtype=bool) for gate in GATES} for market in MARKETS}
    looks: Looks | None = None
    for at, month in enumerate(months(setting, BATCH, batch.tries, rng)):
        looks = looks or Looks(BATCH, month.candidate.shape[1], batch.tries, DRAWS, SEED)
        look = looks.look(month)
        for market, baselines in MARKETS.items():
            seen = look.against(baselines)
            for gate, rule in gates[market].items():
                passed[market][gate][at] = rule.passes(seen)
    return {
        "runs": BATCH,
        "cpu_seconds": time.process_time() - began,
        "passed": {market: {gate: _brief(table) for gate, table in own.items()} for market, own in passed.items()},
    }


def _brief(passed: np.ndarray) -> dict[str, list[int]]:
    first = np.where(passed.any(axis=0), passed.argmax(axis=0) + 1, 0)
    return {"count": passed.sum(axis=0).tolist(), "first": first.tolist()}


def run_batches(batches: Sequence[Batch], store: Path, jobs: int, say: Callable[[str], None]) -> list[Record]:
    """Return the result of each batch, computed now or found in a file of finished ones."""
    stored = read_runs(store)
    keys = {batch: batch.key() for batch in batches}
    found = {batch: stored[key] for batch, key in keys.items() if key in stored}
    pending = [batch for batch in batches if batch not in found]
    say(f"{len(found)} of {len(batches)} batches are in {store} already; {len(pending)} to do in {jobs} processes.")
    began = time.perf_counter()
    for done, (batch, result) in enumerate(_finished(pending, jobs), start=1):
        found[batch] = {"key": keys[batch], **result}
        append_run(store, found[batch])
        left = (time.perf_counter() - began) / done * (len(pending) - done) / 60
        say(f"[{len(found)}/{len(batches)}] {batch}: {result['cpu_seconds']:.1f} CPU s; about {left:.0f} min left")
    return [found[batch] for batch in batches]


def _finished(batches: Sequence[Batch], jobs: int) -> Iterator[tuple[Batch, Record]]:
    if jobs == 1 or len(batches) < 2:
        for batch in batches:
            yield batch, run_batch(batch)
        return
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read by the new processes
    fresh = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(jobs, len(batches)), fresh, initializer=end_with_parent)
    try:
        futures = {pool.submit(run_batch, batch): batch for batch in batches}
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def summary(batches: Sequence[Batch], results: Sequence[Record]) -> list[Record]:
    """Return one record for each setting, market and gate.

    Returns
    -------
    list of dict
        ``gate``, ``market``, ``tails``, ``correlation``, ``years``, ``true_sharpe_gain``, ``runs``; ``per_try``, the
        share of tries that pass; ``in_12_tries`` and ``in_60_tries``, the share of markets in which one or more of the
        first tries pass (None where sixty were not tried); ``se``, Monte Carlo standard error of the last of these.
    """
    by_setting: dict[Setting, list[Record]] = {}
    for batch, result in zip(batches, results, strict=True):
        by_setting.setdefault(batch.setting, []).append(result)
    records = []
    for setting, own in by_setting.items():
        tries = Batch(setting, 0).tries
        for market in MARKETS:
            for gate in GATES:
                count = np.concatenate([result["passed"][market][gate]["count"] for result in own])
                first = np.concatenate([result["passed"][market][gate]["first"] for result in own])
                within = [float(((first > 0) & (first <= limit)).mean()) for limit in (SHORT, tries)]
                rate = max(within[1], 1 / len(first))  # none among so many is not known to be none
                records.append(
                    {
                        "gate": gate,
                        "market": market,
                        "tails": setting.tails,
                        "correlation": setting.correlation,
                        "years": setting.years,
                        "true_sharpe_gain": setting.gain,
                        "runs": len(first),
                        "per_try": float(count.mean() / tries),
                        "in_12_tries": within[0],
                        "in_60_tries": within[1] if tries == TRIES else None,
                        "se": math.sqrt(rate * (1 - rate) / len(first)),
                    }
                )
    return records


def null_table(records: Sequence[Record], market: str) -> str:
    """Return false badges in percent: a try, in 12 tries, in 60; a row for each setting, a column for each gate."""
    return _table(records, market, (0.0,), lambda row: _percents(row, ("per_try", "in_12_tries", "in_60_tries")))


def power_table(records: Sequence[Record], market: str) -> str:
    """Return the percentage of markets in which a true gain is found within 12 tries."""
    return _table(records, market, GAINS[1:], lambda row: _percents(row, ("in_12_tries",)))


def _percents(row: Record, names: Sequence[str]) -> str:
    return " / ".join(number(100 * row[name], 1) for name in names)


def _table(records: Sequence[Record], market: str, gains: Sequence[float], cell: Callable[[Record], str]) -> str:
    rows: dict[tuple[Any, ...], Record] = {}
    for row in records:
        if row["market"] == market and row["true_sharpe_gain"] in gains:
            place = (row["true_sharpe_gain"], row["correlation"], row["tails"], row["years"])
            rows.setdefault(place, dict(zip(("gain", "candidates", "tails", "years"), place, strict=True)))
            rows[place][row["gate"]] = cell(row)
    names = [name for name in ("gain", "candidates", "tails", "years", *GATES) if name != "gain" or len(gains) > 1]
    return markdown(list(rows.values()), {name: lambda row, name=name: str(row[name]) for name in names})  # type: ignore[misc]


def verdicts(records: Sequence[Record]) -> list[str]:
    """Return whether the evidence rule keeps its error, and what it costs in power, a line each."""
    null = [row for row in records if row["gate"] == "evidence" and row["true_sharpe_gain"] == 0.0]
    worst = max(null, key=lambda row: row["in_60_tries"])
    kept = worst["in_60_tries"] <= 0.05 + 2 * worst["se"]
    where = ", ".join(str(worst[name]) for name in ("years", "tails", "correlation", "market"))
    found = f"worst setting {100 * worst['in_60_tries']:.1f} +- {100 * worst['se']:.1f} %: {where}"
    lines = [f"false badges in 60 tries at most 5 %, within two standard errors: {_met(kept)} ({found})"]
    for gain in GAINS[1:]:
        shares = []
        for row in records:
            if (row["gate"], row["true_sharpe_gain"], row["years"]) == ("evidence", gain, 10):
                like = ("market", "tails", "correlation", "years", "true_sharpe_gain")
                plain = next(
                    other for other in records if other["gate"] == "bootstrap" and all(other[n] == row[n] for n in like)
                )
                shares.append(row["in_12_tries"] / plain["in_12_tries"])
        lines.append(
            f"power at 10 years and a gain of {gain} at least 0.8 of the bootstrap's: {_met(min(shares) >= 0.8)} "
            f"({min(shares):.2f} to {max(shares):.2f})"
        )
    return lines


def _met(kept: bool) -> str:
    return "met" if kept else "MISSED"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the study, print its tables and write its records as JSON."""
    results = Settings.from_env().data_dir / "results"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="100 markets a setting: a look in two minutes")
    parser.add_argument(
        "--runs",
        type=at_least(1),
        nargs=2,
        default=(2000, 1000),
        metavar=("NULL", "GAIN"),
        help="markets a setting without and with a gain",
    )
    parser.add_argument("--jobs", type=at_least(1), default=os.cpu_count() or 1, help="processes (one for each core)")
    parser.add_argument("--results", type=Path, default=results, help=f"folder of the results ({results})")
    chosen = parser.parse_args(arguments)
    began = time.perf_counter()
    batches = plan(100, 100) if chosen.quick else plan(*chosen.runs)
    found = run_batches(batches, chosen.results / "gate-runs.jsonl", chosen.jobs, lambda line: print(line, flush=True))
    records = summary(batches, found)
    out = chosen.results / f"gate{'-quick' if chosen.quick else ''}.json"
    write_bytes(out, json.dumps(records, indent=2, allow_nan=False).encode())
    for market in MARKETS:
        print(f"\nFalse badges, % a try / in 12 tries / in 60; market `{market}`\n\n{null_table(records, market)}")
    for market in MARKETS:
        print(f"\nGains found within 12 tries, %; market `{market}`\n\n{power_table(records, market)}")
    cpu = sum(result["cpu_seconds"] for result in found) / 60
    print("\n" + "\n".join(f"- {line}" for line in verdicts(records)))
    print(f"\n{out} written, {(time.perf_counter() - began) / 60:.1f} min; {cpu:.1f} CPU min in all batches.")


if __name__ == "__main__":
    main()
