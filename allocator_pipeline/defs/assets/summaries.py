"""Summaries over years: one allocator looked into, and all of them compared."""

import dagster as dg
import pandas as pd

from allocator_pipeline.config import ALLOCATORS, BASELINES
from allocator_pipeline.defs.inputs import states_of_years
from allocator_pipeline.defs.metadata import fields, series_numbers
from allocator_pipeline.defs.models import stored_policy
from allocator_pipeline.defs.partitions import SAME_ALLOCATOR, Partitions
from allocator_pipeline.defs.resources import MarketResource, StoreResource
from allocator_pipeline.defs.summaries import duels_of, judged_policies, recipes_of, tries_of
from allocator_pipeline.evaluation.interval_plot import differences_picture
from allocator_pipeline.evaluation.report.estimates import Tries
from allocator_pipeline.evaluation.summary_plots import sentences, significance_table, summary_pictures

GROUP = {"group_name": "evaluation", "owners": ["team:risk"], "kinds": {"json"}}


def summary_assets(partitions: Partitions) -> list[dg.AssetsDefinition]:
    """Return the assets."""

    @dg.asset(
        partitions_def=partitions.allocators,
        backfill_policy=dg.BackfillPolicy.single_run(),
        ins={
            **{
                name: dg.AssetIn(partition_mapping=SAME_ALLOCATOR)
                for name in ("eval_reports", "trained_policies", "seed_policies")
            },
            # no mapping leads from an allocator to its forecaster x years; the body reads what it needs
            **{
                name: dg.AssetIn(partition_mapping=dg.AllPartitionMapping())
                for name in ("state_tensors", "baseline_weights")
            },
        },
        metadata=fields(
            allocator="string",
            years="list of int",
            series="object",
            recipes="object",
            seeds="object",
            placebo="object",
            calendar="list of object",
            rolling="object",
            response="object",
            weights="object",
        ),
        description="The deep look at an allocator over all judged years: what is served beside all of the tilt, the "
        "whole recipe from other seeds, each member of the ensemble alone, forecasts shuffled among the stocks, "
        "calendar years, rolling Sharpe ratio, levels of costs, and what the latest policy responds to. Policies that "
        "the newest report has not judged are refused: their report comes first and counts as a try.",
        **GROUP,
    )
    def allocator_summary(
        context: dg.AssetExecutionContext,
        market: MarketResource,
        store: StoreResource,
        eval_reports,
        trained_policies,
        seed_policies,
        state_tensors,
        baseline_weights,
    ):
        from allocator_pipeline.allocators.scheduled import Scheduled
        from allocator_pipeline.evaluation.allocator_summary import allocator_summary as summarise

        values, tries = {}, Tries(len(store.ledger.history()))
        for name in context.partition_keys:
            trained = judged_policies(eval_reports, trained_policies, name)
            years = [year + 1 for year in trained]
            seed, replicates = recipes_of(store, trained, seed_policies, name)
            values[name] = summarise(
                name,
                policies={year: stored_policy(store, value) for year, value in trained.items()},
                states=states_of_years(state_tensors, name, years),
                baselines={
                    rule: Scheduled(pd.concat([baseline_weights[f"{rule}|{year}"] for year in years]))
                    for rule in BASELINES
                },
                costs=market.settings.costs,
                context=market.context,
                seed=seed,
                replicates=replicates,
            )
            context.log.info(f"{name}: looked into {len(years)} years")
            shown = {title: dg.MetadataValue.md(text) for title, text in summary_pictures(values[name], tries).items()}
            measured = series_numbers(values[name]["series"], tries)
            context.add_asset_metadata({**shown, **measured}, partition_key=name)
        return values

    @dg.asset(
        metadata=fields(
            allocators="list of string",
            tries="object",
            pairs="list of object",
            duels="list of object",
            deflated="object",
            overfitting="object",
            superiority="object",
            confidence_set="object",
            words="list of string",
        ),
        deps=["promoted_policies", "paper_evaluations"],
        description="Allocators compared over the weeks they share: every pair with every baseline by paired bootstrap "
        "and Ledoit-Wolf test, challengers with champions, Sharpe ratios deflated for the tries of the ledger, the "
        "probability of overfitting, SPA and model confidence set; in words.",
        **GROUP,
    )
    def evaluation_summary(context: dg.AssetExecutionContext, store: StoreResource, allocator_summary):
        from allocator_pipeline.evaluation.comparison import evaluation_summary as compare

        names = [name for name in ALLOCATORS if name in allocator_summary.stored()]
        value = compare(
            {name: allocator_summary[name] for name in names},
            tries_of(store.ledger.history()),
            duels_of(store, names),
        )
        context.add_output_metadata(
            {
                "in_words": dg.MetadataValue.md(sentences(value["words"])),
                "differences": dg.MetadataValue.md(differences_picture(value)),
                "significance": dg.MetadataValue.md(significance_table(value)),
                "tries": value["trials"],
            }
        )
        return {"all": value}

    return [allocator_summary, evaluation_summary]
