"""What each option of the objective does to a policy, out of sample, beside the same policy without it.

``python -m allocator_pipeline.studies.objective`` trains the default networks on some generated markets, each time
with one option on and without shrinkage, and prints what they do on the test weeks. A minute or two.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from allocator_pipeline.allocators.recipes import Recipe, recipe
from allocator_pipeline.config import ALGORITHMS, CostConfig
from allocator_pipeline.evaluation.metrics import metrics
from allocator_pipeline.portfolio.objective import REWARD_ONLY, Objective
from allocator_pipeline.portfolio.rollout import Rollout, simulate
from allocator_pipeline.studies.arguments import at_least
from allocator_pipeline.studies.planted import TUNING_MARKETS, market, opponents, split
from allocator_pipeline.studies.tables import markdown, number
from allocator_pipeline.training.drive import Observed
from allocator_pipeline.training.stacked import train_stacked

IC = 0.10

OPTIONS: Mapping[str, Objective] = {
    "none": REWARD_ONLY,
    "turnover": Objective(turnover=2.0),
    "volatility": Objective(volatility=0.1),
    "CVaR": Objective(cvar=0.5),
    "drawdown": Objective(drawdown=2.0),
    "differential Sharpe": Objective(differential_sharpe=True),
}
"""Weights large enough to be seen; they are examples, nothing was tuned."""

COSTS = CostConfig()

Record = dict[str, Any]


def figures(walk: Rollout) -> dict[str, float]:
    """Return the metrics of a walk and ``cvar``, the mean loss of its worst 5 % of weeks."""
    found = metrics(walk.net, walk.turnover)
    return found | {"cvar": -found["cvar"]}


def judged(base: Recipe, objective: Objective, numbers: Sequence[int]) -> Record:
    """Train a recipe with an objective on some markets; return the means of `figures` and of ``captured``."""
    torch.set_num_threads(1)
    chosen = dataclasses.replace(base, objective=objective, folds=0)
    found = []
    for at in numbers:
        states = market(at, IC)
        training, test = split(states)
        policy = train_stacked(chosen, training, COSTS, 0, Observed(f"market {at}")).policy
        own = figures(simulate(policy.target_weights, test, COSTS))
        equal, oracle = opponents(states, COSTS)
        found.append(own | {"captured": (own["sharpe"] - equal) / (oracle - equal)})
    return {name: float(np.mean([own[name] for own in found])) for name in found[0]}


COLUMNS: Mapping[str, Callable[[Record], str]] = {
    "allocator": lambda row: row["allocator"],
    "option": lambda row: row["option"],
    "captured": lambda row: number(row["captured"]),
    "net Sharpe": lambda row: number(row["sharpe"]),
    "volatility, a year": lambda row: number(row["volatility"], 3),
    "CVaR, a week": lambda row: number(row["cvar"], 4),
    "deepest drawdown": lambda row: number(row["max_drawdown"], 3),
    "turnover, a week": lambda row: number(row["turnover"], 3),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--markets", type=at_least(1), default=4, help="generated markets, of those for tuning (4)")
    chosen = parser.parse_args(arguments)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    numbers = list(TUNING_MARKETS)[: chosen.markets]
    rows = [
        {"allocator": algorithm, "option": name, **judged(recipe(algorithm, "default"), objective, numbers)}
        for algorithm in ALGORITHMS
        for name, objective in OPTIONS.items()
    ]
    print(markdown(rows, COLUMNS))


if __name__ == "__main__":
    main()
