"""Asset checks; those whose failure would poison what follows are blocking, and judge the partitions of the run."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
)

from allocator_pipeline.config import CASH, N_STOCKS
from allocator_pipeline.defs.metadata import markdown
from allocator_pipeline.defs.partitions import Partitions, split
from allocator_pipeline.defs.publishing import ASSET, publishing_problems
from allocator_pipeline.defs.resources import MarketResource, StoreResource
from allocator_pipeline.defs.storage import AssetStore
from allocator_pipeline.errors import AllocatorError
from allocator_pipeline.market import quality
from allocator_pipeline.portfolio.constraints import check_weights

BLOCKING = (
    ("prices", "prices_are_sane"),
    ("prices", "sessions_are_complete"),
    ("forecasts", "forecasts_cover_the_universe"),
    ("target_weights", "weights_keep_constraints"),
)
"""Asset and name of the blocking checks."""

LISTED = 50
"""So many problems are listed in the result of a check; all are counted."""

RECONCILED = 1e-9
"""Greatest difference of a week's return between paper account and environment."""


def asset_checks(partitions: Partitions) -> list[dg.AssetChecksDefinition]:
    """Return the checks."""

    @dg.asset_check(
        asset="prices",
        blocking=True,
        description="Prices are positive and consistent. Moves over 40 % can be genuine; the asset names them.",
    )
    def prices_are_sane(context: dg.AssetCheckExecutionContext, store: StoreResource, market: MarketResource):
        coverage = market.source.coverage()
        return verdict(
            context,
            store.assets,
            "prices",
            partitions.market_years,
            lambda key: quality.price_problems(store.assets.read("prices", key), int(key), coverage),
        )

    @dg.asset_check(
        asset="prices",
        blocking=True,
        description="Every session of the exchange calendar is there, once, and no other day.",
    )
    def sessions_are_complete(context: dg.AssetCheckExecutionContext, store: StoreResource, market: MarketResource):
        coverage = market.source.coverage()
        return verdict(
            context,
            store.assets,
            "prices",
            partitions.market_years,
            lambda key: quality.session_problems(store.assets.read("prices", key), int(key), coverage),
        )

    @dg.asset_check(
        asset="forecasts",
        blocking=True,
        description="Every stock of the universe has a finite forecast at every decision.",
    )
    def forecasts_cover_the_universe(context: dg.AssetCheckExecutionContext, store: StoreResource):
        def problems(key: str) -> list[str]:
            name, year = split(key)
            table = store.assets.read("forecasts", key)
            stocks = set(store.assets.read("universe", year)["symbol"])
            found = []
            for week, rows in table.groupby("week"):
                if set(rows["symbol"]) != stocks or not np.isfinite(rows["forecast"]).all():
                    found.append(f"{name}: the week of {week:%Y-%m-%d} does not cover the universe")
            return found

        return verdict(context, store.assets, "forecasts", partitions.forecaster_years, problems)

    @dg.asset_check(
        asset="target_weights",
        blocking=True,
        description="Weights are finite, sum to one and keep every bound.",
    )
    def weights_keep_constraints(context: dg.AssetCheckExecutionContext, store: StoreResource, market: MarketResource):
        def problems(key: str) -> list[str]:
            decision = store.assets.read("target_weights", key)
            weights = dict(decision["target_weights"])
            cash = weights.pop(CASH)
            try:
                check_weights(np.array([*weights.values(), cash])[None], market.settings.costs)
            except AllocatorError as error:
                return [str(error)]
            return [] if len(weights) == N_STOCKS else [f"{len(weights)} stocks instead of {N_STOCKS}"]

        return verdict(context, store.assets, "target_weights", partitions.decision_weeks, problems)

    @dg.asset_check(
        asset="paper_account",
        description="Every booked week pays what the environment's accounting makes of the weights that it reached, "
        "and begins with the value that the one before ended with.",
    )
    def account_reconciles(context: dg.AssetCheckExecutionContext, store: StoreResource):
        def problems(key: str) -> list[str]:
            booking = store.assets.read("paper_account", key)["booking"]
            if booking is None:
                return []
            error = booking["reconciliation_error"]
            off = [f"it is off by {error:.2e} of its value"] if abs(error) > RECONCILED else []
            jumps = (event["facts"] for event in booking["events"] if event["kind"] == "revised_prices")
            return [*off, *(_revised(facts) for facts in jumps)]

        return verdict(context, store.assets, "paper_account", partitions.label_weeks, problems)

    @dg.asset_check(
        asset="promoted_policies",
        description="The champion's artefact is stored whole: every file matches its sha256.",
    )
    def champion_verifies(context: dg.AssetCheckExecutionContext, store: StoreResource):
        def problems(key: str) -> list[str]:
            try:
                verdict = store.verdicts(key).champion()
                if verdict is not None:
                    store.models.load(key, verdict.champion)
            except AllocatorError as error:
                return [str(error)]
            return []

        return verdict(context, store.assets, "promoted_policies", partitions.allocators, problems)

    @dg.asset_check(
        asset=ASSET,
        description="Every stored version is on the Hub, or is not meant to be. A warning: what waits is tried again.",
    )
    def models_are_published(context: dg.AssetCheckExecutionContext, store: StoreResource):
        return verdict(
            context,
            store.assets,
            ASSET,
            partitions.allocators,
            lambda key: publishing_problems(store.assets.read(ASSET, key)),
            dg.AssetCheckSeverity.WARN,
        )

    return [
        prices_are_sane,
        sessions_are_complete,
        forecasts_cover_the_universe,
        weights_keep_constraints,
        account_reconciles,
        champion_verifies,
        models_are_published,
    ]


def _revised(facts: Mapping[str, Any]) -> str:
    return (
        f"revised prices of {', '.join(facts['prices']) or 'what is held'} changed its value from "
        f"{facts['nav_before']:,.2f} to {facts['nav']:,.2f} USD"
    )


def verdict(
    context: dg.AssetCheckExecutionContext,
    store: AssetStore,
    asset: str,
    partitions_def: dg.PartitionsDefinition,
    problems: Callable[[str], list[str]],
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
) -> dg.AssetCheckResult:
    """Return the result of a check that finds problems partition by partition.

    It judges the partitions of the run. A warning is about everything that is stored, those of the run first: Dagster
    shows the last result of a check, and a run of one year must not take back what is said about another. (A check
    with partitions of its own has a result by partition in runs of one, and one without partition in runs of several.)
    """
    run, stored = _keys(context.run.tags, partitions_def), store.keys(asset)
    if run is None:  # a check executed by itself
        checked = stored
    elif severity == dg.AssetCheckSeverity.WARN:
        checked = [*run, *(key for key in stored if key not in run)]
    else:
        checked = list(run)
    by_key = {key: problems(key) for key in checked}
    found = [f"{key}: {problem}" for key, told in by_key.items() for problem in told]
    listed = [f"- {line}" for line in found[:LISTED]]
    if len(found) > LISTED:
        listed.append(f"- and {len(found) - LISTED:,} more; a run of fewer partitions lists its own first")
    counts = [(key, len(told)) for key, told in by_key.items()]
    return dg.AssetCheckResult(
        passed=not found,
        severity=severity,
        description=" ".join(found[:3]) + (f" And {len(found) - 3:,} more." if len(found) > 3 else "") or None,
        metadata={
            "problems": dg.MetadataValue.md("\n".join(listed) or "none"),
            "found": len(found),
            "by_partition": markdown(pd.DataFrame(counts[:LISTED], columns=["partition", "found"])),
            "partitions": ", ".join(checked) if len(checked) <= LISTED else f"{min(checked)} to {max(checked)}",
        },
    )


def _keys(tags: Mapping[str, str], partitions_def: dg.PartitionsDefinition) -> Sequence[str] | None:
    """Return the partitions of a run, or None without any; Dagster stores one result of a check a run."""
    if ASSET_PARTITION_RANGE_START_TAG in tags:
        span = dg.PartitionKeyRange(tags[ASSET_PARTITION_RANGE_START_TAG], tags[ASSET_PARTITION_RANGE_END_TAG])
        return partitions_def.get_partition_keys_in_range(span)
    return [tags[PARTITION_NAME_TAG]] if PARTITION_NAME_TAG in tags else None
