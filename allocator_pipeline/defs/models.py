"""Train a model once: what is stored under the same identity is loaded and verified instead."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from allocator_pipeline.artifact import Artifact, Identity
from allocator_pipeline.config import CostConfig
from allocator_pipeline.defs.resources import StoreResource
from allocator_pipeline.errors import AllocatorError
from allocator_pipeline.evaluation.forgetting import forgetting
from allocator_pipeline.portfolio.state import StateTensors
from allocator_pipeline.registry.artifacts import ArtifactStore, LoadedArtifact
from allocator_pipeline.registry.promotion import policy_of

if TYPE_CHECKING:
    from allocator_pipeline.allocators.policy import Policy


def trained(
    models: ArtifactStore,
    identity: Identity,
    train: Callable[[], Artifact],
    log: Callable[[str], None],
    failed: Callable[[AllocatorError], None],
    checkpoints: Path | None = None,
) -> LoadedArtifact:
    """Return the model of an identity, training and storing it only if it is not stored yet.

    Parameters
    ----------
    models : ArtifactStore
    identity : Identity
        Everything that shapes the model; its version is known before training.
    train : callable
        Trains the model and returns it.
    log : callable
        Receives one line of progress.
    failed : callable
        Receives what stopped the training, before it is raised.
    checkpoints : Path, optional
        Folder of the checkpoints; that of a stored model is removed.

    Returns
    -------
    LoadedArtifact
        Read back from the store, verified.
    """
    if models.has(identity):
        log(f"{identity.name} {identity.version} is stored already")
    else:
        log(f"training {identity.name} {identity.version}")
        try:
            artifact = train()
        except AllocatorError as error:
            failed(error)
            raise
        models.save(artifact)
    if checkpoints is not None:
        from allocator_pipeline.training.checkpoints import checkpoint_of

        checkpoint_of(checkpoints, identity).discard()
    return models.load(identity.name, identity.version)


def watched(store: StoreResource) -> dict[str, Any]:
    """Return where trainings leave off and where their scalars go, as words of `train_full` and `finetune`."""
    return {"checkpoints": store.checkpoints, "tensorboard": store.tensorboard}


def forgotten(
    champion: LoadedArtifact, finetuned: LoadedArtifact, states: StateTensors, costs: CostConfig
) -> dict[str, Any]:
    """Return `evaluation.forgetting.forgetting` of a stored fine-tune and the champion it started from."""
    first_tuned = finetuned.manifest["facts"]["first_week"]
    return forgetting(policy_of(champion), policy_of(finetuned), states, first_tuned, champion.cutoff, costs)


def reference(loaded: LoadedArtifact) -> dict[str, object]:
    """Return the asset value that stands for a stored model: where to find it and how to recognise it."""
    manifest = loaded.manifest
    return {name: manifest[name] for name in ("name", "version", "cutoff", "parent", "identity_sha256", "data_sha256")}


def stored_policy(store: StoreResource, value: Mapping[str, Any]) -> tuple[str, Policy]:
    """Return version and policy of the model that an asset value stands for."""
    from allocator_pipeline.allocators.policy import Policy

    return value["version"], Policy.from_files(store.models.load(value["name"], value["version"]).files)
