"""Asset checks of a live market: what a second source, corporate actions or an earlier answer say against its prices.

They warn: a vendor that disagrees may be the one that is wrong, and genuine moves over 40 % exist.
"""

import dagster as dg

from allocator_pipeline.defs.asset_checks import verdict
from allocator_pipeline.defs.partitions import Partitions
from allocator_pipeline.defs.resources import StoreResource
from allocator_pipeline.market.quality import DISAGREES, JUMPS, LACKS, REWRITTEN

CHECKS = {
    "jumps_are_explained": (JUMPS, "Moves over 40 % that no dividend or split explains, to be looked at."),
    "history_is_as_first_seen": (REWRITTEN, "Returns that a later answer tells otherwise; the first one counts."),
    "second_source_agrees": (DISAGREES, "Daily returns more than 50 basis points from those of another vendor."),
    "second_source_is_whole": (LACKS, "Sessions with a bar for which the other vendor has none."),
}
COMPARING = (DISAGREES, LACKS)
"""Kinds of doubts that need a second source."""


def live_checks(partitions: Partitions, feeds: tuple[str, ...]) -> list[dg.AssetChecksDefinition]:
    """Return the checks of a live market with these feeds."""
    names = [name for name, (kind, _) in CHECKS.items() if kind not in COMPARING or "alpaca_bars" in feeds]
    return [_check(partitions, name, *CHECKS[name]) for name in names]


def _check(partitions: Partitions, name: str, kind: str, description: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset="price_doubts", name=name, description=description)
    def check(context: dg.AssetCheckExecutionContext, store: StoreResource):
        def problems(key: str) -> list[str]:
            doubts = store.assets.read("price_doubts", key)
            return doubts.loc[doubts["kind"] == kind, "told"].tolist()

        severity = dg.AssetCheckSeverity.WARN
        return verdict(context, store.assets, "price_doubts", partitions.market_years, problems, severity)

    return check
