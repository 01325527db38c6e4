"""How much of a planted signal each recipe learns, out of sample, and what it loses where nothing is planted.

``python -m allocator_pipeline.studies.learnability`` prints the table of docs/decisions/0001-default-recipes.md.

A market of 15 stocks carries a signal with a weekly IC of 0.10; a policy learns on its first 1,040 weeks and is judged
on the next 520, net of costs and under the constraints. Its capture is its Sharpe ratio above equal weight's as a share
of the oracle's. The oracle knows the signal; the strength of its tilt and its smoothing are tuned on the training
weeks. It does not look at what it holds, as a policy may: a capture can exceed 1.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd

from allocator_pipeline.allocators.policy import Policy
from allocator_pipeline.atomic import write_bytes
from allocator_pipeline.config import ALGORITHMS, CostConfig
from allocator_pipeline.evaluation.metrics import sharpe_ratio
from allocator_pipeline.market import calendar
from allocator_pipeline.portfolio.constraints import N_ASSETS, equal_weight_anchor, project
from allocator_pipeline.portfolio.rollout import drift, settle_batch, simulate
from allocator_pipeline.portfolio.state import StateTensors
from allocator_pipeline.studies.planted import FIRST_WEEK, SIGNAL, planted_states
from allocator_pipeline.training.full import train_full

TRAINING_YEARS, TEST_WEEKS = 20, 520
LAST_TRAINING_YEAR = int(FIRST_WEEK[:4]) + TRAINING_YEARS - 1
IC, PERSISTENCE = 0.10, 0.9

FIRST_MARKET = 2_000
"""Markets are generated from this seed on; nothing was tuned on them."""

TILTS = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0)
SMOOTHINGS = (0.0, 0.25, 0.5, 0.7, 0.8, 0.9)


def split(states: StateTensors) -> tuple[StateTensors, StateTensors]:
    """Return the weeks to learn from (20 years) and those to be judged on (520, after the last exit learned from)."""
    training = len(calendar.weeks(FIRST_WEEK, f"{LAST_TRAINING_YEAR}-12-31"))
    return states[:training], states[training : training + TEST_WEEKS]


def market(seed: int, ic: float) -> StateTensors:
    """Return the training and test weeks of one generated market."""
    training = len(calendar.weeks(FIRST_WEEK, f"{LAST_TRAINING_YEAR}-12-31"))
    return planted_states(seed, training + TEST_WEEKS, ic, PERSISTENCE)


def oracle_targets(states: StateTensors, tilt: float, smoothing: float, costs: CostConfig) -> np.ndarray:
    """Return target weights of shape (T, 16) tilted from equal weight by the signal's exponential average."""
    signal = states.signals[:, :, SIGNAL]
    average = np.empty_like(signal)
    average[0] = signal[0]
    for t in range(1, len(signal)):
        average[t] = smoothing * average[t - 1] + (1.0 - smoothing) * signal[t]
    logits = np.tile(equal_weight_anchor(costs), (len(states), 1))
    logits[:, :-1] += tilt * average
    return project(logits, costs)


def sharpe_of_targets(targets: np.ndarray, states: StateTensors, costs: CostConfig) -> float:
    """Return the net Sharpe ratio of target weights of shape (T, 16), from all cash."""
    held = np.zeros((len(states), N_ASSETS))
    held[0, -1] = 1.0
    held[1:] = drift(targets[:-1], states.returns[:-1])
    week = settle_batch(targets, held, np.zeros(len(states)), states.returns, costs)
    return float(sharpe_ratio(week.net))


def opponents(states: StateTensors, costs: CostConfig) -> tuple[float, float]:
    """Return the net Sharpe ratios on the test weeks of equal weight and of the oracle."""
    training, test = split(states)
    _, tilt, smoothing = max(
        (sharpe_of_targets(oracle_targets(training, tilt, smoothing, costs), training, costs), tilt, smoothing)
        for tilt in TILTS
        for smoothing in SMOOTHINGS
    )
    known = oracle_targets(states, tilt, smoothing, costs)[len(training) :][: len(test)]
    equal = project(np.tile(equal_weight_anchor(costs), (len(test), 1)), costs)
    return sharpe_of_targets(equal, test, costs), sharpe_of_targets(known, test, costs)


def learn_and_judge(
    states: StateTensors, algorithm: str, recipe: str, seed: int, costs: CostConfig
) -> dict[str, float]:
    """Train one policy; return its net Sharpe ratio and turnover on the test weeks, and the CPU seconds it took."""
    training, test = split(states)
    started = time.process_time()
    artifact = train_full(f"{algorithm}_lstm", LAST_TRAINING_YEAR, training, recipe, seed, costs)
    cpu = time.process_time() - started
    walk = simulate(Policy.from_files(artifact.files).target_weights, test, costs)
    return {"sharpe": float(sharpe_ratio(walk.net)), "turnover": float(walk.turnover.mean()), "cpu_seconds": cpu}


def study(ic: float, recipe: str, markets: int, seeds: int) -> pd.DataFrame:
    """Run a recipe of every algorithm on some markets; one row for each training.

    Returns
    -------
    DataFrame
        Columns ``algorithm``, ``recipe``, ``ic``, ``market``, ``seed``, ``excess`` (Sharpe ratio above equal weight's),
        ``captured`` (as a share of the oracle's), ``turnover`` (weekly) and ``cpu_seconds``.
    """
    costs = CostConfig()
    rows = []
    for number in range(FIRST_MARKET, FIRST_MARKET + markets):
        states = market(number, ic)
        equal, oracle = opponents(states, costs)
        for algorithm in ALGORITHMS:
            for seed in range(seeds):
                judged = learn_and_judge(states, algorithm, recipe, seed, costs)
                excess = judged.pop("sharpe") - equal
                rows.append(
                    {
                        "algorithm": algorithm,
                        "recipe": recipe,
                        "ic": ic,
                        "market": number,
                        "seed": seed,
                        "excess": excess,
                        "captured": excess / (oracle - equal),
                        **judged,
                    }
                )
    return pd.DataFrame(rows)


def summary(planted: pd.DataFrame, null: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each algorithm and recipe: capture where a signal is planted, loss where none is."""
    keys = ["algorithm", "recipe"]
    captured = planted.groupby(keys).agg(
        captured_median=("captured", "median"),
        captured_worst=("captured", "min"),
        trainings=("captured", "size"),
        turnover=("turnover", "mean"),
        cpu_seconds=("cpu_seconds", "median"),
    )
    by_market = -null.groupby([*keys, "market"])["excess"].mean()
    lost = by_market.groupby(keys).agg(null_loss="mean", null_error="sem", null_markets="size")
    return captured.join(lost).reset_index()


def main() -> None:
    """Run the study, print its table and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--markets", type=int, default=4, help="markets with a signal")
    parser.add_argument("--seeds", type=int, default=3, help="seeds of the default recipes on each of them")
    parser.add_argument("--null-markets", type=int, default=12, help="markets without a signal")
    parser.add_argument("--reference-markets", type=int, default=2, help="markets of each kind for the slow reference")
    parser.add_argument("--out", type=Path, default=Path("data/results/learnability.json"))
    chosen = parser.parse_args()
    planted = [study(IC, "default", chosen.markets, chosen.seeds)]
    null = [study(0.0, "default", chosen.null_markets, 1)]
    if chosen.reference_markets:
        planted.append(study(IC, "reference", chosen.reference_markets, 1))
        null.append(study(0.0, "reference", chosen.reference_markets, 1))
    table = summary(pd.concat(planted), pd.concat(null))
    print(table.round(3).to_string(index=False))
    records = table.rename(columns={"algorithm": "allocator"}).assign(ic=IC).to_dict("records")
    write_bytes(chosen.out, json.dumps(records, indent=2, default=float).encode())


if __name__ == "__main__":
    main()
