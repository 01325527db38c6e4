"""Experience as files for others."""

import dagster as dg

from allocator_pipeline.defs.metadata import fields
from allocator_pipeline.defs.resources import StoreResource
from allocator_pipeline.experience.export import TABLE, export_experience


def experience_export_assets() -> list[dg.AssetsDefinition]:
    """Return the asset of the export."""

    @dg.asset(
        group_name="experience",
        owners=["team:portfolio"],
        kinds={"parquet", "json"},
        metadata=fields(runs="int", labelled="int", folder="string"),
        deps=["decisions", "labeled_experience"],
        description="Every decision and its label as files: one JSON a run with the training plan's fields, and all of "
        "them as experience.parquet; null while a label is pending. The same experience gives the same bytes.",
    )
    def experience_export(context: dg.AssetExecutionContext, store: StoreResource):
        done = export_experience(store.experience, store.exported)
        context.add_output_metadata({**done, "table": dg.MetadataValue.path(str(store.exported / TABLE))})
        return {"all": {"runs": done["runs"], "labelled": done["labelled"], "folder": store.exported.name}}

    return [experience_export]
