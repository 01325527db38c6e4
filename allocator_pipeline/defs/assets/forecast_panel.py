"""Forecasts that are not ours, and the honest judgement of all of them by forecaster and year."""

from pathlib import Path

import dagster as dg
import pandas as pd

from allocator_pipeline import schemas
from allocator_pipeline.config import PRINCIPAL_BASELINES
from allocator_pipeline.defs.forecasts import FORECAST_PAGE, forecasts_of, panels_of, why_absent, write_forecast_page
from allocator_pipeline.defs.metadata import column_schema, fields, numbers, table_facts
from allocator_pipeline.defs.partitions import (
    OUR_FORECASTS,
    PRINCIPAL_BASELINES_OF_YEAR,
    SAME_YEAR,
    Partitions,
    split,
)
from allocator_pipeline.defs.resources import MarketResource, StoreResource
from allocator_pipeline.evaluation.forecast_plots import comparison_table, growth_picture, rank_ic_picture

ONE_RUN = dg.BackfillPolicy.single_run()
RESEARCH = {"owners": ["team:research"], "backfill_policy": ONE_RUN, "kinds": {"parquet"}}


def forecast_panel_assets(partitions: Partitions) -> list[dg.AssetsDefinition]:
    """Return the assets."""

    @dg.asset(
        partitions_def=partitions.feature_years,
        group_name="forecasts",
        metadata=column_schema(schemas.OTHER_FORECASTS),
        description="Forecasts of the table that ALLOCATOR_EXTERNAL_FORECASTS names, as each decision of the year "
        "could see them: a row known at the decision or later is not seen, and counted, as is one about a symbol that "
        "the market does not have. Empty without a table.",
        **RESEARCH,
    )
    def external_forecasts(context: dg.AssetExecutionContext, market: MarketResource, universe):
        from allocator_pipeline.features import external
        from allocator_pipeline.market.external import read_external

        path = market.external_forecasts
        rows = read_external(Path(path)) if path else None
        coverage = market.source.coverage()
        last = pd.Timestamp(coverage.last_session)
        strangers = {} if rows is None else external.unknown_symbols(rows, coverage.symbols)
        if strangers:
            context.log.warning(
                f"{path}: {sum(strangers.values())} rows are not used, for the market does not have their "
                f"{len(strangers)} symbols: {', '.join(list(strangers)[:20])}."
            )
        beside = rows if rows is None else external.beside_quantiles(rows)
        if beside is not None and len(beside):
            first = beside.iloc[0]
            context.log.warning(
                f"{path}: {len(beside)} forecasts lie outside their own outer quantiles, the first of them that of "
                f"{first['forecaster']} for {first['symbol']} and the week of {first['week'].date()}."
            )
        tables = {}
        for key in context.partition_keys:
            table = (
                external.typed(pd.DataFrame(columns=list(schemas.OTHER_FORECASTS.columns)))
                if rows is None
                else external.external_forecasts(int(key), universe[key], rows, last)
            )
            tables[key] = schemas.validate(table, schemas.OTHER_FORECASTS, path or "no table")
            facts = {
                "missing": int(table["forecast"].isna().sum()),
                "forecasters": sorted(table["forecaster"].unique()),
            }
            if rows is not None:
                facts["known_too_late"] = external.late_rows(int(key), rows)
                facts["unknown_symbols"] = external.unknown_symbols(rows, coverage.symbols, int(key))
            context.add_asset_metadata({**table_facts(table), **facts}, partition_key=key)
        return tables

    @dg.asset(
        partitions_def=partitions.feature_years,
        group_name="forecasts",
        metadata=column_schema(schemas.OTHER_FORECASTS),
        description="Forecasts of optional opponents (LightGBM), walked forward over the same folds; empty where the "
        "library is not installed. They are judged and never used.",
        **RESEARCH,
    )
    def opponent_forecasts(context: dg.AssetExecutionContext, market: MarketResource, price_windows, universe):
        from allocator_pipeline.evaluation import lightgbm_opponent as lightgbm
        from allocator_pipeline.features.external import typed

        tables = {}
        there = lightgbm.installed()
        for key in context.partition_keys:
            table = (
                lightgbm.opponent_forecasts(
                    int(key), price_windows[key], universe[key], market.source.coverage().has_open
                )
                if there
                else pd.DataFrame(columns=list(schemas.OTHER_FORECASTS.columns))
            )
            tables[key] = schemas.validate(typed(table), schemas.OTHER_FORECASTS, lightgbm.NAME)
            status = "installed" if there else lightgbm.NOT_INSTALLED
            context.add_asset_metadata({**table_facts(table), lightgbm.NAME: status}, partition_key=key)
        return tables

    @dg.asset(
        partitions_def=partitions.panel_years,
        group_name="evaluation",
        owners=["team:risk"],
        kinds={"parquet"},
        backfill_policy=ONE_RUN,
        ins={
            "forecasts": dg.AssetIn(partition_mapping=OUR_FORECASTS),
            "baseline_weights": dg.AssetIn(partition_mapping=PRINCIPAL_BASELINES_OF_YEAR),
            **{
                name: dg.AssetIn(partition_mapping=SAME_YEAR)
                for name in ("opponent_forecasts", "external_forecasts", "outcomes", "price_windows", "universe")
            },
        },
        metadata=column_schema(schemas.FORECAST_PANEL),
        description="What a year's forecasts were worth, week by week, beside forecasting zero, the past mean, "
        "always-up, five-year quantiles, and as a portfolio of the five highest beside equal weight and HRP. No "
        "rows where the forecaster said nothing about the year.",
    )
    def forecast_panel(
        context: dg.AssetExecutionContext,
        market: MarketResource,
        forecasts,
        baseline_weights,
        opponent_forecasts,
        external_forecasts,
        outcomes,
        price_windows,
        universe,
    ):
        from allocator_pipeline.evaluation.forecast_panel import judge
        from allocator_pipeline.evaluation.forecast_weeks import history_of_year, weekly_panel

        tables, past = {}, {}
        for key in context.partition_keys:
            name, year = split(key)
            if year not in past:  # the same for every forecaster
                has_open = market.source.coverage().has_open
                past[year] = history_of_year(int(year), price_windows[year], universe[year], has_open)
            said = forecasts_of(key, forecasts, opponent_forecasts, external_forecasts)
            table = weekly_panel(said, outcomes[year], past[year])
            tables[key] = schemas.validate(table, schemas.FORECAST_PANEL, name)
            if len(table) < 2:
                context.add_asset_metadata({**table_facts(table), "judged": "no weeks"}, partition_key=key)
                continue
            baselines = {baseline: baseline_weights[f"{baseline}|{year}"] for baseline in PRINCIPAL_BASELINES}
            judgement, runs = judge(table, outcomes[year], baselines, market.settings.costs)
            context.add_asset_metadata(
                {
                    **table_facts(table),
                    **numbers(judgement["figures"]),
                    "missing": judgement["missing"],
                    "coverage": judgement["figures"]["coverage"],
                    "comparisons": dg.MetadataValue.md(comparison_table(judgement)),
                    "rank_correlations": dg.MetadataValue.md(rank_ic_picture(name, table)),
                    "top_five": dg.MetadataValue.md(
                        growth_picture(judgement, {k: run.net.tolist() for k, run in runs.items()})
                    ),
                },
                partition_key=key,
            )
        return tables

    @dg.asset(
        group_name="evaluation",
        owners=["team:risk"],
        kinds={"json", "html"},
        metadata=fields(forecasters="object", absent="object of string", words="list of object", sha256="string"),
        description="The forecast panel over all years: each forecaster's figures with block-bootstrap intervals, in "
        "words what is significant and what is not, and a page of pictures (forecasts.html).",
    )
    def forecast_summary(
        context: dg.AssetExecutionContext,
        market: MarketResource,
        store: StoreResource,
        forecast_panel,
        opponent_forecasts,
        outcomes,
        baseline_weights,
    ):
        from allocator_pipeline.evaluation.forecast_summary import forecast_summary as summarise
        from allocator_pipeline.evaluation.forecast_words import as_lines

        panels = panels_of(forecast_panel)
        years = sorted({str(year) for by_year in panels.values() for year in by_year})
        summary = summarise(
            panels,
            pd.concat([outcomes[year] for year in years], ignore_index=True),
            {name: pd.concat([baseline_weights[f"{name}|{year}"] for year in years]) for name in PRINCIPAL_BASELINES},
            market.settings.costs,
            why_absent(panels, forecast_panel, opponent_forecasts),
        )
        path = Path(store.root) / FORECAST_PAGE
        digest = write_forecast_page(summary, market.market, market.notes, path)
        pictures = {
            f"{name}_top_five": dg.MetadataValue.md(growth_picture(one, one["weekly"]["net"]))
            for name, one in summary["forecasters"].items()
        }
        tables = {
            f"{name}_comparisons": dg.MetadataValue.md(comparison_table(one))
            for name, one in summary["forecasters"].items()
        }
        words = "\n".join(as_lines(summary["words"]))
        context.add_output_metadata(
            {"path": dg.MetadataValue.path(str(path)), "words": dg.MetadataValue.md(words), **tables, **pictures}
        )
        return {"all": {**summary, "sha256": digest}}

    return [external_forecasts, opponent_forecasts, forecast_panel, forecast_summary]
