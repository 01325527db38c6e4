import dataclasses

import numpy as np
import pytest

from allocator_pipeline.config import CASH, CostConfig
from allocator_pipeline.errors import NotEnoughDataError, WeightsError
from allocator_pipeline.portfolio.constraints import equal_weights, project
from allocator_pipeline.portfolio.rollout import as_holdings, observed_weights, settle, simulate
from allocator_pipeline_tests.portfolio.conftest import make_states

SYMBOLS = [f"S{slot:02d}" for slot in range(15)]
ALL_CASH = {CASH: 1.0}


def random_allocator(seed: int, costs: CostConfig, scale: float = 1.5):
    rng = np.random.default_rng(seed)
    return lambda observation: project(rng.normal(size=16) * scale, costs)


def test_a_week_by_hand(costs):
    target = np.zeros(16)
    target[[0, 1, -1]] = 0.2, 0.1, 0.7
    returns = np.zeros(15)
    returns[:2] = 0.10, -0.20
    week = settle(target, SYMBOLS, {"S00": 0.1, "OLD": 0.3, CASH: 0.6}, returns, costs)
    assert week.turnover == pytest.approx(0.5 * (0.1 + 0.1 + 0.3 + 0.1))
    assert week.cost == pytest.approx(0.001 * week.turnover)
    assert week.gross == pytest.approx(0.0, abs=1e-15)
    assert 1 + week.net == pytest.approx(1 - week.cost)
    assert week.reward == pytest.approx(100 * np.log(1 - week.cost))
    assert week.held_after == pytest.approx({"S00": 0.22, "S01": 0.08, CASH: 0.70})


def test_doing_nothing_costs_nothing(costs):
    target = equal_weights(costs)
    week = settle(target, SYMBOLS, as_holdings(target, SYMBOLS), np.full(15, 0.01), costs)
    assert week.turnover == 0.0
    assert week.net == pytest.approx(0.98 * 0.01)


@pytest.mark.parametrize("seed", range(10))
def test_wealth_identity_while_the_universe_changes(seed, costs, account):
    states = make_states(104, seed)
    rollout = simulate(random_allocator(seed, costs), states, costs)
    dollars = account()
    for t in range(len(states)):
        dollars.live(rollout.targets[t], states.symbols[t], states.returns[t])
        assert np.prod(1 + rollout.net[: t + 1]) == pytest.approx(dollars.growth, rel=1e-9)
    assert np.exp(rollout.reward.sum() / costs.reward_scale) == pytest.approx(dollars.growth, rel=1e-9)
    wealth = sum(dollars.dollars.values())
    assert rollout.holdings_after == pytest.approx(
        {name: amount / wealth for name, amount in dollars.dollars.items()}, abs=1e-12
    )
    np.testing.assert_allclose(rollout.cost, 0.001 * rollout.turnover)


def test_leavers_are_charged(costs):
    """Two markets that differ only in the name of one held stock: the change of name is a sale and a purchase."""
    same = make_states(2, changing=False)
    symbols = same.symbols.copy()
    symbols[1, 4] = "NEW"
    changed = dataclasses.replace(same, symbols=symbols)
    stays = simulate(lambda observation: equal_weights(costs), same, costs)
    leaves = simulate(lambda observation: equal_weights(costs), changed, costs)
    sold = stays.targets[0, 4] * (1 + same.returns[0, 4]) / (1 + stays.gross[0])
    bought = stays.targets[1, 4]
    assert leaves.turnover[1] - stays.turnover[1] == pytest.approx(0.5 * (sold + bought - abs(sold - bought)))


def test_a_symbol_keeps_its_weight_when_it_changes_slots(costs):
    same = make_states(2, changing=False)
    symbols = same.symbols.copy()
    symbols[1] = symbols[1][::-1]
    moved = dataclasses.replace(same, symbols=symbols, returns=same.returns * [[1.0], [0.0]])
    seen = []
    rollout = simulate(
        lambda observation: [seen.append(observation.weights), equal_weights(costs)][1],
        moved,
        costs,
    )
    drifted = rollout.targets[0, :-1] * (1 + same.marks[0])
    drifted = drifted / (drifted.sum() + rollout.targets[0, -1])
    np.testing.assert_allclose(seen[1][:-1], drifted[::-1])
    assert rollout.turnover[1] == pytest.approx(
        simulate(lambda observation: equal_weights(costs), same, costs).turnover[1]
    )


def test_decisions_see_marks_up_to_their_close_and_no_return(costs):
    states = make_states(40)

    def seen_of(market):
        seen = []
        simulate(lambda observation: [seen.append(observation.vector), equal_weights(costs)][1], market, costs)
        return np.stack(seen)

    base = seen_of(states)
    for t in (0, 17, 39):
        returns, marks = states.returns.copy(), states.marks.copy()
        returns[: t + 1] = returns[: t + 1][::-1]
        returns[t:] *= 0.5
        marks[t:] *= 0.5
        np.testing.assert_array_equal(
            seen_of(dataclasses.replace(states, returns=returns, marks=marks))[: t + 1], base[: t + 1]
        )
    assert (seen_of(dataclasses.replace(states, marks=states.marks * 0.5))[1:] != base[1:]).any(axis=1).all()


def test_a_rollout_can_be_cut_and_carried_on(costs):
    states = make_states(90)

    def decide(observation):
        return project(10 * observation.weights + observation.features[:, -1].mean(), costs)

    whole = simulate(decide, states, costs)
    first = simulate(decide, states[:40], costs)  # the universe changes at the cut
    second = simulate(decide, states[40:], costs, first.holdings_after, first.observed_after)
    for name in ("targets", "turnover", "cost", "gross", "net", "reward"):
        joined = np.concatenate([getattr(first, name), getattr(second, name)])
        np.testing.assert_array_equal(joined, getattr(whole, name))
    assert second.holdings_after == whole.holdings_after
    assert second.observed_after == whole.observed_after


def test_observed_weights_count_leavers_as_cash():
    weights = observed_weights({"S03": 0.25, "OLD": 0.35, CASH: 0.40}, SYMBOLS)
    assert weights[3] == 0.25
    assert weights[-1] == pytest.approx(0.75)
    assert observed_weights(ALL_CASH, SYMBOLS)[-1] == 1.0


@pytest.mark.parametrize(
    "holdings", [{}, {CASH: 0.9}, {CASH: 2.0, "S00": -1.0}, {CASH: np.nan}, {CASH: np.inf}, {"S00": 0.5, "S01": np.nan}]
)
def test_what_is_no_portfolio_is_refused(holdings, costs):
    with pytest.raises(WeightsError, match="holdings are no portfolio"):
        observed_weights(holdings, SYMBOLS)
    with pytest.raises(WeightsError, match="holdings are no portfolio"):
        settle(equal_weights(costs), SYMBOLS, holdings, np.zeros(15), costs)


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_bad_returns_are_refused(value, costs):
    returns = np.zeros(15)
    returns[7] = value
    with pytest.raises(WeightsError, match="returns"):
        settle(equal_weights(costs), SYMBOLS, ALL_CASH, returns, costs)


def test_a_bad_decision_is_refused_and_names_the_week(costs):
    states = make_states(10)

    def decide(observation):
        return equal_weights(costs) * (np.nan if observation.week == states.weeks[4] else 1.0)

    with pytest.raises(WeightsError, match="not finite") as caught:
        simulate(decide, states, costs)
    assert caught.value.week == str(states.weeks[4])


def test_unknown_weeks_are_refused(costs):
    states = make_states(10)
    returns, marks = states.returns.copy(), states.marks.copy()
    returns[7, 0] = marks[5, 0] = np.nan
    for name, value, row in (("returns", returns, 7), ("marks", marks, 5)):
        with pytest.raises(NotEnoughDataError) as caught:
            simulate(lambda observation: equal_weights(costs), dataclasses.replace(states, **{name: value}), costs)
        assert caught.value.week == str(states.weeks[row])


def test_it_stays_free_of_torch():
    import subprocess
    import sys

    modules = "portfolio.batch, portfolio.rollout, portfolio.scaler, allocators.base, allocators.baselines"
    names = ", ".join(f"allocator_pipeline.{name}" for name in modules.split(", "))
    program = f"import sys, {names}; print(sorted({{'torch', 'skfolio', 'gymnasium', 'dagster'}} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_a_walk_settles_each_week_as_settle_does_alone(costs):
    """Week by week by symbol, also where symbols leave, join and change slots: the same bits."""
    changed = make_states(104)
    run = simulate(random_allocator(5, costs), changed, costs)
    assert (changed.symbols[1:] != changed.symbols[:-1]).any()
    held = dict(ALL_CASH)
    for t in range(len(changed)):
        week = settle(run.targets[t], changed.symbols[t], held, changed.returns[t], costs)
        for name in ("turnover", "cost", "gross", "net", "reward"):
            assert getattr(run, name)[t] == getattr(week, name)
        held = week.held_after
    assert run.holdings_after == held


def test_no_weeks_are_no_walk(costs):
    with pytest.raises(NotEnoughDataError, match="no weeks to walk"):
        simulate(lambda observation: equal_weights(costs), make_states(4)[:0], costs)
