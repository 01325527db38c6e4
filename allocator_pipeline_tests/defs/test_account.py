"""What the asset of the paper accounts does with a week: book it, wait for it, or pass it over."""

from __future__ import annotations

import json
from dataclasses import asdict

import pandas as pd
import pytest

from allocator_pipeline.account.export import COLUMNS
from allocator_pipeline.config import CASH, Settings, SimulatedConfig
from allocator_pipeline.defs.account import account_week, previewed_orders
from allocator_pipeline.defs.resources import MarketResource, StoreResource
from allocator_pipeline.defs.weekly import _fills
from allocator_pipeline.errors import MissingPartitionError
from allocator_pipeline.experience.records import Experience, Label
from allocator_pipeline_tests.account.market import ALLOCATOR, make_decision

STOCKS = tuple(f"SIM{number:02d}" for number in range(15))
TARGET = {**dict.fromkeys(STOCKS, 0.06), CASH: 0.1}
WEEKS = ("2018-11-19", "2018-11-26", "2018-12-03", "2018-12-31")


@pytest.fixture
def market(tmp_path) -> MarketResource:
    simulated = SimulatedConfig(start=pd.Timestamp("2018-01-01").date(), end=pd.Timestamp("2018-12-31").date())
    return MarketResource.of(Settings(market="simulated", data_dir=tmp_path, simulated=simulated))


@pytest.fixture
def store(tmp_path, market) -> StoreResource:
    made = StoreResource(root=str(tmp_path / "simulated"))
    made.assets.write("prices", "2018", market.source.prices(2018))
    before = None
    for week in WEEKS[:3]:
        source = {"source": "cash"} if before is None else {"source": "paper", "run_id": before}
        decision = make_decision(week, TARGET, {**source, "holdings": {CASH: 1.0}})
        made.experience.record_decision(decision)
        before = decision.run_id
    return made


def week_of(week: str, store: StoreResource, market: MarketResource) -> dict:
    return account_week(f"{ALLOCATOR}|{week}", f"paper:{week}:{ALLOCATOR}", store, market)


def test_weeks_are_booked_in_order_and_again_they_are_the_same(store, market):
    with pytest.raises(MissingPartitionError, match="materialise paper_account for the weeks before"):
        week_of(WEEKS[1], store, market)
    first = [json.loads(json.dumps(week_of(week, store, market))) for week in WEEKS[:3]]
    assert [value["status"] for value in first] == ["booked"] * 3
    assert [json.loads(json.dumps(week_of(week, store, market))) for week in WEEKS[:3]] == first
    assert first[2]["booking"]["nav_before"] == pytest.approx(first[1]["booking"]["nav"], rel=1e-15)


def test_a_week_without_its_exit_price_waits(store, market):
    store.experience.record_decision(make_decision(WEEKS[3], TARGET, {"source": "cash", "holdings": {CASH: 1.0}}))
    assert week_of(WEEKS[3], store, market)["status"] == "pending"
    assert store.account(ALLOCATOR).history() == []


def test_a_week_that_was_never_decided_is_named(store, market):
    with pytest.raises(MissingPartitionError, match="no decision") as caught:
        week_of("2018-10-01", store, market)
    assert caught.value.week == "2018-10-01"


def test_a_week_decided_after_later_ones_were_booked_is_passed_over(store, market):
    week_of(WEEKS[0], store, market)
    store.experience.record_decision(make_decision("2018-10-01", TARGET, {"source": "cash", "holdings": {CASH: 1.0}}))
    assert week_of("2018-10-01", store, market)["status"] == "passed_over"
    assert len(store.account(ALLOCATOR).history()) == 1


def test_orders_of_a_decision_are_sized_by_what_was_booked_by_then(store, market):
    decision = asdict(store.experience.get(f"paper:{WEEKS[2]}:{ALLOCATOR}").decision)
    config = market.settings.account
    opened = previewed_orders(ALLOCATOR, decision, store, config)
    assert sum(order["notional"] for order in opened) == pytest.approx(0.9 * config.deposit)
    for week in WEEKS[:3]:
        week_of(week, store, market)
    nav = store.account(ALLOCATOR).history()[0].nav  # the second's exit is the Monday after the decision
    later = previewed_orders(ALLOCATOR, decision, store, config)
    assert sum(order["notional"] for order in later) == pytest.approx(0.9 * nav)
    assert set(COLUMNS) == set(later[0])
    given = {**decision, "portfolio": {"source": "given", "holdings": {CASH: 1.0}, "nav": 5.0, "orders": [{"x": 1}]}}
    assert previewed_orders(ALLOCATOR, given, store, config) == [{"x": 1}]


def test_a_written_label_keeps_its_fills(store):
    decision = store.experience.get(f"paper:{WEEKS[0]}:{ALLOCATOR}").decision
    booking = {"actual_weights": {CASH: 1.0}, "execution_report": []}
    label = Label({CASH: 0.5}, [{"symbol": "A"}], 0.0, 0.0, 0.0, 0.0, {}, {}, "")
    assert _fills(Experience(decision), None) is None
    assert _fills(Experience(decision), booking).actual_weights == {CASH: 1.0}
    assert _fills(Experience(decision, label), booking).actual_weights == {CASH: 0.5}
