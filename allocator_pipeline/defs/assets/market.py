"""Raw market data by year: prices, scored news, fundamentals, each as it was known then."""

from collections.abc import Collection

import dagster as dg
import pandas as pd

from allocator_pipeline import schemas
from allocator_pipeline.defs.metadata import column_schema, heat_map, markdown, picture, table_facts
from allocator_pipeline.defs.partitions import ALL_BEFORE, Partitions, time_window
from allocator_pipeline.defs.resources import MarketResource
from allocator_pipeline.market import quality
from allocator_pipeline.market.live.needs import QUARTERLY

GROUP = {"group_name": "market", "owners": ["team:market-data"], "backfill_policy": dg.BackfillPolicy.single_run()}


def market_assets(partitions: Partitions, feeds: Collection[str] = ()) -> list[dg.AssetsDefinition]:
    """Return the assets of the group.

    Parameters
    ----------
    partitions : Partitions
    feeds : collection of str
        Downloads that a live market's tables are made from.
    """
    every = time_window(ALL_BEFORE, 0)  # prices are adjusted from the first bar on, quarters come in any filing before
    of_prices = [dg.AssetDep(name, partition_mapping=every) for name in feeds if name.endswith("_bars")]
    of_news = [dg.AssetDep(name) for name in feeds if name.endswith("_news")]
    of_quarters = [dg.AssetDep(name, partition_mapping=every) for name in feeds if name in QUARTERLY]

    @dg.asset(
        partitions_def=partitions.market_years,
        deps=of_prices,
        kinds={"parquet"},
        metadata=column_schema(schemas.PRICES),
        description="Daily bars of every symbol the source lists, one table a year. Opens, highs, lows and volumes are "
        "empty where the source has closes only.",
        **GROUP,
    )
    def prices(context: dg.AssetExecutionContext, market: MarketResource):
        tables = {}
        for key in context.partition_keys:
            table = schemas.validate(market.source.prices(int(key)), schemas.PRICES, market.market)
            context.log.info(f"prices {key}: {len(table)} bars")
            context.add_asset_metadata(
                {
                    **table_facts(table, known="date"),
                    "large_moves": quality.price_warnings(table),
                    "coverage": markdown(quality.coverage_table(table)),
                    "coverage_by_month": heat_map(
                        quality.monthly_shares(table), f"share of the sessions of {key} with a bar, by month"
                    ),
                    "equal_weight": picture({"all symbols": _index(table)}, "mean growth of all symbols in the year"),
                },
                partition_key=key,
            )
            tables[key] = table
        return tables

    @dg.asset(
        partitions_def=partitions.market_years,
        deps=of_news,
        kinds={"parquet"},
        metadata=column_schema(schemas.SENTIMENT),
        description="News articles of the year with a sentiment score, P(positive) - P(negative). `simulated` in the "
        "metadata says that the articles are generated and carry no information about the future.",
        **GROUP,
    )
    def sentiment(context: dg.AssetExecutionContext, market: MarketResource):
        return _yearly(context, market, "sentiment", "news", schemas.SENTIMENT, "published_at")

    @dg.asset(
        partitions_def=partitions.market_years,
        deps=of_quarters,
        kinds={"parquet"},
        metadata=column_schema(schemas.FUNDAMENTALS),
        description="Quarterly ratios by the day they became known (release or filing), never by their period's end.",
        **GROUP,
    )
    def fundamentals(context: dg.AssetExecutionContext, market: MarketResource):
        return _yearly(context, market, "fundamentals", "fundamentals", schemas.FUNDAMENTALS, "known_at")

    return [prices, sentiment, fundamentals]


def _index(table: pd.DataFrame) -> pd.Series:
    closes = table.pivot(index="date", columns="symbol", values="adj_close")
    return (closes / closes.bfill().iloc[0]).mean(axis=1)


def _yearly(context, market, method, kind, schema, known):
    source, tables = market.telling(context.log.info), {}
    for key in context.partition_keys:
        table = schemas.validate(getattr(source, method)(int(key)), schema, market.market)
        context.log.info(f"{method} {key}: {len(table)} rows")
        context.add_asset_metadata(
            {
                **table_facts(table, known=known),
                "simulated": kind in market.source.coverage().simulated,
                "rejected": market.source.rejections(int(key)),
            },
            partition_key=key,
        )
        tables[key] = table
    return tables
