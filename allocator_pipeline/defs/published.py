"""What a step had published when it ended early, on record in Dagster as if it had ended well."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import dagster as dg


@contextmanager
def on_record(context: dg.AssetExecutionContext) -> Iterator[dict[str, Mapping[str, Any]]]:
    """Give a place for the metadata of each partition as it is published; if the step fails, record those there are.

    A step that ends well records all its partitions itself. One that is interrupted or fails would record none, though
    they are stored and stay so. Of one that is killed outright the repetition of the run records them.

    Yields
    ------
    dict of str to mapping
        Metadata by partition, to be filled as partitions are published.
    """
    published: dict[str, Mapping[str, Any]] = {}
    try:
        yield published
    except BaseException:  # an interrupted run too
        for key, facts in published.items():
            event = dg.AssetMaterialization(context.asset_key, partition=key, metadata=facts)
            context.instance.report_runless_asset_event(event)
        raise
