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
from allocator_pipeline.experience.transitions import labelled_transitions
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


class TrainingConfig(dg.Config):
    """Choices of one training run. ``processes`` changes nothing but the time: one thread each, states shared."""

    seed: int = 42
    objective: ObjectiveConfig = ObjectiveConfig()
    processes: int = Field(default=2, ge=1)


def policy_assets(partitions: Partitions) -> list[dg.AssetsDefinition]:
    """Return the assets of the group."""

    def train(context, market, store, state_tensors, recipe, config):
        from allocator_pipeline.defs.training import train_years

        wanted = {key: split(key) for key in context.partition_keys}
        models = train_years(
            {
                key: (name, int(year), range(partitions.first_forecast_year, int(year) + 1))
                for key, (name, year) in wanted.items()
            },
            state_tensors,
            recipe,
            config,
            store,
            market.settings,
            context.log.info,
        )
        for key, (allocator, _) in wanted.items():
            context.add_asset_metadata(_facts(models[key], algorithm_of(allocator)), partition_key=key)
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
        partitions_def=partitions.finetune_weeks,
        backfill_policy=dg.BackfillPolicy.multi_run(4),
        ins={"state_tensors": dg.AssetIn(partition_mapping=states_by_week(-FORGETTING_WEEKS - FINETUNE_WEEKS - 2, 0))},
        deps=[
            dg.AssetDep("promoted_policies", partition_mapping=SAME_ALLOCATOR),
            dg.AssetDep("labeled_experience", partition_mapping=allocator_weeks(-FINETUNE_WEEKS - 1, -2)),
        ],
        description=f"The champion of a week, fine-tuned on the {FINETUNE_WEEKS} weeks whose outcome was known at its "
        "decision, with the champion's scaler and slots, and on labelled experience: episodes start from the "
        "portfolios that it recorded, and SAC replays its weeks. It joins the challengers; it is served only if "
        "promoted. ``forgetting`` sets it beside the champion on older weeks.",
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
            lived = labelled_transitions(store.experience, allocator)
            arguments = (week, states, lived, market.settings.costs)
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
            facts = {**_facts(model, algorithm_of(allocator)), "forgetting": dg.MetadataValue.json(kept)}
            context.add_asset_metadata(facts, partition_key=key)
        return values

    return [trained_policies, reference_policies, finetuned_policies]


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
