"""Inference: snapshots in, target weights and orders out."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator_pipeline.config import CASH, CostConfig, GateConfig
from allocator_pipeline.errors import (
    AllocatorError,
    ConfigurationError,
    ConflictError,
    MissingPartitionError,
    NotEnoughDataError,
    UnsafeNameError,
    WeightsError,
)
from allocator_pipeline.inference import (
    Portfolio,
    TargetWeights,
    decide,
    decision_record,
    in_service,
    paper_portfolio,
    read_portfolio,
)
from allocator_pipeline.portfolio.orders import orders_preview
from allocator_pipeline.portfolio.rollout import as_holdings, drift
from allocator_pipeline.portfolio.state import StateTensors, concatenate
from allocator_pipeline_tests.evaluation.conftest import Tilted, year_of_states

COSTS = CostConfig()
STATES: StateTensors = concatenate([year_of_states(2016), year_of_states(2017)])
WEEK = "2016-06-06"
VERSION = "v2015-12-28-abcdef"


def decided(portfolio: Portfolio, slots: tuple[int, ...] = (0, 1), week: str = WEEK) -> TargetWeights:
    return decide("ppo_lstm", (VERSION, Tilted(slots)), STATES, week, portfolio, COSTS)


def snapshot(cash: Any = 100.0, **values: Any) -> dict[str, Any]:
    return {"cash": cash, "positions": [{"symbol": s, "market_value": v} for s, v in values.items()]}


def test_a_snapshot_becomes_weights(tmp_path: Path) -> None:
    expected = Portfolio("given", {CASH: 0.25, "AAPL": 0.5, "BRK.B": 0.25}, 400.0, quantities={"AAPL": 3.0})
    values = {
        "cash": 100,
        "positions": [
            {"symbol": "AAPL", "market_value": 200.0, "qty": "3", "side": "long"},
            {"symbol": "BRK.B", "market_value": 100.0},
            {"symbol": "MSFT", "market_value": 0},
        ],
    }
    assert read_portfolio(values) == expected
    (tmp_path / "portfolio.json").write_text(json.dumps(values))
    assert read_portfolio(tmp_path / "portfolio.json") == expected
    assert read_portfolio({"cash_value": 50.0}) == Portfolio("given", {CASH: 1.0}, 50.0)


@pytest.mark.parametrize(
    "values",
    [
        {},
        [],
        None,
        "cash",
        {"positions": []},
        {"cash": 1.0, "cash_value": 1.0},
        {"cash": 1.0, "positions": {}},
        {"cash": 1.0, "positions": ["AAPL"]},
        {"cash": 1.0, "positions": [{"symbol": "AAPL"}]},
        {"cash": 1.0, "positions": [{"market_value": 1.0}]},
        {"cash": 1.0, "positions": [{"symbol": "AAPL", "qty": 1.0}]},  # without a close
        {"cash": 1.0, "positions": [{"symbol": "AAPL", "qty": 0.0, "market_value": 1.0}]},
        *(
            {"cash": 1.0, "positions": [{"symbol": "A", "qty": x, "market_value": 1.0}]}
            for x in (-1, "much", True, None)
        ),
        snapshot(0.0),
        snapshot(0.0, AAPL=0.0),
        snapshot(-1.0, AAPL=5.0),
        snapshot(AAPL=-5.0),
        snapshot(AAPL=math.nan),
        snapshot(math.inf),
        snapshot(True),
        snapshot(None),
        snapshot("100"),
        snapshot(10**400),
        snapshot(1e308, AAPL=1e308),
        snapshot(CASH=5.0),
        {"cash": 1.0, "positions": [{"symbol": "AAPL", "market_value": 1.0}] * 2},
    ],
)
def test_a_bad_snapshot_is_one_clear_error(values: Any) -> None:
    with pytest.raises(ConfigurationError, match="portfolio cannot be used"):
        read_portfolio(values)


def test_a_position_in_shares_is_valued_at_the_close_and_its_count_is_kept() -> None:
    positions = [{"symbol": "S00", "qty": 3}, {"symbol": "S01", "market_value": 50.0}, {"symbol": "S02", "qty": 0}]
    portfolio = read_portfolio({"cash": 20.0, "positions": positions}, lambda: {"S00": 10.0, "S02": 5.0})
    assert portfolio == Portfolio("given", {CASH: 0.2, "S00": 0.3, "S01": 0.5}, 100.0, quantities={"S00": 3.0})
    assert decision_record(decided(portfolio)).portfolio["quantities"] == {"S00": 3.0}
    assert "quantities" not in decision_record(decided(read_portfolio(snapshot(100.0, S00=100.0)))).portfolio
    with pytest.raises(ConfigurationError, match="needs a close") as caught:
        read_portfolio({"cash": 1.0, "positions": [{"symbol": "GONE", "qty": 3}]}, lambda: {"S00": 10.0})
    assert caught.value.symbol == "GONE"


@pytest.mark.parametrize("symbol", ["../x", "", "A\n", "x" * 300, 5, None, "A; DROP TABLE"])
def test_a_bad_symbol_is_refused(symbol: Any) -> None:
    with pytest.raises(UnsafeNameError, match="symbol"):
        read_portfolio({"cash": 1.0, "positions": [{"symbol": symbol, "market_value": 1.0}]})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[1]",
        '{"cash": NaN}',
        '{"cash": 1, "cash": 2}',
        "[" * 100_000,
        " " * (2**20 + 1),
        '{"cash": "\\ud800"}',
    ],
)
def test_a_bad_file_is_one_clear_error_that_names_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "portfolio.json"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match="portfolio cannot be used") as caught:
        read_portfolio(path)
    assert caught.value.source == str(path)
    with pytest.raises(ConfigurationError, match="absent"):
        read_portfolio(tmp_path / "absent.json")


@given(
    st.dictionaries(
        st.text("ABCDEFGH", min_size=1, max_size=4).filter(lambda name: name != CASH),
        st.floats(0, 1e12),
        max_size=20,
    ),
    st.floats(0, 1e12),
)
def test_any_amounts_become_weights_or_a_typed_error(values: dict[str, float], cash: float) -> None:
    try:
        portfolio = read_portfolio(snapshot(cash, **values))
    except AllocatorError:
        assert cash + sum(values.values()) <= 0
        return
    assert abs(math.fsum(portfolio.holdings.values()) - 1) < 1e-12
    assert all(weight >= 0 for weight in portfolio.holdings.values())


def test_what_left_the_universe_is_sold() -> None:
    portfolio = read_portfolio(snapshot(100.0, S00=100.0, GONE=200.0))
    found = decided(portfolio)
    assert found.sold == {"GONE": 0.5}
    assert found.current["S00"] == 0.25
    assert found.current[CASH] == 0.75  # what will be sold counts as cash
    assert sum(found.target.values()) == pytest.approx(1.0)
    assert set(found.target) == {*STATES.symbols[STATES.row(WEEK)].tolist(), CASH}
    # 0.15 of S00 and 0.50 of GONE are sold, 0.10 of S01 is bought; the rest becomes cash
    assert found.turnover == pytest.approx(0.5 * (0.15 + 0.5 + 0.1 + 0.55))
    assert [(order["symbol"], order["side"]) for order in found.orders] == [
        ("GONE", "SELL"),
        ("S00", "SELL"),
        ("S01", "BUY"),
    ]


def test_deciding_is_a_pure_function() -> None:
    portfolio = read_portfolio(snapshot(100.0, S00=100.0))
    assert decided(portfolio) == decided(portfolio)
    assert portfolio == read_portfolio(snapshot(100.0, S00=100.0))


def test_no_portfolio_is_all_cash() -> None:
    found = decided(paper_portfolio(None, WEEK, STATES))
    assert found.current[CASH] == 1.0
    assert (found.portfolio.source, found.orders) == ("cash", ())


def test_the_paper_account_is_last_weeks_decision_as_marked() -> None:
    first = decision_record(decided(paper_portfolio(None, WEEK, STATES), slots=(0, 1, 2)))
    portfolio = paper_portfolio(first, "2016-06-13", STATES)
    row = STATES.row(WEEK)
    target = np.array([first.action[name] for name in [*STATES.symbols[row].tolist(), CASH]])
    assert portfolio.holdings == as_holdings(drift(target, STATES.marks[row]), STATES.symbols[row])
    assert (portfolio.source, portfolio.run_id) == ("paper", first.run_id)
    second = decision_record(decided(portfolio, week="2016-06-13"))
    assert second.portfolio["run_id"] == first.run_id
    assert second.state["current_weights"]["S02"] == portfolio.holdings["S02"]


def test_the_paper_account_continues_only_the_week_before() -> None:
    first = decision_record(decided(paper_portfolio(None, WEEK, STATES)))
    with pytest.raises(ConflictError, match="not the paper account of that week"):
        paper_portfolio(first, "2016-06-20", STATES)
    with pytest.raises(NotEnoughDataError, match="no such week"):
        paper_portfolio(first, "2016-06-13", STATES.between("2016-06-13"))
    assert issubclass(MissingPartitionError, AllocatorError)


def test_weights_outside_the_constraints_are_refused() -> None:
    class Greedy:
        def target_weights(self, observation: Any) -> np.ndarray:
            return np.eye(16)[0]

    class Broken:
        def target_weights(self, observation: Any) -> np.ndarray:
            return np.full(16, np.nan)

    for policy in (Greedy(), Broken()):
        with pytest.raises(WeightsError):
            decide("ppo_lstm", (VERSION, policy), STATES, WEEK, Portfolio("cash", {CASH: 1.0}), COSTS)


@pytest.mark.parametrize("demanded", [True, False])
@pytest.mark.parametrize("proven", [True, False])
def test_without_the_badge_equal_weight_is_served_where_it_is_demanded(demanded: bool, proven: bool) -> None:
    serving = in_service(
        (VERSION, Tilted((0, 1))), proven=proven, gate=GateConfig(proof_to_serve=demanded), costs=COSTS
    )
    found = decide("ppo_lstm", serving, STATES, WEEK, Portfolio("cash", {CASH: 1.0}), COSTS)
    stocks = [weight for name, weight in found.target.items() if name != CASH]
    anchored = demanded and not proven
    assert decision_record(found).policy_version == found.version == ("equal_weight" if anchored else VERSION)
    assert (stocks == [pytest.approx(0.98 / 15)] * 15) == anchored


def test_a_record_has_the_fields_of_the_decision() -> None:
    found = decided(read_portfolio(snapshot(5000.0)))
    record = decision_record(found)
    assert (record.run_id, record.week_start, record.week_end) == ("paper:2016-06-06:ppo_lstm", WEEK, "2016-06-10")
    assert (record.policy_version, record.decided_at) == (VERSION, "2016-06-06T12:30:00+00:00")
    assert (record.action, record.turnover) == (found.target, found.turnover)
    assert record.portfolio["nav"] == 5000.0
    json.loads(record.to_json())


def orders(target: dict[str, float], holdings: dict[str, float], nav: float) -> dict[str, tuple[str, float]]:
    found = orders_preview("paper:2016-06-06:ppo_lstm", 1, target, holdings, nav)
    return {order["symbol"]: (order["side"], round(order["notional"], 6)) for order in found}


def test_orders_follow_the_thresholds() -> None:
    nav = 10_000.0
    held = {"BIG": 0.20, "SMALL": 0.10, "EXIT": 0.005, "CRUMB": 0.0005, CASH: 0.6945}
    target = {"BIG": 0.10, "SMALL": 0.105, "EXIT": 0.0, "CRUMB": 0.0, "NEW": 0.15, CASH: 0.645}
    assert orders(target, held, nav) == {
        "BIG": ("SELL", 1000.0),
        "EXIT": ("SELL", 50.0),  # under 1 %, but a full exit
        "NEW": ("BUY", 1500.0),  # SMALL changes by 0.5 %, CRUMB is worth 5 USD
    }
    assert list(orders(target, held, nav)) == ["BIG", "EXIT", "NEW"]


def test_what_left_the_universe_is_sold_whatever_it_is_worth() -> None:
    assert orders({"A": 0.5, CASH: 0.5}, {"A": 0.5, "LEFT": 0.0001, CASH: 0.4999}, 10_000.0) == {"LEFT": ("SELL", 1.0)}


def test_buys_are_scaled_to_cash_plus_proceeds() -> None:
    held = {"KEEP": 0.985, "SELL": 0.012, CASH: 0.003}
    target = {"KEEP": 0.98, "A": 0.01, "B": 0.03, "SELL": 0.0, CASH: -0.02}
    found = orders(target, held, 100_000.0)
    assert found["SELL"] == ("SELL", 1200.0)
    assert found["A"][1] + found["B"][1] == pytest.approx(300.0 + 1200.0)
    assert found["B"][1] == pytest.approx(3 * found["A"][1])


def test_order_identities_name_run_attempt_symbol_and_side() -> None:
    found = orders_preview("paper:2016-06-06:ppo_lstm", 3, {"AAPL": 0.2}, {CASH: 1.0}, 1000.0)
    assert [order["client_order_id"] for order in found] == ["paper:2016-06-06:ppo_lstm:attempt-3:AAPL:BUY"]
    assert {order["status"] for order in found} == {"preview"}


@given(
    st.lists(st.floats(0, 1), min_size=5, max_size=5),
    st.lists(st.floats(0, 1), min_size=5, max_size=5),
    st.floats(10, 1e7),
)
def test_orders_never_spend_more_than_there_is(held: list[float], wanted: list[float], nav: float) -> None:
    names = ["A", "B", "C", "D", CASH]
    held[-1] += 1e-3
    wanted[-1] += 1e-3
    holdings = {name: weight / sum(held) for name, weight in zip(names, held, strict=True)}
    target = {name: weight / sum(wanted) for name, weight in zip(names, wanted, strict=True)}
    found = orders(target, holdings, nav)
    sold = sum(notional for side, notional in found.values() if side == "SELL")
    bought = sum(notional for side, notional in found.values() if side == "BUY")
    assert bought <= holdings[CASH] * nav + sold + 1e-4
    assert all(
        notional <= holdings[symbol] * nav + 1e-4 for symbol, (side, notional) in found.items() if side == "SELL"
    )
    assert all(notional >= 10 - 1e-6 for _, notional in found.values())
