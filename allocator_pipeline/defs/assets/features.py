"""Point-in-time features by year: universe, weekly signals, outcomes, and the bars a forecaster may read."""

from typing import Any

import dagster as dg
import pandas as pd

from allocator_pipeline import schemas
from allocator_pipeline.config import FORECAST_CHAIN_YEARS, FORECAST_TRAINING_YEARS, SIGNALS
from allocator_pipeline.defs.metadata import column_schema, markdown, picture, table_facts
from allocator_pipeline.defs.partitions import ALL_BEFORE, Partitions, time_window
from allocator_pipeline.defs.published import on_record
from allocator_pipeline.defs.resources import MarketResource, StoreResource
from allocator_pipeline.defs.storage import AssetStore, Partitioned
from allocator_pipeline.features.outcomes import outcomes_table
from allocator_pipeline.features.signals import weekly_signals
from allocator_pipeline.market.sources import memberships_of
from allocator_pipeline.market.universe import universe_of

GROUP = {"group_name": "features", "owners": ["team:research"], "backfill_policy": dg.BackfillPolicy.single_run()}

WINDOW_YEARS = FORECAST_TRAINING_YEARS + 1 + FORECAST_CHAIN_YEARS - 1
"""Years before its own that a price window reaches back: those of the first model of the longest chain."""


def feature_assets(partitions: Partitions) -> list[dg.AssetsDefinition]:
    """Return the assets of the group."""
    years = partitions.feature_years

    @dg.asset(
        partitions_def=years,
        kinds={"parquet"},
        ins={"prices": dg.AssetIn(partition_mapping=time_window(ALL_BEFORE, -1))},
        metadata=column_schema(schemas.UNIVERSE),
        description="The year's 15 stocks by slot, ranked by liquidity on data known before its first decision. "
        "A symbol keeps its slot while it stays. Mode `fixed` uses one list for all years and carries survivorship.",
        **GROUP,
    )
    def universe(context: dg.AssetExecutionContext, market: MarketResource, prices):
        fixed = market.source.fixed_universe() if market.universe == "fixed" else None
        lists = memberships_of(market.settings)
        screens = ", ".join(path.stem for path in market.settings.screens) or "none"
        tables = {}
        for key in context.partition_keys:
            table = universe_of(int(key), prices.table(last=str(int(key) - 1)), market.settings.universe, fixed, lists)
            tables[key] = schemas.validate(table, schemas.UNIVERSE, market.market)
            context.add_asset_metadata(
                {**table_facts(table, "known_at"), "mode": market.universe, "screens": screens}
                | {"stocks": markdown(table[["slot", "symbol", "rank", "liquidity", "measure"]])},
                partition_key=key,
            )
        return tables

    @dg.asset(
        partitions_def=years,
        kinds={"parquet"},
        ins={
            "sentiment": dg.AssetIn(partition_mapping=time_window(-1, 0)),
            "fundamentals": dg.AssetIn(partition_mapping=time_window(-2, 0)),
        },
        metadata=column_schema(schemas.SIGNALS_TABLE),
        description="Seven signals for each of the 15 stocks at each weekly decision, from records known before it.",
        **GROUP,
    )
    def signals(context: dg.AssetExecutionContext, market: MarketResource, universe, sentiment, fundamentals):
        tables = {}
        for key in context.partition_keys:
            year = int(key)
            table = weekly_signals(
                year,
                universe[key],
                sentiment.table(str(year - 1), key),
                fundamentals.table(str(year - 2), key),
                last_session=pd.Timestamp(market.source.coverage().last_session),
            )
            tables[key] = schemas.validate(table, schemas.SIGNALS_TABLE, market.market)
            present = table[list(SIGNALS)].notna().mean()
            context.add_asset_metadata(
                {
                    **table_facts(table, "decision_at"),
                    "simulated": list(market.source.coverage().simulated),
                    "present": markdown(present.rename("share").rename_axis("signal").reset_index()),
                    "sentiment": picture(
                        {"15 stocks": _mean_by_week(table, "news_sentiment")}, "mean news sentiment at each decision"
                    ),
                },
                partition_key=key,
            )
        return tables

    @dg.asset(
        partitions_def=years,
        kinds={"parquet"},
        ins={"prices": dg.AssetIn(partition_mapping=time_window(-1, 1))},
        metadata=column_schema(schemas.OUTCOMES),
        description="What each week paid: the simple return from its execution to the next week's, and the part of it "
        "seen by the next decision. Labels, never features; empty while not known yet.",
        **GROUP,
    )
    def outcomes(context: dg.AssetExecutionContext, market: MarketResource, universe, prices):
        tables = {}
        for key in context.partition_keys:
            year = int(key)
            bars = prices.table(str(year - 1), str(year + 1))
            table = outcomes_table(year, universe[key], bars, market.source.coverage().has_open)
            tables[key] = schemas.validate(table, schemas.OUTCOMES, market.market)
            context.add_asset_metadata(
                {
                    **table_facts(table),
                    "weeks_known": int(table.loc[table["return"].notna(), "week"].nunique()),
                    "mean_return": picture({"15 stocks": _mean_by_week(table, "return")}, "mean weekly return"),
                },
                partition_key=key,
            )
        return tables

    @dg.asset(
        partitions_def=years,
        kinds={"parquet"},
        ins={"prices": dg.AssetIn(partition_mapping=time_window(-WINDOW_YEARS, 0))},
        metadata=column_schema(schemas.PRICES),
        description="The daily bars that a year's forecaster and baselines may read: the year itself, the five years "
        "before it and one more for context, and the same of the years whose models its own may start from.",
        **GROUP,
    )
    def price_windows(context: dg.AssetExecutionContext, store: StoreResource, prices):
        with on_record(context) as published:
            for key in context.partition_keys:
                published[key] = _publish_window(store.assets, key, prices)
                context.add_asset_metadata(published[key], partition_key=key)
        return Partitioned(store.assets, "price_windows", list(context.partition_keys))

    return [universe, signals, outcomes, price_windows]


def _publish_window(store: AssetStore, key: str, prices: Partitioned) -> dict[str, Any]:
    """Store a year's window, so that no two are in memory at once, and return its metadata."""
    table = prices.table(str(int(key) - WINDOW_YEARS), key)
    store.write("price_windows", key, table)
    listed = table.groupby("date")["adj_close"].count().astype("float64")
    drawn = picture({"symbols": listed}, "symbols with a bar in each session")
    return {**table_facts(table, "date"), "coverage": drawn}


def _mean_by_week(table: pd.DataFrame, column: str) -> pd.Series:
    return table.groupby("week")[column].mean().dropna()
