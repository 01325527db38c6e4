"""The weekly report: a page for a week, sent by mail if a server is named."""

from collections.abc import Sequence
from typing import Any

import dagster as dg
import pandas as pd

from allocator_pipeline.defs.delivery import arrived, deliver_report
from allocator_pipeline.defs.metadata import fields, markdown
from allocator_pipeline.defs.partitions import Partitions
from allocator_pipeline.defs.resources import MarketResource, StoreResource
from allocator_pipeline.defs.weekly_report import weekly_facts, weekly_value, write_weekly
from allocator_pipeline.defs.weekly_warnings import failed_checks
from allocator_pipeline.evaluation.summary import LABELS
from allocator_pipeline.evaluation.weekly.page import nav_picture
from allocator_pipeline.evaluation.weekly.words import rivals_of, words

DELIVERED = "report_is_delivered"


class DeliveryConfig(dg.Config):
    """Whether to send the report where ALLOCATOR_SMTP_HOST names a server; a run over several weeks sends none."""

    send: bool = True


def weekly_report_assets(partitions: Partitions, checks: Sequence[dg.AssetCheckKey]) -> list[dg.AssetsDefinition]:
    """Return the asset of the weekly reports, which tells what the checks given found when they last ran."""
    every = dg.AllPartitionMapping()
    read = (
        "paper_account",
        "labeled_experience",
        "paper_evaluations",
        "promoted_policies",
        "baseline_weights",
        "signals",
    )

    @dg.asset(
        partitions_def=partitions.weeks(1),
        backfill_policy=dg.BackfillPolicy.single_run(),
        group_name="report",
        owners=["team:risk"],
        kinds={"html", "json"},
        metadata=fields(
            week="string",
            decision_session="string",
            known_week="string",
            allocators="object",
            rivals="object",
            tries="int",
            warnings="list of string",
            file="string",
            sha256="string",
        ),
        deps=[
            dg.AssetDep("decisions", partition_mapping=dg.MultiToSingleDimensionPartitionMapping("week")),
            *(dg.AssetDep(name, partition_mapping=every) for name in read),
        ],
        check_specs=[
            dg.AssetCheckSpec(
                DELIVERED,
                asset="weekly_report",
                description="The report went out by mail, or is not meant to. A warning: the page is there anyway.",
            )
        ],
        description="One page for a week, from what was known at its decision: all allocators and baselines side by "
        "side with target weights, orders, the last known week's result, value since the start, champions with badges, "
        "new verdicts, and what is wrong with the data. What does not exist yet is named, and what is damaged too.",
    )
    def weekly_report(
        context: dg.AssetExecutionContext, config: DeliveryConfig, market: MarketResource, store: StoreResource
    ):
        values, told = {}, "not sent: this run covers several weeks"
        failed = failed_checks(context.instance, checks)
        for week in context.partition_keys:
            facts = weekly_facts(week, store, market, failed)
            for name, one in facts["allocators"].items():
                if "damaged" in one:
                    context.log.error(f"{name} is left out of the report of {week}: {one['damaged']}")
            path, html = write_weekly(facts, store)
            values[week] = weekly_value(facts, html)
            if len(context.partition_keys) == 1:
                told = _sent(config, html, week, context)
            shown = {"path": dg.MetadataValue.path(str(path)), "delivery": told, **_facts(facts)}
            context.add_asset_metadata(shown, partition_key=week)
        yield dg.Output(values)
        yield dg.AssetCheckResult(
            check_name=DELIVERED,
            passed=arrived(told),
            severity=dg.AssetCheckSeverity.WARN,
            description=told,
        )

    return [weekly_report]


def _sent(config: DeliveryConfig, html: str, week: str, context: dg.AssetExecutionContext) -> str:
    if not config.send:
        return "not sent: this run was asked not to"
    return deliver_report(html, f"Weekly report: {week}", context.log.info)


def _facts(facts: dict[str, Any]) -> dict[str, Any]:
    targets = {
        name: one["decision"]["target"] for name, one in facts["allocators"].items() if one["decision"] is not None
    }
    targets |= {
        LABELS.get(name, name): facts["rivals"]["target"][name]
        for name in rivals_of(facts)
        if name in facts["rivals"]["target"]
    }
    weights = pd.DataFrame(targets).fillna(0.0).rename_axis("symbol").reset_index()
    return {
        "words": dg.MetadataValue.md("\n".join(f"- {line}" for line in words(facts))),
        "weights": markdown(weights) if targets else "nothing decided",
        "value": dg.MetadataValue.md(nav_picture(facts) or "no paper account is booked yet"),
        "warnings": dg.MetadataValue.md("\n".join(f"- {line}" for line in facts["warnings"]) or "none"),
    }
