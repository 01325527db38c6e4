"""The registry in the UI: one job a question, each of one op; what comes of it is in the op's metadata.

Promotions and roll-backs by hand are run config of ``promoted_policies``, so that graph and log agree at once.
"""

from functools import partial
from pathlib import Path

import dagster as dg
import pandas as pd

from allocator_pipeline.cli.needed import needed_versions
from allocator_pipeline.config import ALLOCATORS
from allocator_pipeline.defs.metadata import markdown
from allocator_pipeline.defs.resources import StoreResource
from allocator_pipeline.registry.catalogue import description, differences, fields_of, listed
from allocator_pipeline.registry.pruning import KEEP, plan, prune
from allocator_pipeline.registry.verification import verification, verified


class OneVersionConfig(dg.Config):
    """An allocator and one of its versions."""

    allocator: str
    version: str


class TwoVersionsConfig(dg.Config):
    """An allocator and two of its versions."""

    allocator: str
    version: str
    other: str


class PruneConfig(dg.Config):
    """An allocator, how many of its newest versions stay, and whether anything is removed or only shown."""

    allocator: str
    keep: int = KEEP
    apply: bool = False


@dg.op(out=dg.Out(dg.Nothing), description="Lists the stored versions of every allocator and what became of them.")
def list_versions(context: dg.OpExecutionContext, store: StoreResource):
    """Show a table an allocator, or what is wrong with its log."""
    found, wrong = listed(map(store.court, ALLOCATORS))
    for name, error in wrong.items():
        context.log.error(f"{name} cannot be listed: {error}")
    tables = {name: markdown(table) for name, table in found.items()}
    context.add_output_metadata({**tables, **{name: str(error) for name, error in wrong.items()}})


@dg.op(out=dg.Out(dg.Nothing), description="Shows everything known of a version.")
def show_version(context: dg.OpExecutionContext, config: OneVersionConfig, store: StoreResource):
    """Show its fields."""
    found = description(store.court(config.allocator), config.version)
    context.add_output_metadata({"version": markdown(fields_of(found))})


@dg.op(out=dg.Out(dg.Nothing), description="Compares two versions field by field.")
def compare_versions(context: dg.OpExecutionContext, config: TwoVersionsConfig, store: StoreResource):
    """Show the fields in which they differ."""
    found = differences(store.court(config.allocator), config.version, config.other)
    context.add_output_metadata({"fields": len(found), "differences": markdown(found)})


@dg.op(
    out=dg.Out(dg.Nothing),
    pool="promotion",
    description="Removes old versions that nothing needs, and records them; without `apply` it shows what it would do.",
)
def prune_versions(context: dg.OpExecutionContext, config: PruneConfig, store: StoreResource):
    """Plan or prune."""
    court, needed = store.court(config.allocator), partial(needed_versions, Path(store.root), config.allocator)
    if config.apply:
        entry = prune(court, needed, config.keep)
        removed = entry.versions if entry is not None else []
        context.add_output_metadata({"removed": len(removed), "versions": markdown(pd.DataFrame(removed))})
        return
    planned = plan(court, needed(), config.keep)
    kept = pd.DataFrame(sorted(planned.keep.items()), columns=["version", "because"])
    context.add_output_metadata({"would_remove": markdown(pd.DataFrame(planned.remove)), "would_keep": markdown(kept)})


@dg.op(
    out=dg.Out(dg.Nothing),
    description="Reads every sha256, seal and log, and what rests on the logs; fails if anything does not verify.",
)
def verify_registry(context: dg.OpExecutionContext, store: StoreResource):
    """Verify, and show what was read."""
    tables = [
        verification(store.court(name), needed_versions(Path(store.root), name), store.assets.root)
        for name in ALLOCATORS
    ]
    table = verified(pd.concat(tables, ignore_index=True))
    context.add_output_metadata({"verified": len(table), "results": markdown(table)})


def registry_jobs() -> list[dg.JobDefinition]:
    """Return a job for each op."""
    ops = {
        "list_versions_job": list_versions,
        "show_version_job": show_version,
        "compare_versions_job": compare_versions,
        "prune_versions_job": prune_versions,
        "verify_registry_job": verify_registry,
    }
    return [_job(name, op) for name, op in ops.items()]


def _job(name: str, op: dg.OpDefinition) -> dg.JobDefinition:
    @dg.job(name=name, description=op.description)
    def made():
        op()

    return made
