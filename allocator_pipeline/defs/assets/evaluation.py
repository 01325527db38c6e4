"""Baselines, annual reports and weekly paper evaluations: everything judged out of sample and net of costs."""

from functools import cache

import dagster as dg
import pandas as pd

from allocator_pipeline import schemas
from allocator_pipeline.config import BASELINES, CASH
from allocator_pipeline.defs.inputs import states_around, states_of_years
from allocator_pipeline.defs.metadata import column_schema, fields, picture, series_numbers, table_facts
from allocator_pipeline.defs.models import stored_policy
from allocator_pipeline.defs.partitions import (
    SAME_YEAR,
    Partitions,
    allocator_weeks,
    baselines_by_year,
    policies_by_year,
    references_by_year,
    split,
    states_by_week,
    states_by_year,
)
from allocator_pipeline.defs.resources import MarketResource, StoreResource
from allocator_pipeline.defs.storage import Partitioned
from allocator_pipeline.defs.training import seen_as_replicates
from allocator_pipeline.evaluation.plots import drawdown_picture, growth_picture, report_table
from allocator_pipeline.evaluation.report.estimates import Tries

GROUP = {"group_name": "evaluation", "owners": ["team:risk"]}
ONE_RUN = dg.BackfillPolicy.single_run()


def evaluation_assets(partitions: Partitions) -> list[dg.AssetsDefinition]:
    """Return the assets of the group."""

    @dg.asset(
        partitions_def=partitions.baseline_years,
        backfill_policy=ONE_RUN,
        kinds={"parquet"},
        ins={name: dg.AssetIn(partition_mapping=SAME_YEAR) for name in ("price_windows", "universe")},
        metadata=column_schema(schemas.BASELINE_WEIGHTS),
        description="Weekly target weights of the baselines under the same constraints, from bars known at each "
        "decision: equal weight, hierarchical risk parity, inverse volatility, minimum variance, maximum "
        "diversification, equal risk contribution, buy and hold, momentum, a random portfolio (docs/evaluation.md).",
        **GROUP,
    )
    def baseline_weights(context: dg.AssetExecutionContext, market: MarketResource, price_windows, universe):
        from allocator_pipeline.allocators.scheduled import scheduled_weights

        tables = {}
        for key in context.partition_keys:
            baseline, text = split(key)
            table = scheduled_weights(
                baseline,
                int(text),
                price_windows[text],
                universe[text],
                market.settings.costs,
                has_open=market.source.coverage().has_open,
            )
            tables[key] = schemas.validate(table, schemas.BASELINE_WEIGHTS, baseline)
            largest = table[table["symbol"] != CASH].groupby("week")["weight"].max()
            drawn = picture({baseline: largest}, "largest weight of a stock")
            context.add_asset_metadata({**table_facts(table), "largest_weight": drawn}, partition_key=key)
        return tables

    @dg.asset(
        partitions_def=partitions.report_years,
        backfill_policy=ONE_RUN,
        kinds={"json"},
        ins={
            "trained_policies": dg.AssetIn(partition_mapping=policies_by_year(-100, -1)),
            "reference_policies": dg.AssetIn(partition_mapping=references_by_year(-100, -1)),
            "state_tensors": dg.AssetIn(partition_mapping=states_by_year(-100, 0)),
            "baseline_weights": dg.AssetIn(partition_mapping=baselines_by_year(-100, 0)),
        },
        metadata=fields(
            allocator="string",
            year="int",
            candidate="string",
            first_week="string",
            last_week="string",
            last_exit="string",
            universe="string",
            notes="list of string",
            purge="object",
            seen_as_replicates="list of int",
            year_only="object",
            walk_forward="object",
        ),
        description="Report of year Y: the policy of Y-1 on the weeks of Y from cash, and the recipe walked "
        "forward over all judged years with holdings carried, beside every baseline and the reference recipe on the "
        "very same weeks. Each report is a try in the ledger, judged or not (docs/gate.md).",
        **GROUP,
    )
    def eval_reports(
        context: dg.AssetExecutionContext,
        market: MarketResource,
        store: StoreResource,
        trained_policies,
        reference_policies,
        state_tensors,
        baseline_weights,
    ):
        from allocator_pipeline.allocators.scheduled import Scheduled
        from allocator_pipeline.evaluation.walk_forward import eval_report
        from allocator_pipeline.registry.promotion import count_report

        values, weights = {}, cache(baseline_weights.__getitem__)  # every report reads those of all years before
        for key in context.partition_keys:
            allocator, text = split(key)
            year = int(text)
            trained = {y: trained_policies[f"{allocator}|{y}"] for y in _judged(trained_policies, key)}
            years = [y + 1 for y in trained]
            frozen = f"{allocator}|{years[0] - 1}"
            values[key] = eval_report(
                allocator=allocator,
                year=year,
                policies={y: stored_policy(store, value) for y, value in trained.items()},
                states=states_of_years(state_tensors, allocator, years),
                baselines={name: Scheduled(pd.concat([weights(f"{name}|{y}") for y in years])) for name in BASELINES},
                reference=(
                    {"reference": stored_policy(store, reference_policies[frozen])}
                    if frozen in reference_policies.stored()
                    else {}
                ),
                costs=market.settings.costs,
                context={**market.context, "seen_as_replicates": seen_as_replicates(store.models, trained)},
            )
            entry = count_report(store.court(allocator), values[key])  # before anybody sees what it says
            context.log.info(f"report {key}: judged {len(years)} years, try {entry.number} of the ledger")
            facts = _report_facts(values[key], Tries(len(store.ledger.history())))
            context.add_asset_metadata({**facts, "try": entry.number}, partition_key=key)
        return values

    @dg.asset(
        partitions_def=partitions.label_weeks,
        backfill_policy=dg.BackfillPolicy.multi_run(8),
        kinds={"json"},
        ins={
            "finetuned_policies": dg.AssetIn(partition_mapping=allocator_weeks(-60, 0)),
            "state_tensors": dg.AssetIn(partition_mapping=states_by_week(0, 0)),
        },
        deps=[dg.AssetDep("labeled_experience", partition_mapping=allocator_weeks(0, 0))],
        metadata=fields(
            allocator="string", week="string", exit_session="string", champion="object", challenger="object"
        ),
        description="Champion and newest challenger of a week, fixed before it and scored on it side by side "
        "once its outcome is known, each carrying its own paper portfolio.",
        **{**GROUP, "group_name": "challengers"},
    )
    def paper_evaluations(
        context: dg.AssetExecutionContext,
        market: MarketResource,
        store: StoreResource,
        finetuned_policies,
        state_tensors,
    ):
        from allocator_pipeline.defs.paper import evaluate_paper_week

        values: dict[str, dict] = {}
        for key in sorted(context.partition_keys, key=lambda item: split(item)[1]):
            allocator, week = split(key)
            values[key] = evaluate_paper_week(
                allocator,
                week,
                {
                    made_for: finetuned_policies[name]
                    for name in finetuned_policies.stored()
                    if name.startswith(f"{allocator}|") and (made_for := split(name)[1]) <= week
                },
                states_around(state_tensors, allocator, week),
                store,
                market.settings.costs,
                values,
            )
            context.add_asset_metadata(
                {
                    "record": dg.MetadataValue.json(values[key]),
                    **{
                        f"{role}_net": dg.MetadataValue.float(values[key][role]["net"])
                        for role in ("champion", "challenger")
                        if values[key][role] is not None
                    },
                },
                partition_key=key,
            )
        return values

    return [baseline_weights, eval_reports, paper_evaluations]


def _judged(trained_policies: Partitioned, key: str) -> list[int]:
    """Return the years of the stored policies that run without a hole up to the year before the report's."""
    allocator, text = split(key)
    stored = {int(split(name)[1]) for name in trained_policies.stored() if split(name)[0] == allocator}
    year = int(text) - 1
    trained_policies[f"{allocator}|{year}"]  # the candidate must be there: raises MissingPartitionError if it is not
    years = []
    while year in stored:
        years.append(year)
        year -= 1
    return sorted(years)


def _report_facts(report: dict, tries: Tries) -> dict[str, object]:
    return {
        "candidate": report["candidate"],
        "walk_forward": dg.MetadataValue.md(report_table(report, tries)),
        "growth": dg.MetadataValue.md(growth_picture(report)),
        "drawdown": dg.MetadataValue.md(drawdown_picture(report)),
        "year_only": dg.MetadataValue.md(report_table(report, tries, "year_only")),
        "year_only_growth": dg.MetadataValue.md(growth_picture(report, "year_only")),
        "year_only_drawdown": dg.MetadataValue.md(drawdown_picture(report, "year_only")),
        "universe": report["universe"],
        "notes": dg.MetadataValue.md("\n".join(f"- {note}" for note in report["notes"])),
        **series_numbers(report["walk_forward"]["series"], tries),
    }
