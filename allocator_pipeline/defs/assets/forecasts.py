"""Walk-forward forecasts and the state tensors made of them, by forecaster and year."""

from contextlib import closing

import dagster as dg
import pandas as pd
from pydantic import Field

from allocator_pipeline import schemas
from allocator_pipeline.defs.forecasting import fit_years
from allocator_pipeline.defs.metadata import column_schema, fields, picture, table_facts
from allocator_pipeline.defs.partitions import SAME_YEAR, Partitions, split
from allocator_pipeline.defs.published import on_record
from allocator_pipeline.defs.resources import MarketResource, StoreResource
from allocator_pipeline.features.external import for_states
from allocator_pipeline.portfolio.assemble import build_states

OWNERS = ["team:research"]
ONE_RUN = dg.BackfillPolicy.single_run()


class ForecastConfig(dg.Config):
    """Choices of one run. ``processes`` changes nothing but the time: chains of years run in them, one thread each."""

    processes: int = Field(default=2, ge=1)


def forecast_assets(partitions: Partitions) -> list[dg.AssetsDefinition]:
    """Return the assets of the groups forecasts and states."""

    @dg.asset(
        partitions_def=partitions.forecaster_years,
        group_name="forecasts",
        owners=OWNERS,
        kinds={"pytorch", "parquet"},
        backfill_policy=ONE_RUN,
        pool="training",
        ins={name: dg.AssetIn(partition_mapping=SAME_YEAR) for name in ("price_windows", "universe")},
        metadata=column_schema(schemas.FORECASTS),
        description="Expected weekly log return of each stock at each decision of the year and its quantiles, by a "
        "model fitted on the five years before the year's first decision, purged of every target that was not known by "
        "then. Networks start from the model of the year before, and every fifth year from nothing.",
    )
    def forecasts(
        context: dg.AssetExecutionContext,
        config: ForecastConfig,
        market: MarketResource,
        store: StoreResource,
        price_windows,
        universe,
    ):
        from allocator_pipeline.forecasters.walk_forward import forecast_year

        wanted = {key: (name, int(year)) for key in context.partition_keys for name, year in [split(key)]}
        fitted = fit_years(
            wanted,
            price_windows,
            partitions.first_forecast_year,
            market.source.coverage(),
            store,
            config.processes,
            context.log.info,
        )
        tables = {}
        with on_record(context) as published, closing(fitted):  # closing ends its processes where a year fails
            for key, model in fitted:
                name, year = wanted[key]
                stored = (model.manifest, model.files)
                table = forecast_year(stored, year, price_windows[str(year)], universe[str(year)])
                tables[key] = schemas.validate(table, schemas.FORECASTS, name)
                store.assets.write("forecasts", key, table)  # now, so that a crash in a later year keeps this one
                published[key] = {
                    **table_facts(table, "decision_at"),
                    "model_version": model.version,
                    "training": dg.MetadataValue.json(model.manifest["facts"]),
                    "forecasts": picture(
                        {kind: table.groupby("week")["forecast"].agg(kind) for kind in ("max", "mean", "min")},
                        "expected weekly log return: highest, mean and lowest of the 15 stocks",
                    ),
                }
                context.add_asset_metadata(published[key], partition_key=key)
        return tables

    @dg.asset(
        partitions_def=partitions.forecaster_years,
        group_name="states",
        owners=OWNERS,
        kinds={"safetensors"},
        metadata=fields(
            weeks="int64 (T,)",
            symbols="string (T, 15)",
            signals="float64 (T, 15, 7)",
            missing="bool (T, 15, 7)",
            forecasts="float64 (T, 15)",
            returns="float64 (T, 15)",
            marks="float64 (T, 15)",
        ),
        backfill_policy=ONE_RUN,
        ins={name: dg.AssetIn(partition_mapping=SAME_YEAR) for name in ("signals", "outcomes", "external_forecasts")},
        description="The 136-number state of each decision (15 stocks x 7 signals, 15 forecasts; the 16 weights "
        "are added by the environment), unscaled, with what each week then paid beside it. ALLOCATOR_STATE_FORECASTS "
        "puts forecasts from elsewhere in place of ours.",
    )
    def state_tensors(
        context: dg.AssetExecutionContext, market: MarketResource, forecasts, signals, outcomes, external_forecasts
    ):
        tensors = {}
        for key in context.partition_keys:
            name, text = split(key)
            given = market.state_forecasts.get(name)
            table = (
                forecasts[key]
                if given is None
                else for_states(
                    int(text), given, external_forecasts[text], outcomes[text]["week"], str(market.external_forecasts)
                )
            )
            states = build_states(int(text), signals[text], table, outcomes[text])
            context.add_asset_metadata(
                {
                    "weeks": len(states),
                    "weeks_known": int(states.known.sum()),
                    "missing_share": float(states.missing.mean()) if len(states) else 0.0,
                    "digest": states.digest(),
                    "forecast_spread": picture(
                        {"15 stocks": pd.Series(states.forecasts.std(axis=1), index=pd.DatetimeIndex(states.weeks))},
                        "standard deviation of the 15 forecasts at each decision",
                    ),
                    "forecasts_by": name if given is None else given,
                },
                partition_key=key,
            )
            tensors[key] = states
        return tensors

    return [forecasts, state_tensors]
