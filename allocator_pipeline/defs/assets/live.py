"""What only a live market has: a download an asset and vendor, macro series, and sentiment by day."""

import dagster as dg
import pandas as pd
import pandera.pandas as pa

from allocator_pipeline import schemas
from allocator_pipeline.defs.downloads import download_years, raw_coverage, raw_version
from allocator_pipeline.defs.metadata import column_schema, heat_map, markdown, table_facts
from allocator_pipeline.defs.partitions import Partitions
from allocator_pipeline.defs.resources import MarketResource
from allocator_pipeline.errors import ConfigurationError, VendorRefusedError
from allocator_pipeline.evaluation.plots import markdown_table
from allocator_pipeline.market.live.coverage import silent_years
from allocator_pipeline.market.live.needs import FEEDS, QUARTERLY, SERIES
from allocator_pipeline.market.news import daily_sentiment as by_day

YEARLY = {"owners": ["team:market-data"], "backfill_policy": dg.BackfillPolicy.single_run()}
RETRY = dg.RetryPolicy(max_retries=2, delay=30, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)
"""For what passes; a refusal of keys is not tried again."""

AFTER = {"alpaca_bars": ["yahoo_bars"]}
"""What a download is held against comes before it: a second source that lacks what the first one has is refused."""

SHOWN = 50
"""So many rows of a table stand in its metadata."""

WHAT = {
    "yahoo_bars": "Daily bars, dividends and splits of every candidate, from Yahoo",
    "alpaca_bars": "Adjusted daily bars of every candidate from Alpaca, to compare prices with",
    "alpaca_news": "News about every candidate, from Alpaca",
    "edgar_facts": "What every candidate has filed with the SEC, with filing dates",
    "alphavantage_statements": "Quarterly statements and release dates of every candidate, from Alpha Vantage",
    "fred_series": "Volatility, S&P 500 and Treasury yields with their release dates, from FRED",
    "yahoo_indices": "Volatility, S&P 500 and Treasury yields, from Yahoo",
    "price_doubts": "What casts doubt on the year's prices though they are used: moves over 40 % without an action, "
    "returns that a later answer tells otherwise, every return over 50 basis points from the second source's.",
    "restatements": "Figures of quarters that were said otherwise later, beside what was said first; no signal reads "
    "them.",
    "macro": "Volatility, S&P 500 and Treasury yields, each value with when it was known. No state reads them yet.",
}


def live_assets(partitions: Partitions, feeds: tuple[str, ...]) -> list[dg.AssetsDefinition]:
    """Return the assets that only a live market with these feeds has."""
    tables = [_table(partitions, "price_doubts", "prices", schemas.DOUBTS), _daily_sentiment(partitions)]
    for feed in feeds:
        if feed in QUARTERLY:
            tables.append(_table(partitions, "restatements", feed, schemas.RESTATEMENTS))
        if feed in SERIES:
            tables.append(_table(partitions, "macro", feed, schemas.MACRO))
    return [*(_download(partitions, feed) for feed in feeds), *tables]


def _download(partitions: Partitions, feed: str) -> dg.AssetsDefinition:
    @dg.asset(
        name=feed,
        partitions_def=partitions.market_years,
        deps=AFTER.get(feed, []),
        group_name="vendors",
        kinds={"json"},
        pool=FEEDS[feed],
        retry_policy=RETRY,
        metadata=column_schema(schemas.DOWNLOADS),
        description=f"{WHAT[feed]}: kept byte for byte. Only what is missing is asked for; what was interrupted goes "
        "on from there. The table says how much of what is due is there.",
        **YEARLY,
    )
    def downloaded(context: dg.AssetExecutionContext, market: MarketResource):
        live = market.live_market
        try:
            done = download_years(live, feed, context.partition_keys, context.log.info)
        except (ConfigurationError, VendorRefusedError) as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        # one that fetched nothing leaves in sync what was made of it
        context.set_data_version(context.asset_key, dg.DataVersion(raw_version(live, feed)))
        years, keys = partitions.market_years.get_partition_keys(), context.partition_keys
        warnings: list[str] = []
        shares, tables = raw_coverage(live, feed, years, keys, warnings.append)
        if feed == "alpaca_news":
            warnings += silent_years(live, [int(key) for key in keys])
        for line in warnings:
            context.log.warning(line)
        for key, table in tables.items():
            context.add_asset_metadata(
                {
                    **table_facts(table),
                    "asked": done.asked,
                    "bytes": done.size,
                    **(
                        {"warnings": dg.MetadataValue.md("\n".join(f"- {line}" for line in warnings))}
                        if warnings
                        else {}
                    ),
                    "coverage": markdown(table),
                    "coverage_by_year": heat_map(shares, f"{feed}: share of each year that is there"),
                },
                partition_key=key,
            )
        return tables

    return downloaded


def _table(partitions: Partitions, name: str, source: str, schema: pa.DataFrameSchema) -> dg.AssetsDefinition:
    """Return an asset of the table that the live market's method of that name makes."""

    @dg.asset(
        name=name,
        partitions_def=partitions.market_years,
        deps=[source],
        group_name="market",
        kinds={"parquet"},
        metadata=column_schema(schema),
        description=WHAT[name],
        **YEARLY,
    )
    def table(context: dg.AssetExecutionContext, market: MarketResource):
        live, tables = market.live_market, {}
        known = "known_at" if "known_at" in schema.columns else None
        for key in context.partition_keys:
            tables[key] = schemas.validate(getattr(live, name)(int(key)), schema, market.market)
            context.add_asset_metadata(
                {**table_facts(tables[key], known), "first_rows": _first_rows(tables[key])}, partition_key=key
            )
        return tables

    return table


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


def _first_rows(table: pd.DataFrame) -> dg.MarkdownMetadataValue:
    """Return the first rows as the UI shows them, and how many more there are."""
    more = f"\n\nand {len(table) - SHOWN:,} more rows in the table" if len(table) > SHOWN else ""
    return dg.MetadataValue.md(markdown_table(table.head(SHOWN), 4) + more)
