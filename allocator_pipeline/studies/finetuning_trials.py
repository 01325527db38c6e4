"""A champion, fine-tuned every half year without and with its own experience, judged on the weeks that follow.

The champion is trained on the training weeks of a generated market and lives through the test weeks on paper. Every 26
weeks it is fine-tuned twice, from market weeks alone and with the labelled experience as well; each fine-tune decides
the next 26 weeks, which it has not seen. So there are three streams over the same weeks, each with its own holdings.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from allocator_pipeline.allocators.baselines import EqualWeight
from allocator_pipeline.allocators.policy import Policy
from allocator_pipeline.allocators.recipes import FINETUNE, recipe, recipe_values
from allocator_pipeline.artifact import Artifact
from allocator_pipeline.atomic import canonical_json, sha256
from allocator_pipeline.config import FINETUNE_WEEKS, WEEKS_PER_YEAR, CostConfig
from allocator_pipeline.evaluation.metrics import sharpe_ratio
from allocator_pipeline.portfolio.rollout import Rollout, simulate
from allocator_pipeline.portfolio.state import StateTensors
from allocator_pipeline.portfolio.transition import Transition
from allocator_pipeline.studies.paper_weeks import lived_weeks
from allocator_pipeline.studies.planted import market, split
from allocator_pipeline.studies.trials import LIBRARIES, code_digest
from allocator_pipeline.training.finetune import finetune
from allocator_pipeline.training.full import train_full

SHAPING = (
    "learners/",
    "allocators/",
    "portfolio/",
    "training/",
    "experience/",
    "inference.py",
    "evaluation/metrics.py",
    "studies/finetuning_trials.py",
    "studies/paper_weeks.py",
    "studies/planted.py",
)
NOT_SHAPING = ("allocators/recipes.py", "training/worker.py", "training/workers.py")

STREAMS = ("champion", "without", "with")

LAG_WEEKS = 2
"""Weeks whose outcome is not known yet at a decision: the one before, and the one decided."""

COSTS = CostConfig()


@dataclass(frozen=True)
class Stored:
    """A policy as the registry hands it over.

    Parameters
    ----------
    manifest : mapping
    files : mapping of str to bytes
    """

    manifest: Mapping[str, Any]
    files: Mapping[str, bytes]


@dataclass(frozen=True)
class FinetuneTrial:
    """One champion on one market.

    Parameters
    ----------
    algorithm : {"ppo", "sac", "dpg"}
    ic : float
        Weekly IC of the market's signal; 0 is a market without one.
    market : int
        Number of the generated market.
    finetunes : int
        How many follow one another, 26 weeks apart.
    """

    algorithm: str
    ic: float
    market: int
    finetunes: int

    def key(self) -> str:
        """Return a hash of all that shapes the result."""
        shape = {
            **dataclasses.asdict(self),
            "recipe": recipe_values(recipe(self.algorithm, "default")),
            "finetune": dataclasses.asdict(FINETUNE),
            "costs": dataclasses.asdict(COSTS),
            "code": code_digest(SHAPING, NOT_SHAPING),
            "libraries": [importlib.metadata.version(name) for name in LIBRARIES],
        }
        return sha256(canonical_json(shape))[:20]

    def __str__(self) -> str:
        where = f"IC {self.ic:.2f}" if self.ic else "null"
        return f"{self.algorithm}, {where}, market {self.market}"


def most_finetunes(test: StateTensors) -> int:
    """Return how many fine-tunes some weeks have room for, each with 26 known weeks before and 26 to judge after."""
    return (len(test) - first_row()) // FINETUNE_WEEKS


def first_row() -> int:
    """Return the first row that a fine-tune can serve."""
    return FINETUNE_WEEKS + LAG_WEEKS


def run_finetune_trial(trial: FinetuneTrial) -> dict[str, Any]:
    """Train a champion, fine-tune it again and again, and judge the three streams.

    Returns
    -------
    dict
        For each stream of `STREAMS`, as served and ``unshrunk_``: ``<stream>_sharpe`` and ``<stream>_return``, annual,
        net, above equal weight's; ``weeks`` judged; ``labelled``, labelled weeks in the mean fine-tune with experience;
        ``share`` of the tilt that is served; ``cpu_seconds``, of fine-tuning, and ``wall_seconds``.
    """
    began = time.perf_counter()
    training, test = split(market(trial.market, trial.ic))
    test = test[: first_row() + trial.finetunes * FINETUNE_WEEKS]
    name, year = f"{trial.algorithm}_lstm", int(str(training.weeks[-1])[:4])
    champion = train_full(name, year, training, "default", 0, COSTS)
    policy = Policy.from_files(champion.files)
    experience = lived_weeks(name, policy, test, COSTS)
    started = time.process_time()
    tuned = {
        "without": _finetunes(champion, test, ()),
        "with": _finetunes(champion, test, experience),
    }
    cpu = time.process_time() - started
    policies = {"champion": [policy] * trial.finetunes} | {
        stream: [Policy.from_files(one.files) for one in found] for stream, found in tuned.items()
    }
    found: dict[str, Any] = {}
    equal = _stream([EqualWeight(COSTS)] * trial.finetunes, test)
    for stream, own in policies.items():
        for prefix, served in (("", own), ("unshrunk_", [one.unshrunk() for one in own])):
            net = _stream(served, test)
            found[f"{prefix}{stream}_sharpe"] = float(sharpe_ratio(net) - sharpe_ratio(equal))
            found[f"{prefix}{stream}_return"] = float(WEEKS_PER_YEAR * (net - equal).mean())
    return {
        **found,
        "weeks": len(equal),
        "labelled": float(np.mean([one.facts["experience"]["labelled_weeks"] for one in tuned["with"]])),
        "share": policy.shrinkage.share,
        "cpu_seconds": cpu,
        "wall_seconds": time.perf_counter() - began,
    }


def _rows(test: StateTensors) -> list[int]:
    return [first_row() + k * FINETUNE_WEEKS for k in range(most_finetunes(test))]


def _finetunes(champion: Artifact, test: StateTensors, experience: Sequence[Transition]) -> list[Artifact]:
    """Return the champion's fine-tunes for the weeks at which a stream takes a new one."""
    prior = Stored(champion.manifest(), champion.files)
    return [
        finetune(prior, str(test.weeks[row]), test[row - first_row() : row + 1], experience, COSTS)
        for row in _rows(test)
    ]


def _stream(policies: Sequence[Any], test: StateTensors) -> np.ndarray:
    """Return the weekly net returns, from cash, of policies that follow one another every 26 weeks."""
    walk: Rollout | None = None
    net = []
    for policy, row in zip(policies, _rows(test), strict=True):
        decide: Callable[..., np.ndarray] = policy.target_weights
        before = (walk.holdings_after, walk.observed_after) if walk is not None else (None, None)
        walk = simulate(decide, test[row : row + FINETUNE_WEEKS], COSTS, *before)
        net.append(walk.net)
    return np.concatenate(net)
