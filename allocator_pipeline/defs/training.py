"""Policies of some years, trained side by side; what is stored is not trained again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from allocator_pipeline.config import Settings, forecaster_of
from allocator_pipeline.defs.inputs import states_of_years
from allocator_pipeline.defs.models import watched
from allocator_pipeline.defs.resources import StoreResource
from allocator_pipeline.defs.storage import Partitioned
from allocator_pipeline.errors import AllocatorError
from allocator_pipeline.portfolio.objective import Objective
from allocator_pipeline.registry.artifacts import LoadedArtifact
from allocator_pipeline.registry.tries import count_failure
from allocator_pipeline.training.progress import Progress

if TYPE_CHECKING:
    from allocator_pipeline.defs.assets.policies import TrainingConfig

REFERENCE = "reference"

Wanted = Mapping[str, tuple[str, int, range]]
"""By partition: allocator, year of the policy, and the years whose states it learns from."""


def train_years(
    wanted: Wanted,
    state_tensors: Partitioned,
    recipe: str,
    config: TrainingConfig,
    store: StoreResource,
    settings: Settings,
    log: Progress,
) -> dict[str, LoadedArtifact]:
    """Return the policies of some partitions, trained in processes of one thread each and stored one by one.

    Parameters
    ----------
    wanted : mapping
    state_tensors : Partitioned
    recipe : str
    config : TrainingConfig
    store : StoreResource
    settings : Settings
        Costs and the least number of years.
    log : callable
        Receives progress.

    Returns
    -------
    dict of str to LoadedArtifact
        By partition, read back from the store and verified.

    Raises
    ------
    AllocatorError
        What stopped a training; it is counted as a try.
    """
    from allocator_pipeline.training.checkpoints import checkpoint_of
    from allocator_pipeline.training.full import full_identity
    from allocator_pipeline.training.worker import Task
    from allocator_pipeline.training.workers import train_in_processes

    objective = Objective(**config.objective.model_dump())
    states, identities, tasks = {}, {}, []
    for key, (allocator, year, years) in wanted.items():
        own = states_of_years(state_tensors, allocator, years)
        identity = full_identity(
            allocator, year, own, recipe, config.seed, settings.costs, settings.min_training_years, objective
        )
        identities[key] = identity
        if store.models.has(identity):
            log(f"{identity.name} {identity.version} is stored already")
            continue
        name = f"{forecaster_of(allocator)}-{year}"
        states[name] = own
        tasks.append(
            Task(
                allocator=allocator,
                year=year,
                states=name,
                recipe=recipe,
                seed=config.seed,
                costs=settings.costs,
                min_years=settings.min_training_years,
                objective=objective,
                **watched(store),
            )
        )

    def failed(task: Task, error: AllocatorError) -> None:
        if recipe != REFERENCE:  # which is never promoted: no try for the badge
            count_failure(store.ledger, identities[f"{task.allocator}|{task.year}"], error)

    for _, artifact in train_in_processes(tasks, states, config.processes, log, failed):
        store.models.save(artifact)
        checkpoint_of(store.checkpoints, artifact.identity).discard()
        log(f"stored {artifact.name} {artifact.version}")
    return {key: store.models.load(identity.name, identity.version) for key, identity in identities.items()}
