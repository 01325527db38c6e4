"""Target weights of the week, the decision recorded once, and its label once the outcome is known."""

from typing import Any

import dagster as dg

from allocator_pipeline.account.export import write_orders
from allocator_pipeline.clients.alpaca import PaperBroker
from allocator_pipeline.defs.account import previewed_orders
from allocator_pipeline.defs.inputs import states_around
from allocator_pipeline.defs.metadata import bars, fields
from allocator_pipeline.defs.partitions import (
    SAME_ALLOCATOR,
    Partitions,
    allocator_weeks,
    in_order,
    split,
    states_by_week,
)
from allocator_pipeline.defs.resources import MarketResource, StoreResource
from allocator_pipeline.defs.weekly import decide_week, label_decision, made
from allocator_pipeline.errors import ConfigurationError
from allocator_pipeline.experience.records import Decision
from allocator_pipeline.market import calendar

OWNERS = ["team:portfolio"]
ONE_RUN = dg.BackfillPolicy.single_run()  # weeks follow one another: the paper account is carried from each to the next


DECISION = {
    "run_id": "string",
    "week_start": "string",
    "week_end": "string",
    "allocator": "string",
    "policy_version": "string",
    "state": "object",
    "action": "object of float",
    "turnover": "float",
    "portfolio": "object",
    "decided_at": "string",
    "attempt": "int",
    "fallback": "string",
}
"""Fields of a recorded decision."""


class PortfolioConfig(dg.Config):
    """The portfolio to start from; without one the paper account is used, or all cash before its first decision.

    `portfolio_from_alpaca` reads the cash and positions of an Alpaca paper account (docs/paper-account.md).

    A second decision of a week needs the next attempt's number, and counts only before the week's execution.
    """

    portfolio_file: str | None = None
    portfolio: dict[str, Any] | None = None
    portfolio_from_alpaca: bool = False
    attempt: int = 1


def allocation_assets(partitions: Partitions) -> list[dg.AssetsDefinition]:
    """Return the assets of the groups allocation and experience."""

    @dg.asset(
        partitions_def=partitions.decision_weeks,
        group_name="allocation",
        owners=OWNERS,
        kinds={"json"},
        metadata=fields(
            target_weights="object of float",
            policy_version="string",
            champion="string",
            fallback="string",
            proven="bool",
            turnover="float",
            sold="object of float",
            orders="list of object",
            record="object",
        ),
        backfill_policy=ONE_RUN,
        ins={"state_tensors": dg.AssetIn(partition_mapping=states_by_week(-1, 0))},
        deps=[dg.AssetDep("promoted_policies", partition_mapping=SAME_ALLOCATOR)],
        description="Target weights of the week by the champion that was effective at its decision (or by equal "
        "weight, where ALLOCATOR_PROOF_TO_SERVE demands a badge that the champion lacks; or by a former champion, "
        "where this one is damaged and ALLOCATOR_FALLBACK allows it), from the portfolio given (JSON of cash and "
        "positions, by file or run config) or the paper account. A pure function of champion, gate, state and "
        "portfolio.",
    )
    def target_weights(
        context: dg.AssetExecutionContext,
        config: PortfolioConfig,
        market: MarketResource,
        store: StoreResource,
        state_tensors,
    ):
        settings = market.settings
        given: dict[str, Any] = {"file": config.portfolio_file, "values": config.portfolio, "attempt": config.attempt}
        sources = (given["file"] is not None) + (given["values"] is not None) + config.portfolio_from_alpaca
        if sources > 1 or (sources and len(context.partition_keys) > 1):
            raise ConfigurationError(
                "A portfolio is given twice, or for several partitions.",
                todo="give portfolio_file, portfolio or portfolio_from_alpaca, for one allocator and one week.",
            )
        if config.portfolio_from_alpaca:
            given["values"] = PaperBroker().snapshot()
        values: dict[str, Any] = {}
        for key in in_order(context.partition_keys):
            states = states_around(state_tensors, *split(key))
            values[key] = decide_week(
                key, states, store, settings.costs, settings.gate, given, values, settings.fallback
            )
            if "proof_unread" in values[key]:
                context.log.warning(f"{key} is decided without a look at the badge: {values[key]['proof_unread']}")
            context.add_asset_metadata(_decision_facts(values[key]), partition_key=key)
        return values

    @dg.asset(
        partitions_def=partitions.decision_weeks,
        group_name="allocation",
        owners=OWNERS,
        kinds={"sqlite", "json"},
        metadata=fields(**DECISION),
        backfill_policy=ONE_RUN,
        description="The decision as recorded, once: the same again changes nothing, another is refused. Its "
        "orders are written as JSON and CSV; nothing sends them.",
    )
    def decisions(context: dg.AssetExecutionContext, market: MarketResource, store: StoreResource, target_weights):
        values = {}
        for key in in_order(context.partition_keys):
            record = target_weights[key]["record"]
            status = store.experience.record_decision(Decision(**record), now=calendar.now())
            when = {"made": made(split(key)[1])} if status != "unchanged" else {}
            context.log.info(f"{record['run_id']}: {status} {when.get('made', '')}")
            preview = previewed_orders(Decision(**record), store, market)
            write_orders(store.orders, *split(key), preview.rows)
            facts = {"run_id": record["run_id"], "status": status, **when, "orders_from": preview.source}
            context.add_asset_metadata({**facts, **_decision_facts(target_weights[key])}, partition_key=key)
            values[key] = record
        return values

    @dg.asset(
        partitions_def=partitions.label_weeks,
        group_name="experience",
        owners=OWNERS,
        kinds={"sqlite", "json"},
        metadata=fields(
            **DECISION,
            actual_weights="object of float",
            execution_report="list of object",
            realized_turnover="float",
            cost="float",
            realized_return="float",
            reward="float",
            holdings_after="object of float",
            next_state="object",
            labeled_at="string",
            status="string",
        ),
        backfill_policy=ONE_RUN,
        ins={
            "decisions": dg.AssetIn(partition_mapping=allocator_weeks(0, 0)),
            "paper_account": dg.AssetIn(partition_mapping=allocator_weeks(0, 0)),
            "state_tensors": dg.AssetIn(partition_mapping=states_by_week(-1, 1)),
        },
        description="The decision's realised return and reward, by the same accounting that training uses, once "
        "the week's exit price exists; written once.",
    )
    def labeled_experience(
        context: dg.AssetExecutionContext,
        market: MarketResource,
        store: StoreResource,
        decisions,
        paper_account,
        state_tensors,
    ):
        values = {}
        for key in in_order(context.partition_keys):
            states = states_around(state_tensors, *split(key))
            values[key] = label_decision(decisions[key]["run_id"], states, store, market, paper_account[key])
            context.add_asset_metadata(
                {
                    name: values[key][name]
                    for name in ("run_id", "status", "realized_return", "reward")
                    if values[key].get(name) is not None
                },
                partition_key=key,
            )
        return values

    return [target_weights, decisions, labeled_experience]


def _decision_facts(decision: dict[str, Any]) -> dict[str, Any]:
    return {
        "policy_version": decision["policy_version"],
        "served": _served(decision),
        "portfolio": decision["record"]["portfolio"]["source"],
        "turnover": float(decision["turnover"]),
        "sold": decision["sold"],
        "weights": bars(decision["target_weights"]),
    }


def _served(decision: dict[str, Any]) -> str:
    badge = "proven" if decision["proven"] else "not proven"
    if "proof_unread" in decision:
        badge = f"not known to be proven. {decision['proof_unread']}"
    if decision.get("fallback"):
        return f"{decision['policy_version']}. {decision['fallback']}"
    if decision["policy_version"] == decision["champion"]:
        return f"the champion, which is {badge}"
    return f"{decision['policy_version']} in the place of the champion {decision['champion']}, which is {badge}"
