"""Jobs: the stages that schedules, sensors and people launch."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

from allocator_pipeline.defs.fetching import fetch_model_job
from allocator_pipeline.defs.registry import registry_jobs
from allocator_pipeline.defs.verdicts import replay_verdicts_job

MARKET = ("prices", "sentiment", "fundamentals")
RETRIES = 3
"""How often a run of the weekly rhythm is repeated that fails or whose process dies: the sensors ask for it once."""
FEATURES = ("universe", "signals", "outcomes", "price_windows", "external_forecasts")


def jobs(live: Sequence[str] = ()):
    """Return the jobs; each takes the partitions of its assets.

    Parameters
    ----------
    live : sequence of str
        Assets that only a live market has, which are refreshed with its data.
    """

    def job(name: str, *assets: str, description: str, retries: int = RETRIES):
        return dg.define_asset_job(
            name,
            selection=dg.AssetSelection.assets(*assets),
            description=description,
            tags={"dagster/max_retries": str(retries)} if retries else None,
        )

    return [
        job("market_job", *live, *MARKET, description="Raw market data of a year."),
        job(
            "features_job",
            *FEATURES,
            description="Universe, signals, outcomes and price windows of a year, forecasts from elsewhere.",
        ),
        job("forecasts_job", "forecasts", "state_tensors", description="Forecasts and states of a year."),
        job("opponents_job", "opponent_forecasts", description="Forecasts of a year by optional opponents."),
        job("panel_job", "forecast_panel", description="What a forecaster's forecasts of a year were worth."),
        job(
            "panel_summary_job",
            "forecast_summary",
            description="The forecast panel over years, in words and on a page.",
        ),
        job("baselines_job", "baseline_weights", description="Baseline weights of a year."),
        job(
            "training_job",
            "trained_policies",
            description="Full training of an allocator on the weeks through a year.",
            retries=0,
        ),
        job(
            "seeds_job",
            "seed_policies",
            description="The recipe of a year from further seeds, never promoted.",
            retries=0,
        ),
        job("reports_job", "eval_reports", description="Report of a year for an allocator.", retries=0),
        job("summary_job", "allocator_summary", description="The deep look at an allocator over all judged years."),
        job("comparison_job", "evaluation_summary", description="Allocators compared, in numbers and in words."),
        job(
            "promotion_job",
            "promoted_policies",
            "promotion_history",
            description="Judge what has no verdict yet; promote or keep; write the record.",
        ),
        job("inference_job", "target_weights", "decisions", description="This week's weights, recorded."),
        job(
            "labeling_job",
            "paper_account",
            "labeled_experience",
            description="Book a week whose outcome is known in the paper account, and label it.",
        ),
        job("paper_job", "paper_evaluations", description="Score champion and challenger on a labelled week."),
        job("finetuning_job", "finetuned_policies", description="Fine-tune the champion for the coming week."),
        job(
            "weekly_report_job",
            "weekly_report",
            "experience_export",
            description="The page of a decided week, and all experience as files.",
        ),
        replay_verdicts_job,
        *registry_jobs(),
        job(
            "publish_job",
            "published_models",
            description="Upload an allocator's versions to the Hugging Face Hub.",
            retries=0,
        ),
        fetch_model_job,
    ]
