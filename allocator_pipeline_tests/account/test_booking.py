"""A week in dollars and shares: thresholds, exits, dividends, splits, and where an account begins."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from allocator_pipeline.account.booking import Booking, book_week
from allocator_pipeline.account.events import Balance, Event
from allocator_pipeline.account.tape import Tape
from allocator_pipeline.config import CASH, AccountConfig
from allocator_pipeline.errors import ConflictError, MarketDataError, MissingPartitionError
from allocator_pipeline.market import calendar
from allocator_pipeline_tests.account.market import (
    COSTS,
    SYMBOLS,
    WEEKS,
    Made,
    decisions,
    equal_target,
    make_decision,
    make_market,
)

CONFIG = AccountConfig()
FLAT = make_market(dividends=False)


def book(
    market: Made, *targets: dict[str, float], config: AccountConfig = CONFIG, itemised: bool = False
) -> list[Booking]:
    booked: list[Booking] = []
    for decision in decisions(list(targets)):
        last = booked[-1] if booked else None
        booked.append(book_week(last, decision, market.tape(itemised=itemised), COSTS, config))
    return booked


def with_action(kind: str, value: float, weekday: int = 2) -> Made:
    """Return prices that are flat but for what one dividend or split of the first stock does to them."""
    day = pd.Timestamp(WEEKS[1]) + pd.Timedelta(days=weekday)
    factor = 1.0 / value if kind == "split" else 1.0 - value / 100.0
    prices = FLAT.prices.copy()
    moved = (prices["symbol"] == SYMBOLS[0]) & (prices["date"] >= day)
    for name in ("open", "high", "low", "close"):
        prices[name] = 100.0
        prices.loc[moved, name] = 100.0 * factor
    prices["adj_close"] = 100.0
    prices.loc[prices["symbol"] == SYMBOLS[0], "adj_close"] = 100.0 * factor
    actions = pd.DataFrame({"date": [day], "symbol": [SYMBOLS[0]], "kind": [kind], "value": [value], "source": ["x"]})
    return Made(prices, actions)


def test_the_events_lead_from_one_balance_to_the_next() -> None:
    market = make_market(5)
    booked = book(market, equal_target(), equal_target(SYMBOLS[3:18]), equal_target(SYMBOLS[:10]), itemised=True)
    balance = Balance()
    for week in booked:
        balance = balance.after([Event(**event) for event in week.events])
        assert balance == week.balance
        marks = [event["facts"] for event in week.events if event["kind"] == "mark"]
        assert [mark["nav"] for mark in marks] == [week.nav_marked, week.nav]
        assert week.nav == balance.value(marks[1]["prices"])
    assert [week.nav_before for week in booked[1:]] == pytest.approx([week.nav for week in booked[:-1]], rel=1e-15)


def test_orders_are_filled_at_the_open_of_the_first_session_and_a_holiday_monday_waits() -> None:
    week = "2019-01-21"  # Martin Luther King day
    decision = make_decision(week, equal_target(), {"source": "cash", "holdings": {CASH: 1.0}})
    booked = book_week(None, decision, FLAT.tape(), COSTS, CONFIG)
    assert (booked.execution_session, booked.mark_session, booked.exit_session) == (
        "2019-01-22",
        "2019-01-25",
        "2019-01-28",
    )
    row = FLAT.prices[(FLAT.prices["date"] == "2019-01-22") & (FLAT.prices["symbol"] == SYMBOLS[0])]
    assert booked.execution_report[0]["filled_avg_price"] == row["open"].item()
    late = book_week(None, decision, FLAT.tape(has_open=False), COSTS, CONFIG)
    assert late.execution_report[0]["filled_avg_price"] == row["close"].item()
    assert (booked.price, late.price) == ("open", "close")


def test_small_changes_are_skipped_and_what_left_is_sold_whatever_its_size() -> None:
    first = {SYMBOLS[0]: 0.3, SYMBOLS[1]: 0.3, SYMBOLS[2]: 0.012, CASH: 0.388}
    second = {SYMBOLS[0]: 0.305, SYMBOLS[1]: 0.25, SYMBOLS[3]: 0.004, CASH: 0.441}
    booked = book(with_action("split", 1.0), first, second)
    fills = [(fill["symbol"], fill["side"]) for fill in booked[1].execution_report]
    assert fills == [(SYMBOLS[1], "SELL"), (SYMBOLS[2], "SELL")]
    assert SYMBOLS[2] not in booked[1].shares
    assert booked[1].execution_report[1]["client_order_id"] == (
        f"paper:{WEEKS[1]}:ppo_lstm:attempt-1:{SYMBOLS[2]}:SELL"
    )
    assert booked[1].turnover == pytest.approx(0.05 + 0.012, abs=1e-4)
    assert booked[1].cost == pytest.approx(0.001 * booked[1].turnover, rel=1e-12)


def test_a_week_without_orders_costs_nothing() -> None:
    booked = book(with_action("split", 1.0), equal_target(), equal_target())
    assert booked[1].execution_report == []
    assert (booked[1].turnover, booked[1].cost, booked[1].net) == (0.0, 0.0, 0.0)


def test_an_order_under_ten_dollars_is_skipped() -> None:
    target = {SYMBOLS[0]: 0.08, SYMBOLS[1]: 0.12, CASH: 0.8}
    (week,) = book(FLAT, target, config=AccountConfig(deposit=100.0))
    assert [fill["symbol"] for fill in week.execution_report] == [SYMBOLS[1]]


def test_whole_shares_are_rounded_down_and_the_rest_stays_cash() -> None:
    booked = book(FLAT, equal_target(), equal_target(SYMBOLS[5:]), config=AccountConfig(whole_shares=True))
    for week in booked:
        assert all(fill["filled_qty"] == int(fill["filled_qty"]) > 0 for fill in week.execution_report)
        assert week.cash > 0.04 * 0.9 * week.nav


@pytest.mark.parametrize("itemised", [False, True])
def test_a_split_changes_shares_and_not_the_value(itemised: bool) -> None:
    market = with_action("split", 4.0)
    booked = book(market, equal_target(), equal_target(), itemised=itemised)
    assert booked[1].shares[SYMBOLS[0]] == pytest.approx(4.0 * booked[0].shares[SYMBOLS[0]], rel=1e-12)
    assert booked[1].nav == pytest.approx(booked[0].nav, rel=1e-12)
    kinds = {event["kind"] for event in booked[1].events} - {"fill", "cost", "mark"}
    assert kinds == {"split" if itemised else "adjustment"}
    assert booked[1].dividends == ("reinvested" if itemised else "in the adjustment of the prices")


def test_a_dividend_is_reinvested_on_its_ex_date_or_becomes_cash() -> None:
    market = with_action("dividend", 5.0)
    again = book(market, equal_target(), equal_target(), itemised=True)[1]
    paid = book(market, equal_target(), equal_target(), itemised=True, config=AccountConfig(reinvest=False))[1]
    adjusted = book(market, equal_target(), equal_target())[1]
    before = book(market, equal_target())[0]
    assert again.shares[SYMBOLS[0]] == pytest.approx(before.shares[SYMBOLS[0]] * 100.0 / 95.0, rel=1e-12)
    assert adjusted.shares == pytest.approx(again.shares, rel=1e-12)
    assert paid.shares[SYMBOLS[0]] == before.shares[SYMBOLS[0]]
    assert paid.cash == pytest.approx(before.cash + 5.0 * before.shares[SYMBOLS[0]], rel=1e-12)
    assert paid.nav == pytest.approx(again.nav, rel=1e-12) == pytest.approx(before.nav)
    assert paid.dividends == "cash"
    assert abs(paid.reconciliation_error) < 1e-12


@pytest.mark.parametrize("itemised", [False, True])
def test_of_whole_shares_what_a_dividend_or_a_split_makes_beyond_them_is_cash(itemised: bool) -> None:
    config = AccountConfig(whole_shares=True)
    for kind, value, factor, growth in (("split", 1.3, 1 / 1.3, 1.3), ("dividend", 5.0, 0.95, 1 / 0.95)):
        market = with_action(kind, value)
        first, second = book(market, equal_target(), equal_target(), config=config, itemised=itemised)
        assert second.execution_report == []
        before = first.shares[SYMBOLS[0]]
        assert second.shares[SYMBOLS[0]] == int(before * growth)
        paid = (before * growth - int(before * growth)) * 100.0 * factor
        assert paid > 1.0
        assert second.cash == pytest.approx(first.cash + paid, rel=1e-12)
        (event,) = (event for event in second.events if event["kind"] == "cash_in_lieu")
        assert event["session"] == second.mark_session
        assert second.nav == pytest.approx(first.nav, rel=1e-12)


def test_a_given_portfolio_of_parts_of_shares_becomes_whole_ones_and_cash() -> None:
    portfolio = {"source": "given", "holdings": {SYMBOLS[0]: 0.05, CASH: 0.95}, "nav": 3_030.0}
    decision = make_decision(WEEKS[1], {SYMBOLS[0]: 0.05, CASH: 0.95}, portfolio)
    market = with_action("split", 1.0)
    week = book_week(None, decision, market.tape(), COSTS, AccountConfig(whole_shares=True))
    assert week.shares == {SYMBOLS[0]: 1.0}  # and not 1.515, of 100 USD
    assert week.nav_before == pytest.approx(3_030.0, rel=1e-12)


@pytest.mark.parametrize("weekday", [0, 7], ids=["of-the-fills", "of-the-exit"])
def test_an_ex_date_on_the_day_of_fills_belongs_to_what_was_held_before(weekday: int) -> None:
    market = with_action("dividend", 5.0, weekday)
    booked = book(market, equal_target(), equal_target(), itemised=True)
    holder = booked[0 if weekday == 0 else 1]
    assert [week.week for week in booked if any(e["kind"] == "dividend" for e in week.events)] == [holder.week]


def test_a_given_portfolio_replaces_the_account_and_what_is_outside_is_sold() -> None:
    (first,) = book(FLAT, equal_target())
    portfolio = {"source": "given", "holdings": {SYMBOLS[19]: 0.5, CASH: 0.5}, "nav": 2_000.0}
    decision = make_decision(WEEKS[1], equal_target(), portfolio)
    week = book_week(first, decision, FLAT.tape(), COSTS, CONFIG)
    assert [event["kind"] for event in week.events[:2]] == ["withdrawal", "deposit"]
    assert week.nav_before == pytest.approx(2_000.0, rel=1e-12)
    assert week.execution_report[0]["symbol"] == SYMBOLS[19]
    assert SYMBOLS[19] not in week.shares


def test_what_a_given_portfolio_holds_and_the_market_does_not_know_is_sold_at_its_value() -> None:
    portfolio = {"source": "given", "holdings": {"BTCUSD": 0.4, "DUST": 0.001, CASH: 0.599}, "nav": 2_000.0}
    week = book_week(None, make_decision(WEEKS[1], equal_target(), portfolio), FLAT.tape(), COSTS, CONFIG)
    sold = {fill["symbol"]: fill["filled_qty"] for fill in week.execution_report if fill["side"] == "SELL"}
    assert sold == pytest.approx({"BTCUSD": 800.0, "DUST": 2.0}, rel=1e-12)
    assert set(week.shares) == set(SYMBOLS[:15])
    assert abs(week.reconciliation_error) < 1e-12


def test_a_portfolio_given_in_shares_opens_with_these_whatever_they_cost_now() -> None:
    holdings = {SYMBOLS[0]: 0.3, SYMBOLS[1]: 0.2, "BTCUSD": 0.1, CASH: 0.4}
    counts = {SYMBOLS[0]: 7.0, "BTCUSD": 0.5}
    portfolio = {"source": "given", "holdings": holdings, "nav": 2_000.0, "quantities": counts}
    week = book_week(None, make_decision(WEEKS[1], equal_target(), portfolio), FLAT.tape(), COSTS, CONFIG)
    deposit = week.events[0]
    assert {name: deposit["shares"][name] for name in counts} == counts
    prices = deposit["facts"]["prices"]
    assert prices["BTCUSD"] == pytest.approx(0.1 * 2_000.0 / 0.5)
    assert deposit["shares"][SYMBOLS[1]] == pytest.approx(0.2 * 2_000.0 / prices[SYMBOLS[1]])
    assert deposit["cash"] == pytest.approx(800.0)
    assert week.nav_before == pytest.approx(800.0 + 7.0 * prices[SYMBOLS[0]] + 400.0 + 200.0)
    assert abs(week.reconciliation_error) < 1e-12


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("reinvest", [False, True])
@pytest.mark.parametrize("itemised", [False, True])
@pytest.mark.parametrize(("kind", "value", "growth"), [("split", 2.0, 2.0), ("dividend", 5.0, 100.0 / 95.0)])
def test_shares_given_at_a_close_take_part_in_what_happens_before_they_are_filled(
    kind: str, value: float, growth: float, itemised: bool, reinvest: bool, whole: bool
) -> None:
    market, config = with_action(kind, value, weekday=0), AccountConfig(reinvest=reinvest, whole_shares=whole)
    tape = market.tape(itemised=itemised)
    by_value = {"source": "given", "holdings": {SYMBOLS[0]: 10 / 11, CASH: 1 / 11}, "nav": 11_000.0}
    by_count = {**by_value, "quantities": {SYMBOLS[0]: 100.0}}
    one, other = (
        book_week(None, make_decision(WEEKS[1], equal_target(), portfolio), tape, COSTS, config)
        for portfolio in (by_count, by_value)
    )
    assert one.nav_before == pytest.approx(11_000.0, rel=1e-12) == pytest.approx(other.nav_before, rel=1e-12)
    assert one.nav == pytest.approx(other.nav, rel=1e-9 if not whole else 1e-3)
    assert abs(one.reconciliation_error) < 1e-12
    assert one.events[0]["shares"] == {SYMBOLS[0]: 100.0}
    event = one.events[1]
    assert event["kind"] == (kind if itemised else "adjustment")
    if itemised and kind == "dividend" and not reinvest:
        assert (event["cash"], event["shares"]) == (500.0, {})
    else:
        assert event["shares"][SYMBOLS[0]] == pytest.approx(100.0 * (growth - 1.0), rel=1e-12)


def test_an_account_that_begins_anew_in_cash_keeps_its_value() -> None:
    (first,) = book(FLAT, equal_target())
    anew = make_decision(WEEKS[40], equal_target(), {"source": "cash", "holdings": {CASH: 1.0}})
    assert book_week(first, anew, FLAT.tape(), COSTS, CONFIG).nav_before == pytest.approx(first.nav, rel=1e-15)


def test_a_value_that_jumps_by_revised_prices_is_an_event_that_names_them() -> None:
    made = decisions([equal_target()] * 2)
    first = book_week(None, made[0], FLAT.tape(), COSTS, CONFIG)
    prices = FLAT.prices.copy()
    prices.loc[prices["symbol"] == SYMBOLS[3], ["open", "close", "adj_close"]] *= 1.5
    second = book_week(first, made[1], Tape(prices, True), COSTS, CONFIG)
    event = second.events[0]
    assert event["kind"] == "revised_prices"
    assert (event["facts"]["nav_before"], event["facts"]["nav"]) == (first.nav, second.nav_before)
    before, after = event["facts"]["prices"][SYMBOLS[3]]
    assert set(event["facts"]["prices"]) == {SYMBOLS[3]}
    assert after == pytest.approx(1.5 * before)
    assert second.nav_before - first.nav == pytest.approx(first.shares[SYMBOLS[3]] * (after - before))
    assert abs(second.reconciliation_error) < 1e-12
    untouched = book_week(first, made[1], FLAT.tape(), COSTS, CONFIG)
    assert "revised_prices" not in {event["kind"] for event in untouched.events}


def test_weeks_are_booked_in_order() -> None:
    made = decisions([equal_target()] * 3)
    first = book_week(None, made[0], FLAT.tape(), COSTS, CONFIG)
    with pytest.raises(MissingPartitionError, match=f"continues {made[1].run_id}") as caught:
        book_week(first, made[2], FLAT.tape(), COSTS, CONFIG)
    assert caught.value.week == WEEKS[2]


def test_an_account_never_goes_back() -> None:
    (first,) = book(FLAT, equal_target())
    late = make_decision(WEEKS[0], equal_target(), {"source": "cash", "holdings": {CASH: 1.0}})
    with pytest.raises(ConflictError, match="comes too late"):
        book_week(first, late, FLAT.tape(), COSTS, CONFIG)


@pytest.mark.parametrize("which", ["execution_session", "exit_session", "mark"])
def test_a_missing_price_is_an_error_that_names_it(which: str) -> None:
    row = calendar.week(WEEKS[0])
    day = row[which] if which != "mark" else calendar.week(WEEKS[1])["decision_session"]
    prices = FLAT.prices[~((FLAT.prices["date"] == day) & (FLAT.prices["symbol"] == SYMBOLS[3]))]
    with pytest.raises(MarketDataError, match=str(day.date())) as caught:
        book_week(None, decisions([equal_target()])[0], Tape(prices, True), COSTS, CONFIG)
    assert caught.value.symbol == SYMBOLS[3]


def test_a_dividend_larger_than_the_price_is_refused() -> None:
    market = with_action("dividend", 5.0)
    absurd = replace(market, actions=market.actions.assign(value=100.0))
    with pytest.raises(MarketDataError, match="not less than the close"):
        book(absurd, equal_target(), equal_target(), itemised=True)
