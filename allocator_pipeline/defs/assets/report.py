"""The HTML report: all allocators and baselines side by side, with plots."""

from pathlib import Path

import dagster as dg

from allocator_pipeline.defs.metadata import fields
from allocator_pipeline.defs.report import FILE, latest_inputs, write_report
from allocator_pipeline.defs.resources import MarketResource, StoreResource


def report_assets() -> list[dg.AssetsDefinition]:
    """Return the assets of the group."""

    @dg.asset(
        group_name="report",
        owners=["team:risk"],
        kinds={"html"},
        metadata=fields(file="string", sha256="string"),
        deps=["eval_reports", "promoted_policies", "target_weights", "forecast_summary"],
        description="One page: every allocator's latest report beside the baselines, equity curves and "
        "drawdowns, weights, forecast panel, this week's weights, and every verdict of the gate.",
    )
    def allocation_report(context: dg.AssetExecutionContext, market: MarketResource, store: StoreResource):
        inputs = latest_inputs(store)
        path = Path(store.root) / FILE
        digest = write_report(inputs, path)
        context.add_output_metadata(
            {
                "path": dg.MetadataValue.path(str(path)),
                "simulated": list(market.source.coverage().simulated),
                "summary": dg.MetadataValue.md(f"```\n{inputs.summary()}\n```"),
            }
        )
        return {"all": {"file": FILE, "sha256": digest}}

    return [allocation_report]
