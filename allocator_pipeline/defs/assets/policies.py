"""Trained policies: full training by allocator and year, fine-tunes by allocator and week."""

from functools import partial

import dagster as dg
from pydantic import Field

from allocator_pipeline.config import FINETUNE_WEEKS, algorithm_of
from allocator_pipeline.defs.inputs import states_around
from allocator_pipeline.defs.metadata import fields, numbers
from allocator_pipeline.defs.models import forgotten, reference, trained, watched
from allocator_pipeline.defs.partitions import (
    SAME_ALLOCATOR,
    Partitions,
    allocator_weeks,
    split,
    states_by_week,
    states_by_year,
)
from allocator_pipeline.defs.resources import MarketResource, StoreResource
from allocator_pipeline.evaluation.forgetting import FORGETTING_WEEKS
from allocator_pipeline.registry.promotion import champion_for
from allocator_pipeline.registry.tries import count_failure

GROUP = {
    "group_name": "policies",
    "owners": ["team:research"],
    "kinds": {"pytorch", "safetensors"},
    "pool": "training",
    "metadata": fields(
        name="string",
        version="string",
        cutoff="string",
        parent="string",
        identity_sha256="string",
        data_sha256="string",
    ),
}


class ObjectiveConfig(dg.Config):
    """What is maximised beside the reward; all off leaves the reward (`portfolio.objective` has the formulas)."""

    turnover: float = 0.0
    volatility: float = 0.0
    cvar: float = 0.0
    drawdown: float = 0.0
    differential_sharpe: bool = False


class Choices(dg.Config):
    """Choices of a training run. ``processes`` changes nothing but the time: one thread each, states shared."""

    objective: ObjectiveConfig = ObjectiveConfig()
    processes: int = Field(default=2, ge=1)


class TrainingConfig(Choices):
    """Choices of one training run, and the seed of what may be promoted."""

    seed: int = 42


class SeedsConfig(Choices):
    """Choices of the trainings beside it; the summary counts only what differs in nothing but the seed."""

    seeds: list[int] = Field(default=[1, 2], min_length=1)


def policy_assets(partitions: Partitions) -> list[dg.AssetsDefinition]:
    """Return the assets of the group."""

    def wanted(key, seed):
        from allocator_pipeline.defs.training import Wanted

        name, year = split(key)
        return Wanted(name, int(year), range(partitions.first_forecast_year, int(year) + 1), seed)

    def train(context, market, store, state_tensors, recipe, config):
        from allocator_pipeline.defs.training import train_years

        models = train_years(
            {key: wanted(key, config.seed) for key in context.partition_keys},
            state_tensors,
            recipe,
            config,
            store,
            market.settings,
            context.log.info,
        )
        for key, model in models.items():
            context.add_asset_metadata(_facts(model, algorithm_of(split(key)[0])), partition_key=key)
        return {key: reference(model) for key, model in models.items()}

    @dg.asset(
        partitions_def=partitions.policy_years,
        backfill_policy=dg.BackfillPolicy.multi_run(8),
        ins={"state_tensors": dg.AssetIn(partition_mapping=states_by_year(-100, 0))},
        description="The policy of a year, trained by the `default` recipe on all weeks through that year whose "
        "outcome was known at the next year's first decision: an ensemble of small networks, of whose tilt from equal "
        "weight that share is served which a cross-fit on the training weeks justifies (`served_share`; 0 is equal "
        "weight itself).",
        **GROUP,
    )
    def trained_policies(
        context: dg.AssetExecutionContext,
        config: TrainingConfig,
        market: MarketResource,
        store: StoreResource,
        state_tensors,
    ):
        return train(context, market, store, state_tensors, "default", config)

    @dg.asset(
        partitions_def=partitions.reference_years,
        backfill_policy=dg.BackfillPolicy.multi_run(1),
        ins={"state_tensors": dg.AssetIn(partition_mapping=states_by_year(-100, 0))},
        description="PPO and SAC by the `reference` recipe: the plan's hyperparameters and flat network, exactly. "
        "Reports show it beside the default recipe; it is never promoted.",
        **GROUP,
    )
    def reference_policies(
        context: dg.AssetExecutionContext,
        config: TrainingConfig,
        market: MarketResource,
        store: StoreResource,
        state_tensors,
    ):
        return train(context, market, store, state_tensors, "reference", config)

    @dg.asset(
        partitions_def=partitions.policy_years,
        backfill_policy=dg.BackfillPolicy.multi_run(8),
        ins={"state_tensors": dg.AssetIn(partition_mapping=states_by_year(-100, 0))},
        description="The `default` recipe of a year trained anew from further seeds, ensemble, cross-fit and share. "
        "`allocator_summary` walks them beside the trained policies: what a result owes to its seed. They are stored "
        "under names of their own, never judged, promoted or served, and so no tries.",
        **{**GROUP, "metadata": fields(seeds="object")},
    )
    def seed_policies(
        context: dg.AssetExecutionContext,
        config: SeedsConfig,
        market: MarketResource,
        store: StoreResource,
        state_tensors,
    ):
        from allocator_pipeline.defs.training import train_years

        models = train_years(
            {(key, seed): wanted(key, seed) for key in context.partition_keys for seed in sorted(set(config.seeds))},
            state_tensors,
            "default",
            config,
            store,
            market.settings,
            context.log.info,
            replicates=True,
        )
        values: dict[str, dict] = {key: {"seeds": {}} for key in context.partition_keys}
        for (key, seed), model in models.items():
            values[key]["seeds"][str(seed)] = reference(model)
        for key, value in values.items():
            versions = {seed: model["version"] for seed, model in value["seeds"].items()}
            context.add_asset_metadata({"versions": dg.MetadataValue.json(versions)}, partition_key=key)
        return values

    @dg.asset(
        partitions_def=partitions.finetune_weeks,
        backfill_policy=dg.BackfillPolicy.multi_run(4),
        ins={"state_tensors": dg.AssetIn(partition_mapping=states_by_week(-FORGETTING_WEEKS - FINETUNE_WEEKS - 2, 0))},
        deps=[
            dg.AssetDep("promoted_policies", partition_mapping=SAME_ALLOCATOR),
            dg.AssetDep("labeled_experience", partition_mapping=allocator_weeks(-FINETUNE_WEEKS - 1, -2)),
        ],
        description=f"The champion of a week, fine-tuned on the {FINETUNE_WEEKS} weeks whose outcome was known at its "
        "decision, with the champion's scaler and slots; episodes start from the portfolios that labelled experience "
        "recorded. It joins the challengers; it is served only if promoted. ``forgetting`` sets it beside the champion "
        "on older weeks.",
        **{**GROUP, "group_name": "challengers"},
    )
    def finetuned_policies(
        context: dg.AssetExecutionContext,
        market: MarketResource,
        store: StoreResource,
        state_tensors,
    ):
        from allocator_pipeline.training.finetune import finetune, finetune_identity

        values = {}
        for key in context.partition_keys:
            allocator, week = split(key)
            _, champion = champion_for(store.verdicts(allocator), store.models, week)
            states = states_around(state_tensors, allocator, week)
            starts = store.experience.labelled_weights(allocator)
            arguments = (week, states, starts, market.settings.costs)
            identity = finetune_identity(champion.manifest, *arguments)
            model = trained(
                store.models,
                identity,
                lambda: finetune(champion, *arguments, progress=context.log.info, **watched(store)),  # noqa: B023 (at once)
                context.log.info,
                partial(count_failure, store.ledger, identity),
                store.checkpoints,
            )
            kept = forgotten(champion, model, states, market.settings.costs)
            values[key] = {**reference(model), "forgetting": kept}
            facts = {**_facts(model, algorithm_of(allocator)), "forgetting": dg.MetadataValue.text(kept["words"])}
            context.add_asset_metadata(facts, partition_key=key)
        return values

    return [trained_policies, reference_policies, seed_policies, finetuned_policies]


def _facts(model, algorithm):
    manifest = model.manifest
    return {
        "version": manifest["version"],
        "algorithm": algorithm,
        "cutoff": manifest["cutoff"],
        "parent": manifest["parent"] or "none",
        "config": dg.MetadataValue.json(manifest["config"]),
        "facts": dg.MetadataValue.json(manifest["facts"]),
        **numbers(manifest["facts"]),
    }
