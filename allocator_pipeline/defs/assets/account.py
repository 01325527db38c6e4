"""The paper account of each allocator, week by week."""

from typing import Any

import dagster as dg
import pandas as pd

from allocator_pipeline.account.ledger import nav_series
from allocator_pipeline.defs.account import account_week
from allocator_pipeline.defs.metadata import fields, markdown, numbers, picture
from allocator_pipeline.defs.partitions import Partitions, allocator_weeks, in_order, split
from allocator_pipeline.defs.resources import MarketResource, StoreResource


def account_assets(partitions: Partitions) -> list[dg.AssetsDefinition]:
    """Return the asset of the paper accounts."""

    @dg.asset(
        partitions_def=partitions.label_weeks,
        group_name="experience",
        owners=["team:portfolio"],
        kinds={"json"},
        metadata=fields(status="string", run_id="string", booking="object"),
        backfill_policy=dg.BackfillPolicy.single_run(),  # weeks follow one another
        ins={"decisions": dg.AssetIn(partition_mapping=allocator_weeks(0, 0))},
        deps=[dg.AssetDep("prices", partition_mapping=dg.AllPartitionMapping())],
        description="What the week's decision did with money: orders filled at the week's execution price, costs, "
        "dividends and splits, and the account's value once the next execution price exists; booked once in a ledger.",
    )
    def paper_account(context: dg.AssetExecutionContext, market: MarketResource, store: StoreResource, decisions):
        values = {}
        for key in in_order(context.partition_keys):
            values[key] = account_week(key, decisions[key]["run_id"], store, market)
            context.add_asset_metadata(_facts(values[key], store, split(key)[0]), partition_key=key)
        return values

    return [paper_account]


def _facts(value: dict[str, Any], store: StoreResource, allocator: str) -> dict[str, Any]:
    booking = value["booking"]
    if booking is None:
        return {"status": value["status"]}
    prices = booking["events"][-1]["facts"]["prices"]
    held = [(name, count, prices[name]) for name, count in booking["shares"].items()]
    positions = pd.DataFrame(held, columns=["symbol", "shares", "price"])
    positions["value"] = positions["shares"] * positions["price"]
    positions.loc[len(positions)] = ["CASH", booking["cash"], 1.0, booking["cash"]]
    orders = pd.DataFrame(
        booking["execution_report"], columns=["symbol", "side", "filled_qty", "filled_avg_price", "client_order_id"]
    )
    navs = nav_series([week for week in store.account(allocator).history() if week.number <= booking["number"]])
    return {
        "status": value["status"],
        "dividends": booking["dividends"],
        "positions": markdown(positions.assign(weight=positions["value"] / booking["nav"])),
        "orders": markdown(orders),
        "net_asset_value": picture({allocator: navs}, "net asset value, USD"),
        **numbers({name: booking[name] for name in ("nav", "net", "turnover", "cost", "reconciliation_error")}),
    }
