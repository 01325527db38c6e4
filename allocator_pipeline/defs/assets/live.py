"""What only a live market has: a download an asset and vendor, macro series, and sentiment by day."""

import dagster as dg

from allocator_pipeline import schemas
from allocator_pipeline.defs.downloads import download_years, raw_coverage
from allocator_pipeline.defs.metadata import column_schema, heat_map, markdown, table_facts
from allocator_pipeline.defs.partitions import Partitions
from allocator_pipeline.defs.resources import MarketResource
from allocator_pipeline.errors import ConfigurationError, VendorRefusedError
from allocator_pipeline.market.live.needs import FEEDS
from allocator_pipeline.market.news import daily_sentiment as by_day

YEARLY = {"owners": ["team:market-data"], "backfill_policy": dg.BackfillPolicy.single_run()}
RETRY = dg.RetryPolicy(max_retries=2, delay=30, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)
"""For what passes; a refusal of keys is not tried again."""

SHOWN = 100
"""So many doubts of a year are spelled out in its metadata."""

WHAT = {
    "yahoo_bars": "Daily bars, dividends and splits of every candidate, from Yahoo",
    "alpaca_bars": "Adjusted daily bars of every candidate from Alpaca, to compare prices with",
    "alpaca_news": "News about every candidate, from Alpaca",
    "edgar_facts": "What every candidate has filed with the SEC, with filing dates",
    "alphavantage_statements": "Quarterly statements and release dates of every candidate, from Alpha Vantage",
    "fred_series": "Volatility, S&P 500 and Treasury yields with their release dates, from FRED",
    "yahoo_indices": "Volatility, S&P 500 and Treasury yields, from Yahoo",
}


def live_assets(partitions: Partitions, feeds: tuple[str, ...]) -> list[dg.AssetsDefinition]:
    """Return the assets that only a live market with these feeds has."""
    macro = [_macro(partitions, name) for name in feeds if name in ("fred_series", "yahoo_indices")]
    tables = [_price_doubts(partitions), *macro, _daily_sentiment(partitions)]
    return [*(_download(partitions, feed) for feed in feeds), *tables]


def _download(partitions: Partitions, feed: str) -> dg.AssetsDefinition:
    @dg.asset(
        name=feed,
        partitions_def=partitions.market_years,
        group_name="vendors",
        kinds={"json"},
        pool=FEEDS[feed],
        retry_policy=RETRY,
        metadata=column_schema(schemas.DOWNLOADS),
        description=f"{WHAT[feed]}: kept byte for byte. Only what is missing is asked for; what was interrupted goes "
        "on from there. The table says which days of the year are there.",
        **YEARLY,
    )
    def downloaded(context: dg.AssetExecutionContext, market: MarketResource):
        live = market.live_market
        try:
            done = download_years(live, feed, context.partition_keys, context.log.info)
        except (ConfigurationError, VendorRefusedError) as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        shares, tables = raw_coverage(live, feed, partitions.market_years.get_partition_keys(), context.partition_keys)
        for key, table in tables.items():
            context.add_asset_metadata(
                {
                    **table_facts(table),
                    "asked": done.asked,
                    "bytes": done.size,
                    "coverage": markdown(table),
                    "coverage_by_year": heat_map(shares, f"{feed}: share of the days of each year that is there"),
                },
                partition_key=key,
            )
        return tables

    return downloaded


def _price_doubts(partitions: Partitions) -> dg.AssetsDefinition:
    @dg.asset(
        partitions_def=partitions.market_years,
        deps=["prices"],
        group_name="market",
        kinds={"parquet"},
        metadata=column_schema(schemas.DOUBTS),
        description="What casts doubt on the year's prices though they are used: moves over 40 % without an action, "
        "returns that a later answer tells otherwise, and every return that is more than 50 basis points from the "
        "second source's.",
        **YEARLY,
    )
    def price_doubts(context: dg.AssetExecutionContext, market: MarketResource):
        live, tables = market.live_market, {}
        for key in context.partition_keys:
            tables[key] = live.doubts(int(key))
            context.add_asset_metadata(
                {**table_facts(tables[key]), "doubts": markdown(tables[key][["kind", "told"]].head(SHOWN))},
                partition_key=key,
            )
        return tables

    return price_doubts


def _macro(partitions: Partitions, feed: str) -> dg.AssetsDefinition:
    @dg.asset(
        name="macro",
        partitions_def=partitions.market_years,
        deps=[feed],
        group_name="market",
        kinds={"parquet"},
        metadata=column_schema(schemas.MACRO),
        description="Volatility, S&P 500 and Treasury yields of the year, each value with the day it became known. No "
        "state reads them yet.",
        **YEARLY,
    )
    def macro(context: dg.AssetExecutionContext, market: MarketResource):
        live, tables = market.live_market, {}
        for key in context.partition_keys:
            tables[key] = schemas.validate(live.macro(int(key)), schemas.MACRO, market.market)
            context.add_asset_metadata(table_facts(tables[key], known="known_at"), partition_key=key)
        return tables

    return macro


def _daily_sentiment(partitions: Partitions) -> dg.AssetsDefinition:
    @dg.asset(
        partitions_def=partitions.market_years,
        group_name="market",
        kinds={"parquet"},
        metadata=column_schema(schemas.DAILY_SENTIMENT),
        description="What the articles of each symbol and day in New York said on average. For eyes and exports: "
        "weekly signals read single articles, each with its own age.",
        **YEARLY,
    )
    def daily_sentiment(context: dg.AssetExecutionContext, sentiment):
        tables = {}
        for key in context.partition_keys:
            tables[key] = by_day(sentiment[key])
            context.add_asset_metadata(table_facts(tables[key], known="known_at"), partition_key=key)
        return tables

    return daily_sentiment
