"""Fine-tuning: a champion trained further on the last weeks and on what was lived through in them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch

from allocator_pipeline.allocators.policy import Policy
from allocator_pipeline.allocators.recipes import (
    FINETUNE,
    FinetuneSettings,
    finetune_recipe,
    recipe_from_values,
    recipe_values,
)
from allocator_pipeline.allocators.slots import follow_slots
from allocator_pipeline.artifact import Artifact, Identity
from allocator_pipeline.atomic import canonical_json, sha256
from allocator_pipeline.config import CostConfig
from allocator_pipeline.errors import ConfigurationError, CorruptArtifactError
from allocator_pipeline.market import calendar
from allocator_pipeline.portfolio.state import StateTensors
from allocator_pipeline.portfolio.transition import Transition
from allocator_pipeline.training.by_sb3 import continue_sb3
from allocator_pipeline.training.drive import observe
from allocator_pipeline.training.full import measured
from allocator_pipeline.training.labelled import Lived, lived_through, recall
from allocator_pipeline.training.progress import Progress, silent
from allocator_pipeline.training.stacked import continue_stacked
from allocator_pipeline.training.weeks import last_exit, recent_weeks


class StoredPolicy(Protocol):
    """A verified artefact as the registry loads it."""

    @property
    def manifest(self) -> Mapping[str, Any]:
        """The manifest."""

    @property
    def files(self) -> Mapping[str, bytes]:
        """Its files by name."""


def finetune_identity(
    champion: Mapping[str, Any],
    week: str,
    states: StateTensors,
    experience: Sequence[Transition] = (),
    costs: CostConfig | None = None,
    settings: FinetuneSettings = FINETUNE,
) -> Identity:
    """Return what a fine-tune is made of, and so its version, without training it.

    Parameters
    ----------
    champion : mapping
        Manifest of the policy to start from.
    week : str
        Monday of the week whose decision the fine-tune is for.
    states : StateTensors
        Successive weeks up to that one, later ones are ignored.
    experience : sequence of Transition
        Labelled weeks of the allocator in order; those outside the buffer are ignored.
    costs : CostConfig, optional
    settings : FinetuneSettings

    Raises
    ------
    NotEnoughDataError
        If the 26 weeks known by the decision are not all there.
    ConfigurationError
        If the champion has read prices from after the decision.
    """
    weeks, costs = _weeks(champion, week, states, settings), costs or CostConfig()
    return _identity(champion, weeks, lived_through(experience, weeks, costs), costs, settings)


def finetune(
    champion: StoredPolicy,
    week: str,
    states: StateTensors,
    experience: Sequence[Transition] = (),
    costs: CostConfig | None = None,
    settings: FinetuneSettings = FINETUNE,
    progress: Progress = silent,
    *,
    checkpoints: Path | None = None,
    tensorboard: Path | None = None,
) -> Artifact:
    """Train a champion further on the weeks known by a decision; equal arguments give equal bytes.

    Networks, optimisers and SAC's alpha go on where they were; scaler and shrinkage stay. Each symbol that the champion
    knows keeps its slot, and what has joined takes the slot of what has left; the manifest names both. Labelled weeks
    enter as `labelled` says.

    Parameters
    ----------
    champion : StoredPolicy
        A verified artefact with ``manifest`` and ``files``; other parameters as of `finetune_identity`.
    progress : callable
        Receives steps done, speed and time left.
    checkpoints, tensorboard : Path, optional
        As of `full.train_full`.

    Returns
    -------
    Artifact
        With the champion as parent, hence a version that ends in ``-ft``; nothing is written to disk.

    Raises
    ------
    NotEnoughDataError, ConfigurationError
        As `finetune_identity`.
    CorruptArtifactError
        If the champion's files cannot be used.
    TrainingDivergedError
        If a number stops being finite.
    """
    costs = costs or CostConfig()
    weeks = _weeks(champion.manifest, week, states, settings)
    lived = lived_through(experience, weeks, costs)
    identity = _identity(champion.manifest, weeks, lived, costs, settings)
    torch.set_num_threads(1)
    prior = dataclasses.replace(Policy.from_files(champion.files), costs=costs)
    weeks = follow_slots(weeks, prior.symbols)
    recipe = finetune_recipe(prior.recipe, settings)
    observed = observe(identity, f"{identity.name} {week} fine-tune", progress, checkpoints, tensorboard)
    go_on = continue_stacked if recipe.engine == "stacked" else continue_sb3
    recalled = recall(lived, prior, weeks, settings)
    tuned = go_on(prior, recipe, champion.files, weeks, recalled, int(identity.config["seed"]), observed)
    symbols = tuned.policy.symbols
    facts = {
        "week": str(week),
        "recipe": prior.recipe.name,
        "first_week": str(weeks.weeks[0]),
        "last_week": str(weeks.weeks[-1]),
        "weeks": len(weeks),
        "experience": lived.facts(),
        "symbols": list(symbols),
        "joined": [symbol for symbol in symbols if symbol not in prior.symbols],
        "left": [symbol for symbol in prior.symbols if symbol not in symbols],
        **measured(tuned.policy, weeks, "buffer_in_sample"),
    }
    return Artifact(identity, tuned.files, facts)


def _weeks(champion: Mapping[str, Any], week: str, states: StateTensors, settings: FinetuneSettings) -> StateTensors:
    decision = str(calendar.week(week)["decision_session"].date())
    if champion["cutoff"] > decision:
        raise ConfigurationError(
            f"The champion {champion['version']} has read prices after the decision of {decision}.",
            todo="start from the champion as of that week.",
            week=str(week),
        )
    return recent_weeks(states, week, settings.weeks)


def _identity(
    champion: Mapping[str, Any], weeks: StateTensors, lived: Lived, costs: CostConfig, settings: FinetuneSettings
) -> Identity:
    experience = [one.digest for one in lived.transitions]
    try:
        config = champion["config"]
        recipe = recipe_from_values(config["algorithm"], config["recipe"])
        return Identity(
            kind="policy",
            name=champion["name"],
            cutoff=last_exit(weeks),
            config={
                "algorithm": config["algorithm"],
                "recipe": recipe_values(recipe),
                "scaler": "parent's",
                "finetune": dataclasses.asdict(settings),
                "costs": dataclasses.asdict(costs),
                "seed": config["seed"],
            },
            data=sha256(canonical_json({"states": weeks.digest(), "experience": experience})),
            parent=champion["version"],
        )
    except (KeyError, TypeError) as error:
        raise CorruptArtifactError(
            f"The champion's manifest is incomplete: {error!r}.", todo="train the policy again."
        ) from error
