"""What the asset of the paper accounts does with a week: book it, wait for it, or pass it over."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from allocator_pipeline.account.export import COLUMNS
from allocator_pipeline.config import CASH, Settings, SimulatedConfig
from allocator_pipeline.defs.account import HOLDINGS, account_week, previewed_orders
from allocator_pipeline.defs.resources import MarketResource, StoreResource
from allocator_pipeline.defs.weekly import _fills
from allocator_pipeline.errors import MissingPartitionError
from allocator_pipeline.experience.records import Experience, Label
from allocator_pipeline.market import calendar
from allocator_pipeline_tests.account.market import ALLOCATOR, make_decision

STOCKS = tuple(f"SIM{number:02d}" for number in range(15))
TARGET = {**dict.fromkeys(STOCKS, 0.06), CASH: 0.1}
BEFORE = pd.Timestamp("2018-11-01", tz="UTC")
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


def test_shares_are_given_at_a_close_that_may_be_of_the_year_before(tmp_path):
    span = {name: pd.Timestamp(day).date() for name, day in (("start", "2017-01-01"), ("end", "2018-01-31"))}
    market = MarketResource.of(Settings(market="simulated", data_dir=tmp_path, simulated=SimulatedConfig(**span)))
    store, week = StoreResource(root=str(tmp_path / "simulated")), "2018-01-01"
    portfolio = {"source": "given", "holdings": {STOCKS[1]: 0.5, CASH: 0.5}, "nav": 10_000.0}
    decision = make_decision(week, TARGET, {**portfolio, "quantities": {STOCKS[1]: 50.0}})
    store.experience.record_decision(decision)
    store.assets.write("prices", "2018", market.source.prices(2018))
    with pytest.raises(MissingPartitionError, match="'2017' of 'prices'"):
        week_of(week, store, market)
    store.assets.write("prices", "2017", market.source.prices(2017))
    assert week_of(week, store, market)["booking"]["events"][0]["shares"] == {STOCKS[1]: 50.0}


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


def given_after(store, week: str = WEEKS[2]) -> None:
    """Decide a week over again, from a portfolio given."""
    portfolio = {"source": "given", "holdings": {STOCKS[1]: 0.5, CASH: 0.5}, "nav": 10_000.0}
    target = {**dict.fromkeys(STOCKS[1:], 0.06), CASH: 0.16}
    store.experience.record_decision(make_decision(week, target, portfolio, attempt=2), now=BEFORE)


def test_weeks_before_a_given_portfolio_are_booked_first(store, market):
    week_of(WEEKS[0], store, market)
    given_after(store)
    week_of(WEEKS[2], store, market)
    assert [booked.week for booked in store.account(ALLOCATOR).history()] == list(WEEKS[:3])
    assert week_of(WEEKS[1], store, market)["status"] == "booked"


def test_a_week_that_cannot_be_booked_before_a_given_portfolio_is_passed_over(store, market):
    given_after(store)
    prices = store.assets.read("prices", "2018")
    gone = (prices["symbol"] == STOCKS[0]) & (prices["date"] == calendar.week(WEEKS[1])["exit_session"])
    store.assets.write("prices", "2018", prices[~gone])
    week_of(WEEKS[2], store, market)
    assert [booked.week for booked in store.account(ALLOCATOR).history()] == [WEEKS[0], WEEKS[2]]
    assert week_of(WEEKS[1], store, market)["status"] == "passed_over"


def test_weeks_before_a_given_portfolio_wait_for_prices_that_are_not_made(store, market):
    given_after(store)
    store.experience.record_decision(make_decision("2017-10-02", TARGET, {"source": "cash", "holdings": {CASH: 1.0}}))
    with pytest.raises(MissingPartitionError, match="prices"):
        week_of(WEEKS[2], store, market)
    assert store.account(ALLOCATOR).history() == []


def test_orders_of_a_decision_are_those_of_the_account_as_booked_by_then(store, market):
    first, third = (store.experience.get(f"paper:{week}:{ALLOCATOR}").decision for week in (WEEKS[0], WEEKS[2]))
    opened = previewed_orders(first, store, market)
    assert opened.source == HOLDINGS
    assert sum(order["notional"] for order in opened.orders) == pytest.approx(0.9 * 100_000.0, rel=0.001)
    assert {*COLUMNS, "source"} == set(opened.rows[0])
    week_of(WEEKS[0], store, market)
    shares = store.account(ALLOCATOR).history()[0].shares
    left = make_decision(WEEKS[2], {**dict.fromkeys(STOCKS[1:], 0.06), CASH: 0.16}, third.portfolio)
    found = previewed_orders(left, store, market)
    (sold,) = (order for order in found.orders if order["symbol"] == STOCKS[0])
    prices = market.source.prices(2018).set_index(["date", "symbol"])["close"]
    closed = calendar.week(WEEKS[2])["decision_session"]
    moved = 0.01 * 100_000.0  # by which the second week may have changed what the first one left
    assert sold["notional"] == pytest.approx(shares[STOCKS[0]] * prices[closed, STOCKS[0]], abs=moved)
    for week in WEEKS[1:3]:
        week_of(week, store, market)
    assert previewed_orders(left, store, market) == found  # what was booked later was not known


def test_orders_that_are_not_the_accounts_own_say_so(store, market):
    third = store.experience.get(f"paper:{WEEKS[2]}:{ALLOCATOR}").decision
    found = previewed_orders(third, store, market)
    assert found.source.startswith("decided weights, not the account's holdings: The paper account continues")
    assert sum(order["notional"] for order in found.orders) == pytest.approx(0.9 * 100_000.0)
    assert {row["source"] for row in found.rows} == {found.source}


def test_a_written_label_keeps_its_fills(store):
    decision = store.experience.get(f"paper:{WEEKS[0]}:{ALLOCATOR}").decision
    booking = {"actual_weights": {CASH: 1.0}, "execution_report": []}
    label = Label({CASH: 0.5}, [{"symbol": "A"}], 0.0, 0.0, 0.0, 0.0, {}, {}, "")
    assert _fills(Experience(decision), None) is None
    assert _fills(Experience(decision), booking).actual_weights == {CASH: 1.0}
    assert _fills(Experience(decision, label), booking).actual_weights == {CASH: 0.5}
