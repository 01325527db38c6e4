"""The paper account is the environment's accounting, in dollars and shares."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocator_pipeline.account.booking import Booking, book_week
from allocator_pipeline.config import CASH, AccountConfig, CostConfig
from allocator_pipeline.portfolio.rollout import simulate
from allocator_pipeline.portfolio.state import StateTensors
from allocator_pipeline_tests.account.market import SYMBOLS, WEEKS, Made, decisions, make_market

EXACT = AccountConfig(min_order_share=0.0, min_order_usd=0.0)


def drawn(seed: int, cash: float) -> tuple[np.ndarray, np.ndarray]:
    """Return a universe that changes and sparse target weights in it, each of T weeks."""
    rng = np.random.default_rng(seed)
    slots = np.array(SYMBOLS[:15])
    symbols, targets = [], []
    for number in range(len(WEEKS)):
        if number % 7 == 6:  # one leaves and another joins in its slot
            slots = slots.copy()
            slots[rng.integers(15)] = rng.choice([name for name in SYMBOLS if name not in slots])
        weights = np.where(rng.random(15) < 0.3, 0.0, rng.random(15))
        invested = 0.0 if rng.random() < 0.05 or not weights.any() else (1.0 - cash) * rng.uniform(0.5, 1.0) ** 0.2
        weights = invested * weights / max(weights.sum(), 1e-9)
        symbols.append(slots)
        targets.append(np.r_[weights, 1.0 - weights.sum()])
    return np.array(symbols), np.array(targets)


def walked(
    market: Made, symbols: np.ndarray, targets: np.ndarray, costs: CostConfig, config: AccountConfig, **tape: bool
) -> list[Booking]:
    named = [
        {name: float(weight) for name, weight in zip([*row, CASH], weights, strict=True)}
        for row, weights in zip(symbols.tolist(), targets, strict=True)
    ]
    booked: list[Booking] = []
    bars = market.tape(**tape)
    for decision in decisions(named):
        booked.append(book_week(booked[-1] if booked else None, decision, bars, costs, config))
    return booked


def simulated(market: Made, symbols: np.ndarray, targets: np.ndarray, costs: CostConfig, has_open: bool):
    returns = np.array([market.returns(week, row.tolist(), has_open) for week, row in zip(WEEKS, symbols, strict=True)])
    states = StateTensors(
        weeks=np.array(WEEKS, dtype="datetime64[D]"),
        symbols=symbols,
        signals=np.zeros((len(WEEKS), 15, 7)),
        missing=np.zeros((len(WEEKS), 15, 7), dtype=bool),
        forecasts=np.zeros((len(WEEKS), 15)),
        returns=returns,
        marks=returns,
    )
    rows = iter(targets)
    return simulate(lambda observation: next(rows), states, costs)


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    bps=st.sampled_from([0.0, 10.0, 100.0]),
    has_open=st.booleans(),
    itemised=st.booleans(),
    cash=st.sampled_from([0.0, 0.02, 0.3]),
)
def test_a_year_of_weeks_reconciles_with_the_environment(
    seed: int, bps: float, has_open: bool, itemised: bool, cash: float
) -> None:
    costs = CostConfig(cost_bps=bps, cash_buffer=0.0, max_position_weight=1.0)
    market = make_market(seed)
    symbols, targets = drawn(seed, cash)
    run = simulated(market, symbols, targets, costs, has_open)
    booked = walked(market, symbols, targets, costs, EXACT, has_open=has_open, itemised=itemised)
    growth = np.cumprod(1.0 + run.net)
    nav = np.array([week.nav for week in booked]) / EXACT.deposit
    np.testing.assert_allclose(nav, growth, rtol=1e-9, atol=0.0)
    np.testing.assert_allclose([week.turnover for week in booked], run.turnover, atol=1e-9)
    np.testing.assert_allclose([week.cost for week in booked], run.cost, atol=1e-12)
    assert max(abs(week.reconciliation_error) for week in booked) < 1e-11
    assert min(week.cash for week in booked) > -1e-6


@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    whole=st.booleans(),
    deposit=st.sampled_from([1_000.0, 30_000.0, 5e6]),
    itemised=st.booleans(),
    reinvest=st.booleans(),
)
def test_thresholds_whole_shares_and_cash_dividends_keep_to_the_accounting_of_the_weights_reached(
    seed: int, whole: bool, deposit: float, itemised: bool, reinvest: bool
) -> None:
    config = AccountConfig(deposit=deposit, whole_shares=whole, reinvest=reinvest)
    costs = CostConfig(cost_bps=25.0, cash_buffer=0.0, max_position_weight=1.0)
    booked = walked(make_market(seed), *drawn(seed, 0.0), costs, config, itemised=itemised)
    assert max(abs(week.reconciliation_error) for week in booked) < 1e-11
    assert min(week.cash for week in booked) > -1e-9 * deposit
    for week in booked:
        assert all(count > 0 for count in week.shares.values())
        assert not whole or all(count == int(count) for count in week.shares.values())
        assert sum(week.actual_weights.values()) == pytest.approx(1.0, abs=1e-12)
