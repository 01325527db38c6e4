"""Labels: pending, due, and the same numbers as the evaluation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from allocator_pipeline.config import CASH
from allocator_pipeline.errors import ConflictError, LabelError, MissingPartitionError
from allocator_pipeline.experience.labeling import Fills, label, label_week
from allocator_pipeline.experience.store import ExperienceStore
from allocator_pipeline.inference import Portfolio
from allocator_pipeline.market import calendar
from allocator_pipeline.portfolio.rollout import simulate
from allocator_pipeline_tests.experience.conftest import (
    COSTS,
    EXIT_OF_JUNE_6,
    STATES,
    Tilted,
    make_decision,
    next_decision,
)

END = pd.Timestamp("2018-06-29")


def without(states, week: str, slot: int | None = None, name: str = "returns"):
    """Return the states with a return (or all of a week's) unknown."""
    values = getattr(states, name).copy()
    values[states.row(week), slice(None) if slot is None else slot] = np.nan
    return replace(states, **{name: values})


def test_pending_before_the_exit_price_exists() -> None:
    decision = make_decision()
    unknown = without(STATES, "2016-06-06")
    assert label(decision, None, unknown, EXIT_OF_JUNE_6 - pd.Timedelta(days=1), COSTS) is None
    assert label(decision, None, STATES, EXIT_OF_JUNE_6 - pd.Timedelta(days=1), COSTS) is None
    assert label(decision, None, STATES, EXIT_OF_JUNE_6.date(), COSTS) is not None


@pytest.mark.parametrize("name", ["returns", "marks"])
def test_missing_though_due_is_an_error_that_names_symbol_and_week(name: str) -> None:
    with pytest.raises(LabelError, match="a return is missing") as caught:
        label(make_decision(), None, without(STATES, "2016-06-06", 4, name), EXIT_OF_JUNE_6, COSTS)
    assert (caught.value.week, caught.value.symbol) == ("2016-06-06", "S04")


def test_due_without_the_next_state_is_an_error() -> None:
    with pytest.raises(LabelError, match="do not hold the week") as caught:
        label(make_decision(), None, STATES.between(last="2016-06-06"), EXIT_OF_JUNE_6, COSTS)
    assert caught.value.week == "2016-06-13"


def test_another_universe_is_an_error() -> None:
    decision = make_decision()
    changed = replace(decision, action={**decision.action, "ZZZ": 0.0})
    with pytest.raises(LabelError, match="another universe") as caught:
        label(changed, None, STATES, EXIT_OF_JUNE_6, COSTS)
    assert caught.value.symbol == "ZZZ"


def test_labels_equal_the_evaluation_over_the_turn_of_the_year(store: ExperienceStore) -> None:
    """The paper account and the evaluation tell the same story, through a change of universe."""
    weeks = [str(week.date()) for week in calendar.weeks("2016-12-05", "2017-01-23")["week"]]
    policy = Tilted((0, 1, 2, 8, 14))
    run = simulate(policy.target_weights, STATES.between(weeks[0], weeks[-1]), COSTS)
    decision = make_decision(weeks[0], policy.slots)
    store.record_decision(decision)
    for week in weeks[1:]:
        decision = next_decision(decision, week, policy.slots)
        store.record_decision(decision)
    for week in weeks:
        assert label_week(store, f"paper:{week}:ppo_lstm", STATES, END, COSTS) == "inserted"
    labels = [row.label for row in store.records()]
    assert [found.realized_return for found in labels] == run.net.tolist()
    assert [found.reward for found in labels] == run.reward.tolist()
    assert [found.realized_turnover for found in labels] == run.turnover.tolist()
    assert labels[-1].holdings_after == run.holdings_after


def test_the_next_state_is_what_the_next_decision_saw() -> None:
    decision = make_decision()
    found = label(decision, None, STATES, EXIT_OF_JUNE_6, COSTS)
    assert found is not None
    assert found.next_state == next_decision(decision, "2016-06-13").state


def test_the_reward_is_the_scaled_log_of_the_net_return() -> None:
    decision = make_decision(slots=(0,))
    found = label(decision, None, STATES, EXIT_OF_JUNE_6, COSTS)
    assert found is not None
    paid = STATES.returns[STATES.row("2016-06-06"), 0]
    assert found.realized_return == pytest.approx((1 - 0.001 * 0.1) * (1 + 0.1 * paid) - 1, abs=1e-15)
    assert found.reward == pytest.approx(100 * np.log1p(found.realized_return), abs=1e-12)
    assert (found.realized_turnover, found.cost) == (pytest.approx(0.1), pytest.approx(0.0001))
    assert found.labeled_at == "2016-06-19T16:00:00+00:00"


def test_given_holdings_outside_the_universe_are_sold_at_cost() -> None:
    given = Portfolio("given", {"GONE": 0.5, "S00": 0.1, CASH: 0.4}, 1000.0)
    found = label(make_decision(slots=(0,), portfolio=given), None, STATES, EXIT_OF_JUNE_6, COSTS)
    assert found is not None
    assert found.realized_turnover == pytest.approx(0.5)
    assert [(fill["symbol"], fill["side"]) for fill in found.execution_report] == [("GONE", "SELL")]
    assert {(fill["status"], fill["filled_qty"]) for fill in found.execution_report} == {("not_booked", None)}
    assert found.execution_report[0]["client_order_id"] == "paper:2016-06-06:ppo_lstm:attempt-1:GONE:SELL"


def test_fills_of_an_account_are_recorded_and_the_reward_stays_that_of_the_decision() -> None:
    decision = make_decision(slots=(0,))
    fills = Fills({"S00": 0.09, CASH: 0.91}, [{"symbol": "S00", "side": "BUY", "filled_qty": 3.0}])
    plain, filled = (label(decision, None, STATES, EXIT_OF_JUNE_6, COSTS, given) for given in (None, fills))
    assert plain is not None
    assert filled is not None
    assert (filled.actual_weights, filled.execution_report) == (fills.actual_weights, fills.report)
    assert (filled.reward, filled.realized_return, filled.cost) == (plain.reward, plain.realized_return, plain.cost)


def test_a_paper_account_is_labelled_in_order(store: ExperienceStore) -> None:
    first = make_decision()
    second = next_decision(first, "2016-06-13")
    store.record_decision(first)
    store.record_decision(second)
    with pytest.raises(LabelError, match="continues paper:2016-06-06:ppo_lstm, which is not labelled"):
        label_week(store, second.run_id, STATES, END, COSTS)
    assert label_week(store, first.run_id, STATES, EXIT_OF_JUNE_6, COSTS) == "inserted"
    assert label_week(store, second.run_id, STATES, EXIT_OF_JUNE_6, COSTS) == "pending"
    assert label_week(store, second.run_id, STATES, END, COSTS) == "inserted"
    assert label_week(store, second.run_id, STATES, END, COSTS) == "unchanged"


def test_only_decided_weeks_are_labelled(store: ExperienceStore) -> None:
    with pytest.raises(MissingPartitionError, match="no decision"):
        label_week(store, "paper:2016-06-06:ppo_lstm", STATES, END, COSTS)


def test_late_prices_mend_a_missing_label_and_never_change_a_written_one(store: ExperienceStore) -> None:
    decision = make_decision()
    store.record_decision(decision)
    with pytest.raises(LabelError, match="a return is missing"):
        label_week(store, decision.run_id, without(STATES, "2016-06-06", 4), END, COSTS)
    assert store.unlabeled_weeks("ppo_lstm") == ["2016-06-06"]
    assert label_week(store, decision.run_id, STATES, END, COSTS) == "inserted"
    written = store.records()
    revised = replace(STATES, returns=STATES.returns + 0.01)
    with pytest.raises(ConflictError, match="labelled already"):
        label_week(store, decision.run_id, revised, END, COSTS)
    assert store.records() == written
