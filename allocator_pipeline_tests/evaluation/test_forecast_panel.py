"""The judgement of forecasts: skill is found, noise is not, and every number is the plain one."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from allocator_pipeline.config import N_STOCKS, QUANTILES, CostConfig
from allocator_pipeline.errors import WeightsError
from allocator_pipeline.evaluation.forecast_panel import BASELINES, COMPARISONS, judge, rank_ic_interval
from allocator_pipeline.evaluation.forecast_portfolio import TopForecasts, portfolios
from allocator_pipeline.evaluation.forecast_summary import forecast_summary, without_hole
from allocator_pipeline.evaluation.forecast_weeks import weekly_panel
from allocator_pipeline.evaluation.forecast_words import NOTHING_HELD, UNORDERED, forecast_findings, significant
from allocator_pipeline.evaluation.metrics import sharpe_ratio
from allocator_pipeline.portfolio.constraints import check_weights
from allocator_pipeline.portfolio.state import Observation
from allocator_pipeline_tests.evaluation.forecasting import (
    STOCKS,
    YEAR,
    forecast_table,
    made_up_baselines,
    made_up_history,
    made_up_outcomes,
    made_up_panel,
    paid,
)

COSTS = CostConfig()


@pytest.fixture(scope="module")
def judged():
    return {
        name: judge(made_up_panel(skill), made_up_outcomes(), made_up_baselines(), COSTS)[0]
        for name, skill in (("skilled", 0.1), ("noise", 0.0))
    }


def test_skill_is_found_and_noise_is_not(judged):
    found = significant(judged["skilled"])
    assert found["rank_ic"]
    assert found["mse_of_zero"]
    assert found["mse_of_mean"]
    assert found["sharpe_of_equal_weight"]
    assert not {"rank_ic", "sharpe_of_equal_weight", "sharpe_of_hrp"} & set(significant(judged["noise"]))


def test_every_comparison_is_made_and_json(judged):
    for judgement in judged.values():
        assert set(judgement["comparisons"]) == set(COMPARISONS)
        assert all(item["low"] <= item["estimate"] <= item["high"] for item in judgement["comparisons"].values())
        json.dumps(judgement, allow_nan=False)


def test_figures_and_comparisons_are_the_same_numbers(judged):
    figures, compared = judged["skilled"]["figures"], judged["skilled"]["comparisons"]
    assert figures["mse_of_zero_ratio"] - 1 == pytest.approx(compared["mse_of_zero"]["estimate"])
    assert figures["pinball_ratio"] - 1 == pytest.approx(compared["pinball_of_history"]["estimate"])
    assert figures["hit_rate"] - figures["always_up"] == pytest.approx(compared["hits_of_up"]["estimate"])
    assert figures["rank_ic"] == pytest.approx(compared["rank_ic"]["estimate"])
    for name, level in QUANTILES.items():
        assert figures["coverage"][name] - level == pytest.approx(compared[f"coverage_{name}"]["estimate"])


def test_true_quantiles_are_not_told_from_themselves(judged):
    assert judged["noise"]["comparisons"]["pinball_of_history"]["estimate"] == 0
    assert judged["noise"]["figures"]["pinball_ratio"] == 1


def test_shifted_quantiles_are_found_out():
    outcomes, history = made_up_outcomes(), made_up_history()
    table = weekly_panel(forecast_table(paid(outcomes), history.quantiles + 0.02), outcomes, history)
    judgement, _ = judge(table, outcomes, made_up_baselines(), COSTS)
    assert judgement["figures"]["coverage"]["q50"] > 0.55
    found = significant(judgement)
    assert "coverage_q50" in found
    assert not found["coverage_q50"]
    assert found["pinball_of_history"] is False


def test_the_portfolio_is_settled_by_hand_alike():
    outcomes = made_up_outcomes()
    table = made_up_panel(0.1)
    run = portfolios(table, outcomes, made_up_baselines(), COSTS)["top"]
    returns = outcomes["return"].to_numpy().reshape(-1, N_STOCKS)
    held, wealth = np.append(np.zeros(N_STOCKS), 1.0), 1.0
    for t, symbols in enumerate(table["held"]):
        target = np.append(np.isin(STOCKS, symbols.split()) * 0.196, 0.02)
        cost = 0.001 * 0.5 * np.abs(target - held).sum()
        growth = (1 - cost) * (1 + target[:-1] @ returns[t])
        assert run.net[t] == pytest.approx(growth - 1, abs=1e-12)
        wealth *= growth
        grown = np.append(target[:-1] * (1 + returns[t]), target[-1])
        held = grown / grown.sum()
    assert np.prod(1 + run.net) == pytest.approx(wealth)


def test_baselines_earn_what_they_earn_alone(judged):
    runs = portfolios(made_up_panel(0.1), made_up_outcomes(), made_up_baselines(), COSTS)
    for name in BASELINES:
        assert judged["skilled"]["portfolios"][name]["sharpe"] == pytest.approx(sharpe_ratio(runs[name].net))


@pytest.mark.parametrize("count", range(6))
def test_a_place_without_a_forecast_stays_in_cash(count):
    top = TopForecasts({"2015-01-05": " ".join(STOCKS[:count])}, COSTS)
    blank = np.zeros((15, 8))
    cash = np.append(np.zeros(15), 1.0)
    week = np.datetime64("2015-01-05", "D")
    weights = top.target_weights(Observation(week, np.array(STOCKS), blank, blank[:, :7] > 0, cash))
    check_weights(weights, COSTS)
    assert weights[-1] == pytest.approx(1 - 0.196 * count)


def test_few_weeks_have_figures_but_no_intervals():
    judgement, _ = judge(made_up_panel(0.1).iloc[:20], made_up_outcomes(), made_up_baselines(), COSTS)
    assert judgement["figures"]["rank_ic"] is not None
    assert set(judgement["comparisons"].values()) == {None}
    assert rank_ic_interval(made_up_panel(0.1).iloc[:20]) is None
    (words,) = forecast_findings({"short": judgement}, {})
    assert words["about"] == "short"
    assert "Rank IC n/a: too few weeks to tell." in words["says"]


def test_a_forecaster_without_quantiles_says_so():
    outcomes, history = made_up_outcomes(), made_up_history()
    judgement, _ = judge(
        weekly_panel(forecast_table(paid(outcomes)), outcomes, history), outcomes, made_up_baselines(), COSTS
    )
    assert judgement["figures"]["pinball_ratio"] is None
    assert judgement["comparisons"]["pinball_of_history"] is None
    assert "It gives no quantiles." in forecast_findings({"bare": judgement}, {})[0]["says"]


def test_forecasts_that_order_nothing_have_no_rank_correlation_and_hold_nothing():
    outcomes = made_up_outcomes()
    said = np.full(paid(outcomes).shape, 0.002)
    table = weekly_panel(forecast_table(said), outcomes, made_up_history())
    assert set(table["held"]) == {""}
    judgement, _ = judge(table, outcomes, made_up_baselines(), COSTS)
    words = forecast_findings({"constant": judgement}, {})[0]["says"]
    assert f"Rank IC n/a: {UNORDERED}." in words
    assert words[-1] == NOTHING_HELD
    assert not any("too few weeks" in line for line in words)


def test_as_few_forecasts_as_there_are_places_are_all_held():
    outcomes = made_up_outcomes()
    said = np.full(paid(outcomes).shape, np.nan)
    said[:, 3:7] = 0.002
    table = weekly_panel(forecast_table(said), outcomes, made_up_history())
    assert set(table["held"]) == {" ".join(STOCKS[3:7])}
    judgement, _ = judge(table, outcomes, made_up_baselines(), COSTS)
    assert f"Rank IC n/a: {UNORDERED}." in forecast_findings({"four": judgement}, {})[0]["says"]


def test_the_words_say_what_is_significant_and_out_of_how_many(judged):
    words = forecast_findings(judged, {"lightgbm": "the library is not installed."})
    assert [item["about"] for item in words] == ["skilled", "noise", "all of them"]
    skilled, noise = (" ".join(item["says"]) for item in words[:2])
    many, strict, absent = words[-1]["says"]
    assert skilled.startswith("52 weeks from 2015-01-05 to 2015-12-28, 780 forecasts.")
    assert "above zero, more than chance explains" in skilled
    assert "not distinguishable from zero" in noise
    assert "These are 20 comparisons at 95 % (8 more repeat another forecaster's numbers exactly" in many
    assert "about 1.0 of them would still seem to" in many
    found = [set(significant(one)) for one in judged.values()]
    shared = [name for name in set.intersection(*found) if name.startswith(("pinball", "coverage"))]
    assert f"{sum(map(len, found)) - len(shared)} do; " in many
    assert "skilled: weekly rank correlation" in many
    assert "Bonferroni" in strict
    assert "skilled: weekly rank correlation" in strict
    assert absent == "lightgbm was not judged: the library is not installed."


def test_what_forecasters_share_to_the_digit_is_one_comparison():
    outcomes, history = made_up_outcomes(), made_up_history()
    bands = history.quantiles + np.array([-0.02, -0.01, 0, 0, 0, 0.01, 0.02])

    def judged_with(quantiles):
        table = weekly_panel(forecast_table(paid(outcomes), quantiles), outcomes, history)
        return judge(table, outcomes, made_up_baselines(), COSTS)[0]

    same, other = judged_with(bands), judged_with(bands + 0.005)
    said = {
        count: forecast_findings(them, {})[-1]["says"][0]
        for count, them in ((14, {"a": same}), (15, {"a": same, "b": _but_for_rank_ic(same)}))
    }
    assert all(f"These are {count} comparisons" in words for count, words in said.items())
    assert "a = b: squared error" in said[15]
    apart = forecast_findings({"a": same, "b": other}, {})[-1]["says"][0]
    assert "These are 22 comparisons" in apart, "14, and of the second only the eight of its quantiles are its own"


def _but_for_rank_ic(judgement):
    item = judgement["comparisons"]["rank_ic"]
    return judgement | {"comparisons": judgement["comparisons"] | {"rank_ic": item | {"low": item["low"] - 0.01}}}


def test_intervals_of_single_years_are_counted_apart(judged):
    by_year = {str(year): {"weeks": 52, "rank_ic": {"estimate": 0.1}} for year in range(2000, 2010)}
    by_year["2010"] = {"weeks": 3, "rank_ic": None}
    words = forecast_findings({"skilled": judged["skilled"] | {"by_year": by_year}}, {})
    assert "10 intervals more, are only shown: about 0.5 of them" in words[-1]["says"][-1]


def test_where_nothing_differs_the_words_say_so(judged):
    flat = {name: item | {"low": -1.0, "high": 1.0} for name, item in judged["noise"]["comparisons"].items()}
    words = forecast_findings({"noise": judged["noise"] | {"comparisons": flat}}, {})
    (many,) = words[-1]["says"]
    assert many.endswith("None does; 0 in a forecaster's favour.")


def test_a_worse_forecaster_is_called_worse(judged):
    upside_down = judged["skilled"] | {
        "comparisons": {
            name: item | {"estimate": -item["estimate"], "low": -item["high"], "high": -item["low"]}
            for name, item in judged["skilled"]["comparisons"].items()
        }
    }
    line = " ".join(forecast_findings({"bad": upside_down}, {})[0]["says"])
    assert "below zero, more than chance explains" in line
    assert "worse, more than chance explains" in line
    assert "better" not in line


def test_years_run_without_a_hole_up_to_the_last():
    assert without_hole({2010: 1, 2012: 1, 2014: 1, 2013: 1}) == [2012, 2013, 2014]
    assert without_hole({}) == []


@pytest.fixture(scope="module")
def summary():
    years = (YEAR - 3, YEAR - 1, YEAR)
    baselines = {name: pd.concat([made_up_baselines(year)[name] for year in years]) for name in ("equal_weight", "hrp")}
    panels = {
        "lstm": {year: made_up_panel(0.1, year) for year in years},
        "lightgbm": {YEAR: made_up_panel(0.1).iloc[:0]},
        "toto": {YEAR: made_up_panel(0.1).iloc[:0]},
    }
    outcomes = pd.concat([made_up_outcomes(year) for year in years])
    return forecast_summary(panels, outcomes, baselines, COSTS, {"lightgbm": "it is not installed."})


def test_the_summary_covers_the_years_without_a_hole_and_says_who_is_absent(summary):
    one = summary["forecasters"]["lstm"]
    assert one["years"] == [YEAR - 1, YEAR]
    assert one["weeks"] == len(one["weekly"]["weeks"]) == 104
    assert list(one["by_year"]) == [str(YEAR - 1), str(YEAR)]
    assert summary["absent"]["lightgbm"] == "it is not installed."
    assert "fewer than two weeks" in summary["absent"]["toto"]
    assert sum("was not judged" in line for line in summary["words"][-1]["says"]) == 2
    json.dumps(summary, allow_nan=False)


def test_holdings_are_carried_from_year_to_year(summary):
    """The first week of the second year pays for the change of its holdings, not for buying them all from cash."""
    one = summary["forecasters"]["lstm"]
    outcomes = made_up_outcomes()
    alone = portfolios(made_up_panel(0.1), outcomes, made_up_baselines(), COSTS)["equal_weight"]
    carried = np.array(one["weekly"]["net"]["equal_weight"][52:])
    assert carried[0] > alone.net[0]
    np.testing.assert_allclose(carried[1:], alone.net[1:], atol=1e-7)


def test_returns_that_lose_everything_are_refused():
    outcomes = made_up_outcomes()
    outcomes.loc[3, "return"] = -1.0
    with pytest.raises(WeightsError):
        portfolios(made_up_panel(0.1), outcomes, made_up_baselines(), COSTS)
