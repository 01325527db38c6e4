"""Publishing: versions on the Hugging Face Hub, if STORAGE_BACKEND is hf."""

import dagster as dg

from allocator_pipeline.defs.metadata import fields
from allocator_pipeline.defs.partitions import Partitions
from allocator_pipeline.defs.publishing import publish_pending
from allocator_pipeline.defs.resources import StoreResource


class PublishingConfig(dg.Config):
    """Nothing to upload what waits; ``anew`` to compare every version with the Hub, whatever is on record."""

    anew: bool = False


def publishing_assets(partitions: Partitions) -> list[dg.AssetsDefinition]:
    """Return the assets of the group."""
    by_allocator = dg.MultiToSingleDimensionPartitionMapping("allocator")

    @dg.asset(
        partitions_def=partitions.allocators,
        group_name="publishing",
        owners=["team:risk"],
        kinds={"json"},
        metadata=fields(
            allocator="string", state="string", repo="string", published="object", main="string", waiting="list"
        ),
        pool="hub",
        deps=[
            dg.AssetDep("trained_policies", partition_mapping=by_allocator),
            dg.AssetDep("finetuned_policies", partition_mapping=by_allocator),
            "promoted_policies",
        ],
        description="Uploads the allocator's stored versions, each as a branch with its model card, and the champion "
        "as main, to the repository that HF_<ALLOCATOR>_MODEL_REPO names. A failure is recorded and shown by the "
        "check, and what waits is tried again next time; the run itself does not fail. With STORAGE_BACKEND=local "
        "nothing is sent.",
    )
    def published_models(context: dg.AssetExecutionContext, config: PublishingConfig, store: StoreResource):
        values = {}
        for allocator in context.partition_keys:
            values[allocator] = record = publish_pending(allocator, store, context.log.info, config.anew)
            context.add_asset_metadata(
                {
                    "state": record["state"],
                    "repository": record["repo"] or "none",
                    "published": len(record["published"]),
                    "main": record["main"] or "none",
                    "waiting": len(record["waiting"]),
                    "failure": record["failure"] or "none",
                },
                partition_key=allocator,
            )
        return values

    return [published_models]
