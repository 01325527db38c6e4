"""Promotion: the champion of each allocator, as the last verdict of its log."""

from dataclasses import asdict

import dagster as dg

from allocator_pipeline.defs.metadata import fields, markdown
from allocator_pipeline.defs.partitions import Partitions
from allocator_pipeline.defs.promotion import history_table, judge_pending, roll_back
from allocator_pipeline.defs.resources import MarketResource, StoreResource


class PromotionConfig(dg.Config):
    """Nothing to judge what waits; or an order to roll back, which is a verdict too.

    A roll-back names a version that was champion before, the Monday from which it serves again, and why.
    """

    rollback_to: str | None = None
    effective_week: str | None = None
    reason: str = "ordered by hand"


def promotion_assets(partitions: Partitions) -> list[dg.AssetsDefinition]:
    """Return the assets of the group."""

    @dg.asset(
        partitions_def=partitions.allocators,
        group_name="promotion",
        owners=["team:risk"],
        kinds={"json"},
        metadata=fields(allocator="string", verdicts="list of object"),
        pool="promotion",
        deps=[dg.AssetDep("eval_reports", partition_mapping=dg.MultiToSingleDimensionPartitionMapping("allocator"))],
        description="Judges every report and paper stream of the allocator that has no verdict yet, in order, "
        "and appends the verdicts to its log. The champion of a week is the last version promoted with effect "
        "before it. Paper evaluations are read too; they depend on earlier champions, so the graph cannot show "
        "that arrow.",
    )
    def promoted_policies(
        context: dg.AssetExecutionContext, config: PromotionConfig, market: MarketResource, store: StoreResource
    ):
        values = {}
        for allocator in context.partition_keys:
            fresh = judge_pending(allocator, store, market.settings.costs, context.log.info)
            if config.rollback_to:
                fresh.append(roll_back(allocator, store, config.rollback_to, config.effective_week, config.reason))
            log = store.verdicts(allocator)
            history, champion = log.history(), log.champion()
            values[allocator] = {"allocator": allocator, "verdicts": [asdict(verdict) for verdict in history]}
            context.add_asset_metadata(
                {
                    "champion": champion.champion if champion else "none",
                    "effective_week": champion.effective_week if champion else "none",
                    "new_verdicts": len(fresh),
                    "history": markdown(history_table(history)),
                },
                partition_key=allocator,
            )
        return values

    return [promoted_policies]
