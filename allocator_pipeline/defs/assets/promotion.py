"""Promotion: the champion of each allocator, as the last verdict of its log, and the record of how it came to be."""

from dataclasses import asdict

import dagster as dg

from allocator_pipeline.defs.metadata import fields, markdown
from allocator_pipeline.defs.partitions import Partitions
from allocator_pipeline.defs.promotion import champion_badge, follow_order, history_table, judge_pending, newest_paper
from allocator_pipeline.defs.resources import MarketResource, StoreResource
from allocator_pipeline.registry.evidence_plot import evidence_picture
from allocator_pipeline.registry.ledger import FAILED
from allocator_pipeline.registry.record import court_record, gate_words
from allocator_pipeline.registry.verdicts import Verdict


class PromotionConfig(dg.Config):
    """Nothing to judge what waits; or an order to roll back or to promote by hand, which is a verdict too.

    A roll-back names a version that was champion before, a promotion any stored one; either names the Monday from
    which it serves, and why.
    """

    rollback_to: str | None = None
    promote_to: str | None = None
    effective_week: str | None = None
    reason: str = "ordered by hand"


def promotion_assets(partitions: Partitions) -> list[dg.AssetsDefinition]:
    """Return the assets of the group."""

    @dg.asset(
        partitions_def=partitions.allocators,
        group_name="promotion",
        owners=["team:risk"],
        kinds={"json"},
        metadata=fields(allocator="string", verdicts="list of object", judged_through="string"),
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
            court = store.court(allocator, market.settings.gate)
            through = newest_paper(allocator, store)
            fresh = judge_pending(court, store, market.settings.costs, context.log.info)
            ordered = follow_order(
                court,
                rollback_to=config.rollback_to,
                promote_to=config.promote_to,
                effective_week=config.effective_week,
                reason=config.reason,
            )
            fresh += [ordered] if ordered is not None else []
            history, champion = court.log.history(), court.log.champion()
            values[allocator] = {
                "allocator": allocator,
                "verdicts": [asdict(verdict) for verdict in history],
                "judged_through": through,
            }
            context.add_asset_metadata(
                {
                    "champion": champion.champion if champion else "none",
                    "badge": champion_badge(court, champion),
                    "gate": gate_words(asdict(market.settings.gate)),
                    "effective_week": champion.effective_week if champion else "none",
                    "new_verdicts": len(fresh),
                    "history": markdown(history_table(history)),
                },
                partition_key=allocator,
            )
        return values

    @dg.asset(
        partitions_def=partitions.allocators,
        group_name="promotion",
        owners=["team:risk"],
        kinds={"json"},
        metadata=fields(allocator="string", cases="list of object", tries="list of object", record="string"),
        description="The court record of an allocator: each case with its parties, weeks, rule and numbers, the "
        "evidence over all tries so far, the ruling with its reason, and the hashes that seal it; newest first. "
        "Roll-backs are cases too. `replay_verdicts_job` makes every verdict again from its kept inputs.",
    )
    def promotion_history(context: dg.AssetExecutionContext, store: StoreResource, promoted_policies):
        values = {}
        for allocator in context.partition_keys:
            history = [Verdict(**verdict) for verdict in promoted_policies[allocator]["verdicts"]]
            tries = [entry for entry in store.court(allocator).tries() if entry.allocator == allocator]
            record = court_record(history)
            values[allocator] = {
                "allocator": allocator,
                "cases": [{**asdict(verdict), "sha256": verdict.sha256} for verdict in history],
                "tries": [_shown(entry) for entry in tries],
                "record": record,
            }
            context.add_asset_metadata(
                {
                    "record": dg.MetadataValue.md(record),
                    "evidence": dg.MetadataValue.md(evidence_picture(tries, allocator)),
                    "cases": len(history),
                    "tries": len(tries),
                    "failed_tries": sum(entry.verdict == FAILED for entry in tries),
                },
                partition_key=allocator,
            )
        return values

    return [promoted_policies, promotion_history]


def _shown(entry) -> dict[str, object]:
    """Return a try without its streams, which lie in the ledger."""
    shown = {name: value for name, value in asdict(entry).items() if name not in ("weeks", "against")}
    scores = ("sharpe_difference", "t", "z", "threshold", "spent")
    against = {name: {score: each[score] for score in scores} for name, each in entry.against.items()}
    return {**shown, "weeks": len(entry.weeks), "against": against, "sha256": entry.sha256}
