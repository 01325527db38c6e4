"""The IO manager of every asset: whole partitions out, lazy partitions in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from allocator_pipeline.defs.storage import AssetStore, Partitioned
from allocator_pipeline.errors import ConflictError


class PublishedIOManager(dg.ConfigurableIOManager):
    """Store each partition as a published object; hand inputs over as a lazy `Partitioned` mapping.

    An asset returns a dict from partition key to value, whether its run covers one partition or thirty, and receives
    its inputs in one form whatever the number of partitions they map to. One whose values are too large to be held
    together stores each itself and returns them as `Partitioned`, unread.
    """

    root: str
    claim: str

    @property
    def store(self) -> AssetStore:
        """The store behind it."""
        return AssetStore(Path(self.root))

    def handle_output(self, context: dg.OutputContext, obj: Mapping[str, Any]) -> None:
        """Publish each partition that the step produced."""
        asset = context.asset_key.path[-1]
        expected = set(context.asset_partition_keys) if context.has_asset_partitions else {"all"}
        if set(obj) != expected:
            raise ConflictError(
                f"{asset} returned the partitions {sorted(obj)} instead of {sorted(expected)}.",
                todo="report this defect.",
            )
        self.store.claim(self.claim)
        if isinstance(obj, Partitioned):
            obj.check_stored()
            return
        for key, value in obj.items():
            self.store.write(asset, key, value)

    def load_input(self, context: dg.InputContext) -> Partitioned:
        """Return the upstream partitions of an input, unread."""
        keys = list(context.asset_partition_keys) if context.has_asset_partitions else ["all"]
        return Partitioned(self.store, context.asset_key.path[-1], keys)
