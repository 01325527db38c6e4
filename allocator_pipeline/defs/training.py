"""Policies of some years, trained side by side; what is stored is not trained again."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from allocator_pipeline.artifact import Identity
from allocator_pipeline.config import Settings, forecaster_of
from allocator_pipeline.defs.inputs import states_of_years
from allocator_pipeline.defs.models import watched
from allocator_pipeline.defs.resources import StoreResource
from allocator_pipeline.defs.storage import Partitioned
from allocator_pipeline.errors import AllocatorError
from allocator_pipeline.portfolio.objective import Objective
from allocator_pipeline.registry.artifacts import ArtifactStore, LoadedArtifact
from allocator_pipeline.registry.tries import count_failure
from allocator_pipeline.training.progress import Progress

if TYPE_CHECKING:
    from allocator_pipeline.defs.assets.policies import Choices

REFERENCE = "reference"
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Wanted:
    """A policy that is to be trained.

    Parameters
    ----------
    allocator : str
    year : int
        Year of the policy.
    years : range
        The years whose states it learns from.
    seed : int
    """

    allocator: str
    year: int
    years: range
    seed: int


def replicate_name(allocator: str, seed: int) -> str:
    """Return the name that replicates of an allocator's recipe are stored under.

    It is no allocator's: nothing that judges, serves or uploads an allocator's versions ever finds one there.
    """
    return f"{allocator}-seed-{seed}"


def seen_as_replicates(models: ArtifactStore, values: Mapping[int, Mapping[str, Any]]) -> list[int]:
    """Return the judged years whose policy is stored as a replicate too: what it earned may have been seen uncounted.

    Parameters
    ----------
    models : ArtifactStore
    values : mapping of int to dict
        By policy year: the values of ``trained_policies``; that of y-1 decides y.
    """
    return [year + 1 for year, value in sorted(values.items()) if _seen(models, value)]


def _seen(models: ArtifactStore, value: Mapping[str, Any]) -> bool:
    manifest = models.load(value["name"], value["version"]).manifest
    name, config = replicate_name(manifest["name"], manifest["config"]["seed"]), manifest["config"]
    return models.has(Identity(manifest["kind"], name, manifest["cutoff"], config, manifest["data_sha256"]))


def train_years(
    wanted: Mapping[Key, Wanted],
    state_tensors: Partitioned,
    recipe: str,
    config: Choices,
    store: StoreResource,
    settings: Settings,
    log: Progress,
    *,
    replicates: bool = False,
) -> dict[Key, LoadedArtifact]:
    """Return some policies, trained in processes of one thread each and stored one by one.

    Parameters
    ----------
    wanted : mapping
    state_tensors : Partitioned
    recipe : str
    config : Choices
    store : StoreResource
    settings : Settings
        Costs and the least number of years.
    log : callable
        Receives progress.
    replicates : bool
        Whether they are stored under names of their own (`replicate_name`), where nothing is promoted from.

    Returns
    -------
    dict of key to LoadedArtifact
        Read back from the store and verified.

    Raises
    ------
    AllocatorError
        What stopped a training; it is counted as a try, unless what is trained is never promoted.
    """
    from allocator_pipeline.training.checkpoints import checkpoint_of
    from allocator_pipeline.training.full import full_identity
    from allocator_pipeline.training.worker import Task
    from allocator_pipeline.training.workers import train_in_processes

    objective = Objective(**config.objective.model_dump())
    states, identities, tasks = {}, {}, []

    def stored_as(identity: Identity) -> Identity:
        if not replicates:
            return identity
        return replace(identity, name=replicate_name(identity.name, identity.config["seed"]))

    for key, one in wanted.items():
        own = states_of_years(state_tensors, one.allocator, one.years)
        identity = full_identity(
            one.allocator, one.year, own, recipe, one.seed, settings.costs, settings.min_training_years, objective
        )
        identities[key] = stored_as(identity)
        if store.models.has(identities[key]):
            log(f"{identities[key].name} {identities[key].version} is stored already")
            continue
        name = f"{forecaster_of(one.allocator)}-{one.year}"
        states[name] = own
        tasks.append(
            Task(
                allocator=one.allocator,
                year=one.year,
                states=name,
                recipe=recipe,
                seed=one.seed,
                costs=settings.costs,
                min_years=settings.min_training_years,
                objective=objective,
                **watched(store),
            )
        )

    def failed(task: Task, error: AllocatorError) -> None:
        if recipe == REFERENCE or replicates:  # never promoted: no try for the badge
            return
        (key,) = (key for key, one in wanted.items() if (one.allocator, one.year) == (task.allocator, task.year))
        count_failure(store.ledger, identities[key], error)

    for _, artifact in train_in_processes(tasks, states, config.processes, log, failed):
        kept = replace(artifact, identity=stored_as(artifact.identity))
        store.models.save(kept)
        checkpoint_of(store.checkpoints, artifact.identity).discard()
        log(f"stored {kept.name} {kept.version}")
    return {key: store.models.load(identity.name, identity.version) for key, identity in identities.items()}
