"""The check of the paper accounts names what does not go on from one week to the next."""

from __future__ import annotations

from datetime import date

import dagster as dg
import pandas as pd

from allocator_pipeline.config import CASH, Settings, SimulatedConfig
from allocator_pipeline.defs.account import account_week
from allocator_pipeline.defs.asset_checks import asset_checks
from allocator_pipeline.defs.partitions import Partitions
from allocator_pipeline.defs.resources import MarketResource, StoreResource
from allocator_pipeline_tests.account.market import ALLOCATOR, make_decision

WEEKS = ("2018-11-19", "2018-11-26")
STOCKS = tuple(f"SIM{number:02d}" for number in range(15))
PARTITIONS = Partitions(date(2018, 1, 2), date(2018, 12, 31), True, 3, date(2018, 12, 31), date(2018, 12, 17))


def book(week: str, before: str | None, store: StoreResource, market: MarketResource) -> None:
    portfolio = {"source": "cash"} if before is None else {"source": "paper", "run_id": f"paper:{before}:{ALLOCATOR}"}
    target = {**dict.fromkeys(STOCKS, 0.06), CASH: 0.1}
    decision = make_decision(week, target, {**portfolio, "holdings": {CASH: 1.0}})
    store.experience.record_decision(decision)
    key = f"{ALLOCATOR}|{week}"
    store.assets.write("paper_account", key, account_week(key, decision.run_id, store, market))


def evaluated(store: StoreResource) -> dg.AssetCheckEvaluation:
    check = next(
        one for one in asset_checks(PARTITIONS) if {key.name for key in one.check_keys} == {"account_reconciles"}
    )
    job = dg.define_asset_job("check", selection=dg.AssetSelection.checks(check))
    definitions = dg.Definitions(asset_checks=[check], jobs=[job], resources={"store": store})
    return definitions.resolve_job_def("check").execute_in_process().get_asset_check_evaluations()[0]


def test_revised_prices_are_named(tmp_path):
    simulated = SimulatedConfig(start=date(2018, 1, 1), end=date(2018, 12, 31))
    market = MarketResource.of(Settings(market="simulated", data_dir=tmp_path, simulated=simulated))
    store = StoreResource(root=str(tmp_path / "simulated"))
    prices: pd.DataFrame = market.source.prices(2018)
    store.assets.write("prices", "2018", prices)
    book(WEEKS[0], None, store, market)
    assert evaluated(store).passed
    revised = prices["symbol"] == STOCKS[3]
    prices.loc[revised, ["open", "high", "low", "close", "adj_close"]] *= 1.5
    store.assets.write("prices", "2018", prices)
    book(WEEKS[1], WEEKS[0], store, market)
    found = evaluated(store)
    assert not found.passed
    assert f"{ALLOCATOR}|{WEEKS[1]}: revised prices of {STOCKS[3]} changed its value from" in found.description
