"""The HTML report: all allocators and baselines side by side, with plots."""

from dataclasses import replace
from pathlib import Path

import dagster as dg

from allocator_pipeline.defs.data_quality import gather_quality
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
        deps=[
            "eval_reports",
            "allocator_summary",
            "evaluation_summary",
            "promoted_policies",
            "target_weights",
            "forecast_summary",
        ],
        description="One page: every allocator beside the baselines with intervals and tries, badges of the champions, "
        "tests, equity and drawdown with bands over seeds, years, costs, weights, what the policies respond to, "
        "placebos, forecasts, this week's weights, every verdict, and how far the data can be trusted. It says what to "
        "materialise for what is missing.",
    )
    def allocation_report(context: dg.AssetExecutionContext, market: MarketResource, store: StoreResource):
        inputs = replace(latest_inputs(store), quality=gather_quality(store.assets, market))
        path = Path(store.root) / FILE
        digest = write_report(inputs, path)
        context.add_output_metadata(
            {
                "path": dg.MetadataValue.path(str(path)),
                "simulated": list(market.source.coverage().simulated),
                "words": dg.MetadataValue.md("\n".join(f"- {line}" for line in inputs.words())),
                "summary": dg.MetadataValue.md(f"```\n{inputs.summary()}\n```"),
            }
        )
        return {"all": {"file": FILE, "sha256": digest}}

    return [allocation_report]
