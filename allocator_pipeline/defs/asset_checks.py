"""Asset checks; those whose failure would poison what follows are blocking, of the partitions of the run."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
import numpy as np

from allocator_pipeline.config import CASH, N_STOCKS
from allocator_pipeline.defs.check_results import check_result
from allocator_pipeline.defs.partitions import Partitions, split
from allocator_pipeline.defs.publishing import ASSET, publishing_problems
from allocator_pipeline.defs.resources import MarketResource, StoreResource
from allocator_pipeline.market import quality
from allocator_pipeline.portfolio.constraints import check_weights

BLOCKING = (
    ("prices", "prices_are_sane"),
    ("prices", "sessions_are_complete"),
    ("forecasts", "forecasts_cover_the_universe"),
    ("target_weights", "weights_keep_constraints"),
)
"""Asset and name of the blocking checks."""

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
        return check_result(
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
        return check_result(
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

        return check_result(context, store.assets, "forecasts", partitions.forecaster_years, problems)

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
            check_weights(np.array([*weights.values(), cash])[None], market.settings.costs)
            return [] if len(weights) == N_STOCKS else [f"{len(weights)} stocks instead of {N_STOCKS}"]

        return check_result(context, store.assets, "target_weights", partitions.decision_weeks, problems)

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

        return check_result(context, store.assets, "paper_account", partitions.label_weeks, problems)

    @dg.asset_check(
        asset="promoted_policies",
        description="The champion's artefact is stored whole: every file matches its sha256.",
    )
    def champion_verifies(context: dg.AssetCheckExecutionContext, store: StoreResource):
        def problems(key: str) -> list[str]:
            verdict = store.verdicts(key).champion()
            if verdict is not None:
                store.models.load(key, verdict.champion)
            return []

        return check_result(context, store.assets, "promoted_policies", partitions.allocators, problems)

    @dg.asset_check(
        asset=ASSET,
        description="Every stored version is on the Hub, or is not meant to be. A warning: what waits is tried again.",
    )
    def models_are_published(context: dg.AssetCheckExecutionContext, store: StoreResource):
        return check_result(
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
