"""Put assets, checks, jobs, schedules, sensors and resources together for one market."""

from __future__ import annotations

from datetime import date

import dagster as dg
import pandas as pd

from allocator_pipeline.config import Settings
from allocator_pipeline.defs.asset_checks import asset_checks
from allocator_pipeline.defs.assets.allocation import allocation_assets
from allocator_pipeline.defs.assets.evaluation import evaluation_assets
from allocator_pipeline.defs.assets.features import feature_assets
from allocator_pipeline.defs.assets.forecasts import forecast_assets
from allocator_pipeline.defs.assets.market import market_assets
from allocator_pipeline.defs.assets.policies import policy_assets
from allocator_pipeline.defs.assets.promotion import promotion_assets
from allocator_pipeline.defs.assets.report import report_assets
from allocator_pipeline.defs.io_managers import PublishedIOManager
from allocator_pipeline.defs.jobs import jobs
from allocator_pipeline.defs.partitions import Partitions
from allocator_pipeline.defs.resources import MarketResource, StoreResource
from allocator_pipeline.defs.schedules import schedules
from allocator_pipeline.defs.sensors import sensors
from allocator_pipeline.market.sources import open_market


def partitions_of(settings: Settings) -> Partitions:
    """Return the partitions of a market, from its cheap metadata."""
    coverage = open_market(settings).coverage()
    return Partitions(
        first=coverage.first_session,
        last=coverage.last_session,
        static=coverage.static,
        min_training_years=settings.min_training_years,
        last_week=_last_decidable_week(coverage.last_session),
    )


def _last_decidable_week(last_session: date) -> date:
    from allocator_pipeline.market import calendar

    weeks = calendar.weeks(last_session - pd.Timedelta(days=14), last_session + pd.Timedelta(days=14))
    decidable = weeks[weeks["decision_session"] <= pd.Timestamp(last_session)]
    return decidable["week"].iloc[-1].date()


def build_definitions(settings: Settings) -> dg.Definitions:
    """Build the definitions of a market.

    Parameters
    ----------
    settings : Settings

    Returns
    -------
    dagster.Definitions

    Raises
    ------
    ConfigurationError
        If the settings or the market's coverage do not allow it.
    """
    partitions = partitions_of(settings)
    root = str(settings.market_dir.absolute())
    every_job = jobs()
    return dg.Definitions(
        assets=[
            *market_assets(partitions),
            *feature_assets(partitions),
            *forecast_assets(partitions),
            *policy_assets(partitions),
            *evaluation_assets(partitions),
            *promotion_assets(partitions),
            *allocation_assets(partitions),
            *report_assets(),
        ],
        asset_checks=asset_checks(partitions),
        jobs=every_job,
        schedules=schedules(partitions),
        sensors=sensors(every_job),
        resources={
            "market": MarketResource.of(settings),
            "store": StoreResource(root=root),
            "io_manager": PublishedIOManager(root=f"{root}/assets"),
        },
        executor=dg.multiprocess_executor.configured(
            {"max_concurrent": 2, "start_method": {"forkserver": {"preload_modules": ["dagster", "pandas", "torch"]}}}
        ),
    )
