"""Orders are filled with the money there is, and the fee is that of the one cost model."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator_pipeline.account.events import Balance
from allocator_pipeline.account.execution import execute
from allocator_pipeline.config import CASH, AccountConfig, CostConfig
from allocator_pipeline.portfolio.orders import MIN_ORDER_SHARE, MIN_ORDER_USD

NAMES = ["A", "B", "C", "D"]
AMOUNTS = st.lists(st.floats(0, 1), min_size=5, max_size=5)


def weights(amounts: list[float]) -> dict[str, float]:
    total = sum(amounts) + 1e-3
    stocks = {name: amount / total for name, amount in zip(NAMES, amounts[:-1], strict=True)}
    return {**stocks, CASH: (amounts[-1] + 1e-3) / total}


@given(
    held=AMOUNTS,
    wanted=AMOUNTS,
    prices=st.lists(st.floats(0.5, 900.0), min_size=4, max_size=4),
    nav=st.floats(100.0, 1e7),
    whole=st.booleans(),
    bps=st.floats(0.0, 200.0),
    left=st.booleans(),
)
def test_no_money_is_made_or_borrowed(
    held: list[float],
    wanted: list[float],
    prices: list[float],
    nav: float,
    whole: bool,
    bps: float,
    left: bool,
) -> None:
    quotes = dict(zip(NAMES, prices, strict=True))
    before = {name: weight * nav for name, weight in weights(held).items()}
    cash = before.pop(CASH)
    balance = Balance(cash, {name: value / quotes[name] for name, value in before.items() if value > 0})
    target = weights(wanted)
    if left:
        target[CASH] += target.pop("A")
    config = AccountConfig(whole_shares=whole)
    done = execute(balance, target, quotes, "2019-01-07", ("paper:x", 1), CostConfig(cost_bps=bps), config)
    after = balance.after(done.events)
    assert after.cash >= -1e-9 * nav
    assert all(count > 0 for count in after.shares.values())
    assert not (left and "A" in after.shares)
    assert abs(after.value(quotes) - done.nav * (1.0 - done.cost)) < 1e-9 * nav
    assert abs(done.cost - bps / 10_000 * done.turnover) < 1e-12
    sides = [row["side"] for row in done.report]
    assert sides == sorted(sides, reverse=True)
    for row in done.report:
        if whole and row["side"] == "BUY":
            assert row["filled_qty"] == int(row["filled_qty"]) > 0
        value = row["filled_qty"] * row["filled_avg_price"] * (1.0 + 1e-9)
        whole_position = row["side"] == "SELL" and row["symbol"] not in after.shares
        assert value >= MIN_ORDER_USD or (whole_position and row["symbol"] not in target)
        assert value >= MIN_ORDER_SHARE * nav or whole_position


QUOTES = {"A": 21.0, "B": 10.0}


@pytest.mark.parametrize(
    ("cash", "shares", "target", "whole", "traded"),
    [
        pytest.param(3_000.0, {}, {"A": 0.0125, "B": 0.9}, True, {"B"}, id="a buy of 37 USD is one share, 0.7 %"),
        pytest.param(700.0, {}, {"A": 0.0155, "B": 0.9}, False, {"A", "B"}, id="which parts of shares are not"),
        pytest.param(2_937.0, {"A": 3.0}, {"A": 0.009, "B": 0.9}, True, {"B"}, id="a sale of 36 USD is one share"),
        pytest.param(2_937.0, {"A": 3.0}, {"A": 0.0, "B": 0.9}, True, {"A", "B"}, id="all of a stock"),
        pytest.param(2_979.0, {"A": 1.0}, {"A": 0.0, "B": 0.9}, True, {"A", "B"}, id="all of little"),
        pytest.param(10.1, {"B": 98.99}, {"A": 0.0101, "B": 0.9899}, False, set(), id="the fee leaves 9.90 USD"),
    ],
)
def test_what_is_filled_is_no_less_than_the_least_order(
    cash: float, shares: dict[str, float], target: dict[str, float], whole: bool, traded: set[str]
) -> None:
    weights = {**target, CASH: 1.0 - sum(target.values())}
    order, costs = ("paper:x", 1), CostConfig(cost_bps=200.0)
    balance = Balance(cash, shares)
    done = execute(balance, weights, QUOTES, "2019-01-07", order, costs, AccountConfig(whole_shares=whole))
    assert {row["symbol"] for row in done.report} == traded
