"""The yearly report: whose weeks, which holdings, what is refused; the accounting against a ledger in currency."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from allocator_pipeline.allocators.baselines import EqualWeight
from allocator_pipeline.atomic import canonical_json
from allocator_pipeline.config import BASELINES, CASH, CostConfig
from allocator_pipeline.errors import (
    ConfigurationError,
    CorruptArtifactError,
    MarketDataError,
    MissingPartitionError,
    NotEnoughDataError,
)
from allocator_pipeline.evaluation.metrics import metrics
from allocator_pipeline.evaluation.performance import performance
from allocator_pipeline.evaluation.significance import sharpe_difference, sharpe_interval
from allocator_pipeline.evaluation.walk_forward import check_format
from allocator_pipeline.portfolio.rollout import simulate
from allocator_pipeline_tests.evaluation.conftest import CONTEXT, VERSIONS, Tilted


def ledger(states, slots, bps=10.0):
    """Keep the account of `Tilted` in currency, symbol by symbol: the second implementation."""
    account, nets, turnovers = {CASH: 1000.0}, [], []
    for symbols, returns in zip(states.symbols, states.returns, strict=True):
        before = sum(account.values())
        wanted = {str(symbols[slot]): 0.10 * before for slot in slots}
        wanted[CASH] = before - sum(wanted.values())
        traded = sum(abs(wanted.get(name, 0.0) - account.get(name, 0.0)) for name in {*wanted, *account}) / 2
        turnovers.append(traded / before)
        left = 1 - bps / 10_000 * traded / before
        moves = dict(zip(symbols, returns, strict=True))
        account = {name: amount * left * (1 + moves.get(name, 0.0)) for name, amount in wanted.items()}
        nets.append(sum(account.values()) / before - 1)
    return np.array(nets), np.array(turnovers)


def changed(states, week, field, value):
    table = getattr(states, field).copy()
    table[states.weeks >= np.datetime64(week)] = value
    return replace(states, **{field: table})


def test_every_series_equals_a_ledger_in_currency(report_of, states):
    walked = report_of()["walk_forward"]["series"]
    slots = {"policy": range(8), "reference": (1, 2, 3), "equal_weight": range(9), "hrp": (0, 2, 4, 6, 8, 10)}
    assert list(walked) == list(slots)
    for name, held in slots.items():
        nets, turnovers = ledger(states, held)
        assert walked[name]["weekly"]["net"] == pytest.approx(nets, abs=1e-12), name
        assert walked[name]["weekly"]["turnover"] == pytest.approx(turnovers, abs=1e-12), name
        assert walked[name]["facts"]["final_wealth"] == pytest.approx(np.prod(1 + nets))


def test_numbers_are_those_of_performance_and_significance(report_of, states):
    report = report_of()
    for section, weeks in (("year_only", states.between("2018-01-01")), ("walk_forward", states)):
        series = report[section]["series"]
        market = simulate(EqualWeight(CostConfig()).target_weights, weeks, CostConfig())
        own = performance(simulate(Tilted(tuple(range(8))).target_weights, weeks, CostConfig()), market, CostConfig())
        assert {name: series["policy"][name] for name in own} == own
        for one in series.values():
            weekly = one["weekly"]
            assert metrics(weekly["net"], weekly["turnover"]).items() <= one["metrics"].items()
            multipliers = (1 + np.array(weekly["gross"])) * (1 - np.array(weekly["cost"]))
            assert weekly["net"] == pytest.approx(multipliers - 1, abs=1e-15)
            assert one["interval"] == sharpe_interval(weekly["net"])
            assert one["facts"]["costs_paid"] == pytest.approx(sum(weekly["turnover"]) * 0.001)
            worst = one["facts"]["worst_week"]
            assert worst["net"] == min(weekly["net"]) == weekly["net"][weekly["weeks"].index(worst["week"])]
        against = series["policy"]["against"]
        assert list(against) == ["equal_weight", "hrp"]
        assert against["hrp"] == sharpe_difference(series["policy"]["weekly"]["net"], series["hrp"]["weekly"]["net"])
        assert series["hrp"]["against"] == {}
    assert list(report["walk_forward"]["series"]["reference"]["against"]) == ["equal_weight", "hrp"]


def test_policies_are_compared_with_what_the_gate_reads_and_with_nothing_else(report_of):
    rivals = {name: Tilted((number,)) for number, name in enumerate(BASELINES)}
    series = report_of(baselines=rivals)["walk_forward"]["series"]
    assert [name for name, one in series.items() if one["role"] == "baseline"] == list(BASELINES)
    assert list(series["policy"]["against"]) == ["equal_weight", "hrp"]
    assert all(one["interval"] for one in series.values())


def test_what_lies_between_training_and_judgement_is_stated_and_true(report_of):
    purge = report_of()["purge"]
    assert purge["gap_days"] == {"2016": 3, "2017": 3, "2018": 3}  # 2015-12-28 to 2015-12-31, and so on
    assert (purge["label_weeks"], purge["embargo_weeks"]) == (1, 0)
    assert "3 to 3 days" in purge["words"]


def test_a_report_of_another_version_is_refused_with_one_clear_error(report_of):
    report = report_of()
    check_format(report)
    for old in (report | {"format": 1}, {name: value for name, value in report.items() if name != "format"}):
        with pytest.raises(CorruptArtifactError, match=r"ppo_lstm\|2018.*eval_reports, again"):
            check_format(old)


def test_year_y_is_decided_by_the_policy_of_the_year_before(report_of):
    policies = {year: (version, Tilted((year % 15,))) for year, version in VERSIONS.items()}
    report = report_of(policies=policies)
    assert report["candidate"] == VERSIONS[2017]
    assert report["walk_forward"]["years"] == [2016, 2017, 2018]
    versions = report["walk_forward"]["versions"]
    assert list(versions) == ["2016", "2017", "2018"]
    assert versions["2018"] == report["candidate"] == report["year_only"]["versions"]["2018"]
    assert len(set(versions.values())) == 3
    for year, (_, policy) in policies.items():
        assert {str(seen.week)[:4] for seen in policy.seen} == {str(year + 1)}


def test_holdings_are_carried_across_years_but_a_single_year_starts_in_cash(report_of):
    report = report_of()
    alone = report["year_only"]["series"]["policy"]["weekly"]
    walked = report["walk_forward"]["series"]["policy"]["weekly"]
    first = walked["weeks"].index(alone["weeks"][0])
    assert alone["turnover"][0] == pytest.approx(0.8)
    assert 0 < walked["turnover"][first] < 0.3  # the leaver is sold and the joiner bought, the rest is drift
    assert walked["turnover"][0] == pytest.approx(0.8)


def test_the_first_decision_of_a_year_sees_marks_and_not_the_return_still_running(report_of, states):
    policies = {year: (version, Tilted(tuple(range(8)))) for year, version in VERSIONS.items()}
    report_of(policies=policies)
    first = policies[2016][1].seen[0]  # decides the first week of 2017
    before = int(np.flatnonzero(states.weeks == first.week)[0]) - 1
    symbols, marks = states.symbols[before], states.marks[before]
    grown = 0.10 * (1 + marks[:8])
    total = 0.2 + grown.sum()
    kept = [slot for slot in range(8) if symbols[slot] == first.symbols[slot]]
    assert kept == [0, 1, 2, 3, 4, 5]  # slots 6 and 7 changed hands
    for slot in kept:
        assert first.weights[slot] == pytest.approx(grown[slot] / total)


def test_all_series_of_a_section_have_the_same_weeks(report_of, states):
    report = report_of()
    weeks = [str(week) for week in states.weeks]
    for series in report["walk_forward"]["series"].values():
        assert series["weekly"]["weeks"] == weeks
        columns = (*series["weekly"].values(), *series.get("weights", {}).values())
        assert all(len(column) == len(weeks) for column in columns)
    for series in report["year_only"]["series"].values():
        assert series["weekly"]["weeks"] == [week for week in weeks if week[:4] == "2018"]
    assert (report["first_week"], report["last_week"], report["last_exit"]) == (
        "2016-01-04",
        "2018-12-31",
        "2019-01-07",
    )


def test_weights_are_given_by_symbol_and_sum_to_one(report_of):
    series = report_of(reference={"other": ("v2015-12-28-ffffff", Tilted(tuple(range(9))))})["walk_forward"]["series"]
    assert [name for name, one in series.items() if "weights" in one] == ["policy", "other"]
    weights = series["other"]["weights"]
    assert np.allclose(np.sum(list(weights.values()), axis=0), 1.0)
    assert list(weights)[-1] == CASH
    joiner = np.array(weights["J2017"])  # 2017 % 15 == 7: held in 2017, outside the universe otherwise
    assert set(joiner[:52]) == {0.0}
    assert set(joiner[52:104]) == {0.1}
    assert set(joiner[104:]) == {0.0}


def test_equal_inputs_give_equal_bytes_and_plain_json(report_of):
    once, twice = report_of(), report_of()
    assert canonical_json(once) == canonical_json(twice)
    assert json.loads(canonical_json(once)) == once


def test_report_repeats_the_context_and_the_costs(report_of):
    report = report_of()
    assert {key: report[key] for key in CONTEXT} == CONTEXT
    assert report["costs"]["cost_bps"] == 10.0


def test_trailing_weeks_that_are_not_known_yet_are_left_out(report_of, states):
    report = report_of(states=changed(states, "2018-11-05", "returns", np.nan))
    assert (report["last_week"], report["last_exit"]) == ("2018-10-29", "2018-11-05")
    shorter = report_of(states=states.between(last="2018-10-29"))
    assert shorter == report


def test_weeks_of_other_years_change_nothing(report_of, states):
    policies = {year: (VERSIONS[year], Tilted(tuple(range(8)))) for year in (2015, 2016)}
    whole = report_of(year=2017, policies=policies)
    assert whole == report_of(year=2017, policies=policies, states=states.between(last="2017-12-31"))
    assert whole["last_week"] == "2017-12-25"


@pytest.mark.parametrize("how", ["absent", "unknown"])
def test_a_hole_is_an_error_that_names_the_week(report_of, states, how):
    hole = np.datetime64("2017-06-05")
    if how == "absent":
        holed = states[states.weeks != hole]
    else:
        returns = states.returns.copy()
        returns[states.weeks == hole, 3] = np.nan
        holed = replace(states, returns=returns)
    with pytest.raises(MarketDataError, match="week=2017-06-05"):
        report_of(states=holed)


def test_a_gap_between_policies_and_a_policy_of_the_judged_year_are_refused(report_of):
    policies = {year: (VERSIONS[year], Tilted((1,))) for year in VERSIONS}
    with pytest.raises(MissingPartitionError, match=r"trained_policies for \[2016\]"):
        report_of(policies={year: policies[year] for year in (2015, 2017)})
    with pytest.raises(MissingPartitionError, match=r"trained_policies for \[2017\]"):
        report_of(policies={2016: policies[2016]})
    with pytest.raises(MissingPartitionError):
        report_of(policies={})
    with pytest.raises(MissingPartitionError):
        report_of(year=2017, policies=policies)


def test_nothing_is_judged_on_weeks_that_its_training_read(report_of):
    late = {year: (VERSIONS[year], Tilted((1,))) for year in VERSIONS} | {2016: ("v2017-01-03-aaa016", Tilted((1,)))}
    with pytest.raises(NotEnoughDataError, match="trained past 2016-12-30"):
        report_of(policies=late)
    with pytest.raises(NotEnoughDataError, match="v2016-12-27-ffffff was trained past 2015-12-31"):
        report_of(reference={"reference": ("v2016-12-27-ffffff", Tilted((1,)))})
    with pytest.raises(CorruptArtifactError, match="does not name its data cut-off"):
        report_of(reference={"reference": ("latest", Tilted((1,)))})


def test_few_weeks_have_no_interval_and_fewer_have_no_report(report_of, states):
    alone = {"year": 2018, "policies": {2017: (VERSIONS[2017], Tilted((1,)))}, "reference": {}}
    series = report_of(**alone, states=states.between(last="2018-06-25"))["year_only"]["series"]
    assert series["policy"]["metrics"]["weeks"] == 26
    assert series["policy"]["interval"] is not None
    series = report_of(**alone, states=states.between(last="2018-06-18"))["year_only"]["series"]
    assert series["policy"]["interval"] is None
    assert series["policy"]["against"] == {"equal_weight": None, "hrp": None}
    for last in ("2018-01-02", "2017-12-31"):
        with pytest.raises(NotEnoughDataError, match="Fewer than two weeks of 2018"):
            report_of(states=states.between(last=last))


def test_the_context_must_state_what_the_numbers_carry(report_of):
    for key in CONTEXT:
        with pytest.raises(ConfigurationError, match=key):
            report_of(context={name: value for name, value in CONTEXT.items() if name != key})


def test_series_names_are_unique(report_of):
    with pytest.raises(ConfigurationError, match="share a name"):
        report_of(reference={"hrp": ("v2015-12-28-ffffff", Tilted((1,)))})


def test_costs_lower_the_net_return(report_of):
    free, dear = report_of(costs=CostConfig(cost_bps=0.0)), report_of(costs=CostConfig(cost_bps=50.0))
    assert free["walk_forward"]["series"]["policy"]["facts"]["costs_paid"] == 0.0
    wealth = [report["walk_forward"]["series"]["policy"]["facts"]["final_wealth"] for report in (free, dear)]
    assert wealth[0] > wealth[1]
