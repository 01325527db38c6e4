"""Put assets, checks, jobs, schedules, sensors and resources together for one market."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import dagster as dg
import pandas as pd

from allocator_pipeline.config import Settings
from allocator_pipeline.defs.asset_checks import asset_checks
from allocator_pipeline.defs.assets.account import account_assets
from allocator_pipeline.defs.assets.allocation import allocation_assets
from allocator_pipeline.defs.assets.evaluation import evaluation_assets
from allocator_pipeline.defs.assets.experience_export import experience_export_assets
from allocator_pipeline.defs.assets.features import feature_assets
from allocator_pipeline.defs.assets.forecast_panel import forecast_panel_assets
from allocator_pipeline.defs.assets.forecasts import forecast_assets
from allocator_pipeline.defs.assets.market import market_assets
from allocator_pipeline.defs.assets.policies import policy_assets
from allocator_pipeline.defs.assets.promotion import promotion_assets
from allocator_pipeline.defs.assets.publishing import publishing_assets
from allocator_pipeline.defs.assets.report import report_assets
from allocator_pipeline.defs.assets.summaries import summary_assets
from allocator_pipeline.defs.assets.weekly_report import weekly_report_assets
from allocator_pipeline.defs.io_managers import PublishedIOManager
from allocator_pipeline.defs.jobs import jobs
from allocator_pipeline.defs.partitions import Partitions
from allocator_pipeline.defs.resources import MarketResource, StoreResource
from allocator_pipeline.defs.schedules import schedules
from allocator_pipeline.defs.sensors import sensors
from allocator_pipeline.defs.storage import AssetStore
from allocator_pipeline.errors import ConfigurationError
from allocator_pipeline.market.live.needs import feeds_of
from allocator_pipeline.market.sources import open_market


def partitions_of(settings: Settings) -> Partitions:
    """Return the partitions of a market, from its cheap metadata."""
    coverage = open_market(settings).coverage()
    last_week, last_label = _last_weeks(coverage.last_session)
    return Partitions(
        first=coverage.first_session,
        last=coverage.last_session,
        static=coverage.static,
        min_training_years=settings.min_training_years,
        last_week=last_week,
        last_label=last_label,
        external=_external(settings),
    )


def _external(settings: Settings) -> tuple[str, ...]:
    """Return the forecasters of the user's table, having checked that those which states are to read are there."""
    if settings.external_forecasts is None:
        return ()
    from allocator_pipeline.market.external import external_names

    names = external_names(settings.external_forecasts)
    absent = [name for _, name in settings.state_forecasts if name not in names]
    if absent:
        raise ConfigurationError(
            f"ALLOCATOR_STATE_FORECASTS names {absent[0]!r}, which the table does not hold: it has {', '.join(names)}.",
            todo="name one of those, or complete the table.",
            source=str(settings.external_forecasts),
        )
    return names


def _last_weeks(last_session: date) -> tuple[date, date]:
    """Return the last week decided and executed in the years there are, and the last whose exit price is there."""
    from allocator_pipeline.market import calendar

    last = pd.Timestamp(last_session)
    weeks = calendar.weeks(last - pd.Timedelta(days=28), last + pd.Timedelta(days=14))
    decidable = weeks[(weeks["decision_session"] <= last) & (weeks["year"] <= last.year)]
    labelled = weeks[weeks["exit_session"] <= last]
    return decidable["week"].iloc[-1].date(), labelled["week"].iloc[-1].date()


def _live(
    partitions: Partitions, feeds: tuple[str, ...]
) -> tuple[list[dg.AssetsDefinition], list[dg.AssetChecksDefinition]]:
    """Return the assets and checks that only a live market has; others need not import them."""
    if not feeds:
        return [], []
    from allocator_pipeline.defs.assets.live import live_assets
    from allocator_pipeline.defs.live_checks import live_checks

    return live_assets(partitions, feeds), live_checks(partitions, feeds)


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
        If the settings or the market's coverage do not allow it, or the data folder holds results of other settings.
    """
    root = str(settings.market_dir.absolute())
    claim = json.dumps(settings.shaping(), sort_keys=True)
    AssetStore(Path(root) / "assets").check_claim(claim)
    partitions = partitions_of(settings)
    feeds = feeds_of(settings.live) if settings.live is not None else ()
    live, doubts = _live(partitions, feeds)
    every_job = jobs([key.path[-1] for asset in live for key in asset.keys])
    checks = [*asset_checks(partitions), *doubts]
    return dg.Definitions(
        assets=[
            *live,
            *market_assets(partitions, feeds),
            *feature_assets(partitions),
            *forecast_assets(partitions),
            *forecast_panel_assets(partitions),
            *policy_assets(partitions),
            *evaluation_assets(partitions),
            *summary_assets(partitions),
            *promotion_assets(partitions),
            *publishing_assets(partitions),
            *allocation_assets(partitions),
            *account_assets(partitions),
            *experience_export_assets(),
            *weekly_report_assets(partitions, [key for check in checks for key in check.check_keys]),
            *report_assets(),
        ],
        asset_checks=checks,
        jobs=every_job,
        schedules=schedules(partitions),
        sensors=sensors(every_job, partitions),
        resources={
            "market": MarketResource.of(settings),
            "store": StoreResource(root=root),
            "io_manager": PublishedIOManager(root=f"{root}/assets", claim=claim),
        },
        executor=dg.multiprocess_executor.configured(
            {"max_concurrent": 2, "start_method": {"forkserver": {"preload_modules": ["dagster", "pandas", "torch"]}}}
        ),
    )
