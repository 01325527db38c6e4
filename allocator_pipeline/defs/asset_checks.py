"""Asset checks by partition; those whose failure would poison what follows are blocking."""

from collections.abc import Callable, Iterable

import dagster as dg
import numpy as np

from allocator_pipeline.config import CASH, N_STOCKS
from allocator_pipeline.defs.partitions import Partitions, split
from allocator_pipeline.defs.resources import MarketResource, StoreResource
from allocator_pipeline.errors import AllocatorError
from allocator_pipeline.market import quality
from allocator_pipeline.portfolio.constraints import check_weights


def asset_checks(partitions: Partitions) -> list[dg.AssetChecksDefinition]:
    """Return the checks."""

    @dg.asset_check(
        asset="prices",
        blocking=True,
        partitions_def=partitions.market_years,
        description="Prices are positive and consistent; large jumps are listed.",
    )
    def prices_are_sane(context: dg.AssetCheckExecutionContext, store: StoreResource, market: MarketResource):
        coverage = market.source.coverage()
        return _verdict(
            context, lambda key: quality.price_problems(store.assets.read("prices", key), int(key), coverage)
        )

    @dg.asset_check(
        asset="prices",
        blocking=True,
        partitions_def=partitions.market_years,
        description="Every session of the exchange calendar is there, once, and no other day.",
    )
    def sessions_are_complete(context: dg.AssetCheckExecutionContext, store: StoreResource, market: MarketResource):
        coverage = market.source.coverage()
        return _verdict(
            context, lambda key: quality.session_problems(store.assets.read("prices", key), int(key), coverage)
        )

    @dg.asset_check(
        asset="forecasts",
        blocking=True,
        partitions_def=partitions.forecaster_years,
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

        return _verdict(context, problems)

    @dg.asset_check(
        asset="target_weights",
        blocking=True,
        partitions_def=partitions.decision_weeks,
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

        return _verdict(context, problems)

    @dg.asset_check(
        asset="promoted_policies",
        partitions_def=partitions.allocators,
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

        return _verdict(context, problems)

    return [
        prices_are_sane,
        sessions_are_complete,
        forecasts_cover_the_universe,
        weights_keep_constraints,
        champion_verifies,
    ]


def _verdict(context: dg.AssetCheckExecutionContext, problems: Callable[[str], list[str]]):
    keys: Iterable[str] = context.op_execution_context.partition_keys
    found = [f"{key}: {problem}" for key in keys for problem in problems(key)]
    return dg.AssetCheckResult(
        passed=not found,
        severity=dg.AssetCheckSeverity.ERROR,
        metadata={"problems": dg.MetadataValue.md("\n".join(f"- {line}" for line in found[:50]) or "none")},
    )
