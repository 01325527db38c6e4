"""A preview of orders is what the account fills, if its prices are the closes that the decision saw."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from allocator_pipeline.account.booking import Booking, book_week
from allocator_pipeline.account.preview import preview_orders
from allocator_pipeline.config import CASH, AccountConfig
from allocator_pipeline.errors import MissingPartitionError
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

TARGETS = [equal_target(), equal_target(SYMBOLS[3:18]), {**equal_target(SYMBOLS[3:18], 0.2)}, equal_target(SYMBOLS[:9])]
MADE = decisions(TARGETS)
CONFIGS = [AccountConfig(), AccountConfig(whole_shares=True), AccountConfig(deposit=300.0)]


def unchanged_over_weekends() -> Made:
    """Return a market whose weeks open at the close before them."""
    market = make_market(4, dividends=False)
    wide = market.prices.pivot(index="date", columns="symbol", values="close").shift()
    prices = market.prices.set_index(["date", "symbol"])
    for week in WEEKS[:6]:
        day = calendar.week(week)["execution_session"]
        prices.loc[(day, slice(None)), "open"] = wide.loc[day].reindex(SYMBOLS).to_numpy()
    return replace(market, prices=prices.reset_index())


MARKET = unchanged_over_weekends()


def booked(config: AccountConfig) -> list[Booking]:
    weeks: list[Booking] = []
    for decision in MADE:
        weeks.append(book_week(weeks[-1] if weeks else None, decision, MARKET.tape(), COSTS, config))
    return weeks


def same(preview: list[dict[str, Any]], week: Booking) -> None:
    filled = {one["client_order_id"]: one["filled_qty"] * one["filled_avg_price"] for one in week.execution_report}
    assert {one["client_order_id"]: one["notional"] for one in preview} == pytest.approx(filled, rel=1e-9)
    assert [one["side"] for one in preview] == sorted((one["side"] for one in preview), reverse=True)


@pytest.mark.parametrize("config", CONFIGS, ids=["fractional", "whole", "small"])
def test_for_unchanged_prices_the_orders_are_the_accounts_own(config: AccountConfig) -> None:
    weeks = booked(config)
    assert any(week.execution_report for week in weeks[1:])
    same(preview_orders(None, None, MADE[0], MARKET.tape(), COSTS, config), weeks[0])
    for number in range(1, len(MADE)):
        previous = weeks[number - 2] if number > 1 else None
        known = MARKET.prices[MARKET.prices["date"] <= calendar.week(WEEKS[number])["decision_session"]]
        tape = replace(MARKET, prices=known).tape()  # nothing later is asked for
        same(preview_orders(previous, MADE[number - 1], MADE[number], tape, COSTS, config), weeks[number])


def test_for_unchanged_prices_those_of_a_given_portfolio_are_too() -> None:
    portfolio = {"source": "given", "holdings": {SYMBOLS[19]: 0.5, "BTCUSD": 0.1, CASH: 0.4}, "nav": 9_000.0}
    decision = make_decision(WEEKS[2], equal_target(), portfolio)
    previous = booked(AccountConfig())[0]
    week = book_week(previous, decision, MARKET.tape(), COSTS, AccountConfig())
    same(preview_orders(previous, None, decision, MARKET.tape(), COSTS, AccountConfig()), week)


def test_an_account_that_is_not_booked_so_far_has_no_preview() -> None:
    with pytest.raises(MissingPartitionError, match="was last booked for nothing"):
        preview_orders(None, MADE[1], MADE[2], MARKET.tape(), COSTS, AccountConfig())
