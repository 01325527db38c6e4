"""Trainings on generated markets, judged out of sample: on all cores, and never the same one twice.

A finished training is a line of a file. Its key is a hash of all that shapes it: recipe, costs, market, seed, the code
that trains and judges, the libraries. A study that was interrupted, or that runs again after one recipe has changed,
trains only what the file lacks.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib.metadata
import json
import math
import multiprocessing
import os
import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from allocator_pipeline.allocators.policy import Policy, Shrinkage
from allocator_pipeline.allocators.recipes import recipe, recipe_values
from allocator_pipeline.atomic import canonical_json, sha256
from allocator_pipeline.config import CostConfig
from allocator_pipeline.evaluation.metrics import sharpe_ratio
from allocator_pipeline.portfolio.rollout import simulate
from allocator_pipeline.portfolio.state import StateTensors
from allocator_pipeline.studies.planted import market, opponents, split
from allocator_pipeline.training.full import train_full

PACKAGE = Path(__file__).parents[1]

SHAPING = ("learners/", "allocators/", "portfolio/", "training/", "evaluation/metrics.py", "studies/planted.py")
"""What trains and judges. A recipe's values have their own place in a key: changing one leaves the others' runs."""

NOT_SHAPING = (
    "allocators/recipes.py",
    "training/finetune.py",
    "training/labelled.py",
    "training/worker.py",
    "training/workers.py",
)

LIBRARIES = ("numpy", "stable-baselines3", "torch")

COSTS = CostConfig()

Run = dict[str, Any]
"""A finished training: the fields of its `Trial`, its ``key`` and what `run_trial` returns."""


@dataclass(frozen=True)
class Trial:
    """One training to be judged.

    Parameters
    ----------
    algorithm : {"ppo", "sac", "dpg"}
    recipe : str
        Name of its recipe.
    ic : float
        Weekly IC of the market's signal; 0 is a market without one.
    market : int
        Number of the generated market.
    seed : int
        Seed of the training.
    """

    algorithm: str
    recipe: str
    ic: float
    market: int
    seed: int

    def key(self) -> str:
        """Return a hash of all that shapes the result."""
        shape = {
            **dataclasses.asdict(self),
            "recipe": recipe_values(recipe(self.algorithm, self.recipe)),
            "costs": dataclasses.asdict(COSTS),
            "code": code_digest(),
            "libraries": [importlib.metadata.version(name) for name in LIBRARIES],
        }
        return sha256(canonical_json(shape))[:20]

    def __str__(self) -> str:
        where = f"IC {self.ic:.2f}" if self.ic else "null"
        return f"{self.algorithm} {self.recipe}, {where}, market {self.market}, seed {self.seed}"


@lru_cache(maxsize=8)
def code_digest(shaping: tuple[str, ...] = SHAPING, without: tuple[str, ...] = NOT_SHAPING) -> str:
    """Return a hash of the code that trains and judges; comments, docstrings and layout do not count."""
    files = {file.relative_to(PACKAGE).as_posix(): file for file in PACKAGE.rglob("*.py")}
    kept = [name for name in sorted(files) if name.startswith(shaping) and name not in without]
    return sha256("".join(f"{name} {bare_code(files[name].read_text())}" for name in kept).encode())


def bare_code(source: str) -> str:
    """Return what Python makes of a module, without strings that stand alone."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            node.body = [line for line in node.body if not _is_text(line)]
    return ast.dump(tree)


def _is_text(line: ast.stmt) -> bool:
    return isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant) and isinstance(line.value.value, str)


def learn_and_judge(
    states: StateTensors, algorithm: str, recipe_name: str, seed: int, costs: CostConfig
) -> dict[str, Any]:
    """Train one policy and judge it on the test weeks.

    Returns
    -------
    dict
        ``sharpe`` and ``unshrunk_sharpe``, annual net Sharpe ratios of the policy as served and without its shrinkage;
        ``share`` and ``t`` of the shrinkage, None where the recipe has none; ``turnover`` a week, as served;
        ``cpu_seconds`` of training, cross-fit included.
    """
    training, test = split(states)
    year = int(str(training.weeks[-1])[:4])
    started = time.process_time()
    artifact = train_full(f"{algorithm}_lstm", year, training, recipe_name, seed, costs)
    cpu = time.process_time() - started
    policy = Policy.from_files(artifact.files)
    measured = policy.shrinkage.weeks > 0
    served = plain = simulate(policy.target_weights, test, costs)
    if measured:
        plain = simulate(dataclasses.replace(policy, shrinkage=Shrinkage()).target_weights, test, costs)
    return {
        "sharpe": float(sharpe_ratio(served.net)),
        "unshrunk_sharpe": float(sharpe_ratio(plain.net)),
        "share": policy.shrinkage.share if measured else None,
        "t": policy.shrinkage.t if measured else None,
        "turnover": float(served.turnover.mean()),
        "cpu_seconds": cpu,
    }


@lru_cache(maxsize=64)
def _opponents(number: int, ic: float) -> tuple[float, float]:
    return opponents(market(number, ic), COSTS)


def run_trial(trial: Trial) -> Run:
    """Train, judge and compare with equal weight and oracle.

    Returns
    -------
    dict
        As `learn_and_judge`, ``equal`` and ``oracle`` (their Sharpe ratios), and, as served and ``unshrunk_``:
        ``excess``, the Sharpe ratio above equal weight's, and ``captured``, the same as a share of the oracle's; None
        where nothing is planted.
    """
    began = time.perf_counter()
    judged = learn_and_judge(market(trial.market, trial.ic), trial.algorithm, trial.recipe, trial.seed, COSTS)
    equal, oracle = _opponents(trial.market, trial.ic)
    run: Run = {**judged, "equal": equal, "oracle": oracle}
    for name in ("", "unshrunk_"):
        excess = judged[f"{name}sharpe"] - equal
        run |= {f"{name}excess": excess, f"{name}captured": excess / (oracle - equal) if trial.ic else None}
    return run | {"wall_seconds": time.perf_counter() - began}


def run_trials(trials: Sequence[Trial], store: Path, jobs: int, say: Callable[[str], None]) -> tuple[list[Run], int]:
    """Return the run of each trial, trained now or found in a file.

    Parameters
    ----------
    trials : sequence of Trial
    store : Path
        File of finished runs; each is appended as it ends.
    jobs : int
        Processes, each of one thread; with 1 the trials run in this one.
    say : callable
        Receives a line for each training that ends.

    Returns
    -------
    tuple of (list of dict, int)
        The runs in the order of the trials, and how many of them were in the file before.
    """
    stored = read_runs(store)
    keys = {trial: trial.key() for trial in trials}
    runs = {trial: stored[key] for trial, key in keys.items() if key in stored}
    earlier, pending = len(runs), [trial for trial in trials if trial not in runs]
    say(f"{earlier} of {len(trials)} trainings are in {store} already; {len(pending)} to do in {jobs} processes.")
    spent: dict[tuple[str, str], list[float]] = defaultdict(list)
    for trial, outcome in finished(pending, run_trial, jobs):
        runs[trial] = {"key": keys[trial], **dataclasses.asdict(trial), **outcome}
        append_run(store, runs[trial])
        spent[trial.algorithm, trial.recipe].append(outcome["wall_seconds"])
        left = minutes_left([other for other in pending if other not in runs], spent, jobs)
        say(f"[{len(runs)}/{len(trials)}] {trial}: {_verdict(outcome)}; about {left:.0f} min left")
    return [runs[trial] for trial in trials], earlier


def _verdict(outcome: Run) -> str:
    captured, share = outcome["captured"], outcome["share"]
    learnt = f"{outcome['excess']:+.3f} Sharpe" if captured is None else f"captured {captured:.2f}"
    served = "" if share is None else f", {share:.2f} of the tilt served"
    return f"{learnt}{served}, {outcome['cpu_seconds']:.1f} CPU s"


def minutes_left(pending: Sequence[Trial], spent: Mapping[tuple[str, str], Sequence[float]], jobs: int) -> float:
    """Return the minutes that trials take whose like took so many seconds; a kind not seen yet counts as the mean."""
    means = {kind: statistics.fmean(seconds) for kind, seconds in spent.items()}
    unseen = statistics.fmean(means.values())
    return sum(means.get((trial.algorithm, trial.recipe), unseen) for trial in pending) / jobs / 60


def finished(trials: Sequence[Any], run: Callable[[Any], Run], jobs: int) -> Iterator[tuple[Any, Run]]:
    """Yield trials and what ``run`` says of them, as they end.

    Fresh processes: a forked one would inherit the locks of torch's threads.
    """
    if jobs == 1 or len(trials) < 2:
        for trial in trials:
            yield trial, run(trial)
        return
    os.environ["OMP_NUM_THREADS"] = "1"  # read by the new processes as they import torch
    fresh = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(jobs, len(trials)), fresh, initializer=end_with_parent)
    try:
        futures = {pool.submit(run, trial): trial for trial in trials}
        for future in as_completed(futures):
            try:
                outcome = future.result()
            except Exception as error:
                error.add_note(f"In the training {futures[future]}; those that ended before are kept.")
                raise
            yield futures[future], outcome
    finally:
        pool.shutdown(cancel_futures=True)


def end_with_parent() -> None:
    """Let this process end when the one that started it does, however that ends: a pool waits for work for ever."""
    parent = multiprocessing.parent_process()

    def end() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=end, daemon=True).start()


def read_runs(store: Path) -> dict[str, Run]:
    """Return the finished runs of a file by key; a line that an interruption cut short is left out."""
    runs = {}
    for line in store.read_text().splitlines() if store.exists() else []:
        try:
            run = json.loads(line)
            runs[run["key"]] = run
        except (ValueError, KeyError, TypeError):
            continue
    return runs


def append_run(store: Path, run: Run) -> None:
    """Append a finished run as a line of its own, numbers that are not finite as null."""
    store.parent.mkdir(parents=True, exist_ok=True)
    cut = store.exists() and store.stat().st_size > 0 and not store.read_bytes().endswith(b"\n")
    with store.open("ab") as file:
        file.write((b"\n" if cut else b"") + canonical_json(finite(run)) + b"\n")
        file.flush()
        os.fsync(file.fileno())


def finite(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return JSON values, with None for numbers that are not finite."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in values.items()
    }
