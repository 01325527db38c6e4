"""Tries a change of a default recipe, or of the rule of shrinkage, on the generated markets that may be tuned on.

``python -m allocator_pipeline.studies.tuning ppo feature_penalty=0.3 --ic 0.05`` trains one policy a market and prints
what it captures before shrinkage and with each rule. An IC of 0 gives what it loses where nothing is planted.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from allocator_pipeline.allocators.policy import Policy, Shrinkage
from allocator_pipeline.allocators.recipes import Recipe, recipe, recipe_from_values, recipe_values
from allocator_pipeline.config import ALGORITHMS, CostConfig
from allocator_pipeline.errors import ConfigurationError, CorruptArtifactError
from allocator_pipeline.evaluation.metrics import sharpe_ratio
from allocator_pipeline.portfolio.rollout import simulate
from allocator_pipeline.studies.arguments import at_least
from allocator_pipeline.studies.planted import TUNING_MARKETS, market, opponents, split
from allocator_pipeline.studies.tables import number
from allocator_pipeline.training.drive import Observed
from allocator_pipeline.training.stacked import train_stacked

COSTS = CostConfig()

RULES: Mapping[str, Callable[[float], float]] = {
    "1 - 1/t^2": lambda t: 1.0 - 1.0 / t**2,
    "1 - 1/(2 t^2)": lambda t: 1.0 - 0.5 / t**2,
    "t - 1/2": lambda t: t - 0.5,
    "t / 2": lambda t: 0.5 * t,
    "1 if t > 1": lambda t: float(t > 1.0),
}
"""Shares for t > 0, to be cut to [0, 1]; nothing is served for other t. `training.crossfit` has the one in use."""


def changed(base: Recipe, algorithm: str, changes: Sequence[str]) -> Recipe:
    """Return a recipe with changes such as ``"members=2"`` or ``"hidden_sizes=[16, 8]"``.

    Raises
    ------
    ConfigurationError
        If a name or a value is none of the recipe's.
    """
    values = recipe_values(base)
    for change in changes:
        name, _, text = change.partition("=")
        if name not in values:
            raise ConfigurationError(f"A recipe has no {name!r}.", todo=f"change one of {', '.join(values)}.")
        try:
            read = json.loads(text)
        except ValueError:
            read = text
        values[name] = float(read) if isinstance(values[name], float) and isinstance(read, int) else read
    try:
        return recipe_from_values(algorithm, values)
    except CorruptArtifactError as error:
        raise ConfigurationError(f"There is no such recipe: {error.problem}", todo="change other values.") from error


def judged(chosen: Recipe, ic: float, at: int) -> dict[str, float]:
    """Train on one market and judge on its test weeks.

    Returns
    -------
    dict of float
        Annual net Sharpe ratios above equal weight's: ``oracle``, ``unshrunk`` and one by the name of each rule; and
        ``t``.
    """
    states = market(at, ic)
    training, test = split(states)
    policy = train_stacked(chosen, training, COSTS, 0, Observed(f"market {at}")).policy
    equal, oracle = opponents(states, COSTS)

    def excess(share: float) -> float:
        served = dataclasses.replace(policy, shrinkage=Shrinkage(share))
        return _sharpe(served, test) - equal

    t = policy.shrinkage.t
    shares = {name: float(np.clip(rule(t), 0.0, 1.0)) if t > 0 else 0.0 for name, rule in RULES.items()}
    return {"oracle": oracle - equal, "unshrunk": excess(1.0), "t": t} | {
        name: excess(share) for name, share in shares.items()
    }


def _sharpe(policy: Policy, test: Any) -> float:
    return float(sharpe_ratio(simulate(policy.target_weights, test, COSTS).net))


def summary(found: Sequence[Mapping[str, float]], ic: float) -> str:
    """Return a line for the whole tilt and one for each rule.

    Where something is planted: the sum of what was gained over the sum of the oracle's gains, which is steadier than a
    median of shares; the median share; the worst. Else the mean loss with its standard error.
    """
    lines = [f"median t {number(float(np.median([own['t'] for own in found])))}, {len(found)} markets"]
    oracle = np.array([own["oracle"] for own in found])
    for name in ("unshrunk", *RULES):
        gain = np.array([own[name] for own in found])
        if ic:
            shares = gain / oracle
            words = f"pooled {gain.sum() / oracle.sum():.3f}, median {np.median(shares):.3f}, worst {shares.min():.2f}"
        else:
            words = f"null loss {-gain.mean():.4f} +- {gain.std(ddof=1) / len(gain) ** 0.5:.4f}"
        lines.append(f"{name:14} {words}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print what a changed recipe does."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("algorithm", choices=ALGORITHMS)
    parser.add_argument("changes", nargs="*", help="name=value of the default recipe, such as members=2")
    parser.add_argument("--ic", type=float, default=0.05, help="weekly IC of the signal (0.05); 0: none")
    parser.add_argument("--markets", type=at_least(2), default=24, help="tuning markets, at least 2 (24)")
    chosen = parser.parse_args(arguments)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)
    tried = changed(recipe(chosen.algorithm, "default"), chosen.algorithm, chosen.changes)
    numbers = list(TUNING_MARKETS)[: chosen.markets]
    print(summary([judged(tried, chosen.ic, at) for at in numbers], chosen.ic))


if __name__ == "__main__":
    main()
