"""The way back from the Hub: a job that brings a published version into this data folder."""

import dagster as dg

from allocator_pipeline.defs.publishing import fetch_version
from allocator_pipeline.defs.resources import StoreResource


class FetchConfig(dg.Config):
    """Allocator, and the version to fetch; without one, what ``main`` holds."""

    allocator: str
    version: str | None = None


@dg.op(
    pool="hub",
    out=dg.Out(dg.Nothing),
    description="Downloads a version, verifies it by its sha256s, and stores it.",
)
def fetch_model(context: dg.OpExecutionContext, config: FetchConfig, store: StoreResource):
    """Fetch, and show in the UI what was fetched."""
    fetched = fetch_version(config.allocator, config.version, store)
    context.add_output_metadata(fetched)
    context.log.info(f"{fetched['name']} {fetched['version']} is stored, from {fetched['repo']}")


@dg.job(
    description="Bring a model version from the Hugging Face Hub into this data folder, verified. It is stored, not "
    "promoted: an evaluation report judges it like any other.",
)
def fetch_model_job():
    """Run the one step."""
    fetch_model()
