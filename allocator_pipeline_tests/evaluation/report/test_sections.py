"""What the sections over all years show, and how they say it."""

from __future__ import annotations

import copy
import re

import numpy as np
import pytest

from allocator_pipeline.config import BASELINES
from allocator_pipeline.evaluation.metrics import drawdowns, sharpe_ratio, wealth
from allocator_pipeline.evaluation.report import chance, conduct, luck, over_time, results, side_by_side, years
from allocator_pipeline.evaluation.report.estimates import Tries
from allocator_pipeline.evaluation.summary import LABELS, rows
from allocator_pipeline_tests.evaluation.report.conftest import SUMMARISED
from allocator_pipeline_tests.evaluation.report.pages import parsed

TRIES = Tries(12)


@pytest.fixture
def significance(reports, judged, made, comparison):
    def show(changed):
        section = chance.significance(reports, rows(reports, judged), made.summaries, changed, TRIES)
        return parsed(section.body)

    return show


def body_rows(table):
    return [row.text for row in table.found(tag="tbody")[0].found(tag="tr")]


def test_every_pair_has_both_p_values_and_a_verdict_in_words(significance, comparison):
    shown = significance(comparison)
    lines = [line for table in shown.found(tag="table")[:2] for line in body_rows(table)]
    assert len(lines) == len(SUMMARISED) * len(BASELINES)
    assert sum("not distinguishable from equal weight" in line for line in lines) == 1
    assert sum("identical to equal weight in every week" in line for line in lines) == 1
    for table in shown.found(tag="table")[:2]:
        heads = [cell.text for cell in table.found(tag="thead")[0].found(tag="th")]
        assert {"p, bootstrap", "p, Ledoit-Wolf", "above luck", "verdict"} <= set(heads)


def test_what_knows_how_many_were_tried_is_shown(significance, comparison):
    text = significance(comparison).text
    for words in (
        "deflated Sharpe ratio",
        "Probability of backtest overfitting",
        "better than HRP?",
        "Model confidence set at 95 %",
        "not distinguishable from the champion",
    ):
        assert words in text, words


def test_equal_weight_has_a_deflated_sharpe_ratio_beside_the_policies(significance, comparison):
    shown = significance(comparison)
    (table,) = [one for one in shown.found(tag="table") if "deflated Sharpe ratio" in one.text]
    lines = body_rows(table)
    assert len(lines) == len(SUMMARISED) + 1
    assert lines[-1].startswith("equal weight")
    assert "a fixed rule" in lines[-1]
    assert "above, it is none of skill" in shown.text
    assert "luckiest of as many" not in table.text


def test_the_spa_test_says_how_many_were_tested_and_how_many_tie(significance, comparison):
    (table,) = [one for one in significance(comparison).found(tag="table") if "SPA test" in one.text]
    line = next(line for line in body_rows(table) if "equal weight" in line)
    assert f"{len(SUMMARISED)} ({len(SUMMARISED) - 1} tested, 1 tie)" in line
    poor = copy.deepcopy(comparison)
    poor["superiority"]["equal_weight"] |= {"best": "sac_patchtst", "p_value": 1.0}
    (table,) = [one for one in significance(poor).found(tag="table") if "SPA test" in one.text]
    assert "a tie: none is above it" in next(line for line in body_rows(table) if "equal weight" in line)


def test_a_duel_stands_beside_the_tries_of_its_own_time(significance, comparison):
    changed = copy.deepcopy(comparison)
    changed["duels"][0] |= {"trials": 3}
    (table,) = [one for one in significance(changed).found(tag="table") if "challenger" in one.text]
    (line,) = body_rows(table)
    assert re.findall(r"after (\d+) tr", line) == ["3"]


def test_the_interval_of_a_short_duel_is_said_to_be_too_narrow(significance, comparison):
    assert "Intervals of so few weeks are too narrow" in significance(comparison).text  # the duel has 27 weeks
    changed = copy.deepcopy(comparison)
    for duel in changed["duels"]:
        duel["weeks"] = 156
    assert "Intervals of so few weeks are too narrow" not in significance(changed).text


def test_too_few_weeks_for_tests_leave_a_page(significance, comparison):
    changed = copy.deepcopy(comparison)
    for pair in changed["pairs"]:
        pair |= {"bootstrap": None, "ledoit_wolf": None, "deflated": None, "verdict": "unknown"}
    changed |= {"duels": [], "deflated": None, "overfitting": None, "superiority": {}, "confidence_set": None}
    text = significance(changed).text
    assert "too few weeks to compare with HRP" in text
    assert "None has 26 common weeks yet." in text
    assert "Too few weeks to deflate" in text


@pytest.mark.parametrize(
    ("draw", "band", "walks"),
    [
        (over_time.seeds, "4 members", lambda summary: summary["seeds"]["served"]),
        (over_time.recipes, "3 whole recipes", lambda summary: summary["recipes"]["walks"]),
    ],
)
def test_bands_hold_every_seed(made, draw, band, walks):
    summary = made.summaries["ppo_lstm"]
    figure = draw("ppo_lstm", summary)
    bands = [line for line in figure["data"] if line["name" if "name" in line else "legendgroup"] == band]
    low, high, falls_low, falls_high = (np.array(line["y"]) for line in bands)
    for walk in walks(summary):
        path, falls = np.array([1.0, *wealth(np.array(walk["net"]))]), drawdowns(np.array(walk["net"]))
        assert (low <= path + 1e-4).all()
        assert (path <= high + 1e-4).all()
        assert (falls_low[1:] <= falls + 1e-4).all()
        assert (falls <= falls_high[1:] + 1e-4).all()
    names = {line["name"] for line in figure["data"] if "name" in line}
    assert {"served", "unshrunk", "equal weight", "HRP"} <= names


def test_whole_recipes_come_before_members_and_what_is_missing_is_named(made):
    section = luck.seeds(SUMMARISED, made.summaries, TRIES)
    page = parsed(section.body)
    whole, members = page.found(tag="table")
    (line,) = body_rows(whole)
    spread = made.summaries["ppo_lstm"]["recipes"]["spread"]["sharpe"]
    assert f"{spread['min']:.2f} to {spread['max']:.2f} over 3 seeds" in line
    assert f"{spread['sd']:.3f}" in line
    assert "42: 20 %" in line
    assert "2: 10 %" in line
    assert len(body_rows(members)) == 2
    assert "materialise seed_policies of sac_patchtst|2015 to sac_patchtst|2017" in page.text
    assert page.text.index("Whole recipes") < page.text.index("Members at one share")
    assert set(section.figures) == {"recipes-ppo_lstm", "seeds-ppo_lstm", "seeds-sac_patchtst"}


def test_the_band_of_the_rolling_ratio_is_a_years_uncertainty(made):
    figure = over_time.rolling(made.summaries)
    low, high = (np.array(line["y"]) for line in figure["data"][:2])
    benchmark = np.array(made.summaries["ppo_lstm"]["rolling"]["equal_weight"])
    assert np.allclose((low + high) / 2, benchmark, atol=1e-3)
    expected = 1.96 * np.sqrt(1 + benchmark**2 / 104)  # 52 weeks, annualised: about 1.96 either way
    assert np.allclose((high - low) / 2, expected, atol=1e-3)


def test_years_have_their_baselines_and_intervals(made):
    section = years.by_year(SUMMARISED, made.summaries, TRIES)
    table = parsed(section.body).found(tag="table")[0]
    heads = [cell.text for cell in table.found(tag="thead")[0].found(tag="th")]
    assert [f"{LABELS[name]}: return" for name in BASELINES] == heads[-len(BASELINES) :]
    assert [line.split()[0] for line in body_rows(table)] == ["2016", "2017", "2018"]
    net = np.array(made.baselines["hrp"]["weekly"]["net"])
    picked = [week.startswith("2017") for week in made.weeks]
    assert f"HRP {float(sharpe_ratio(net[picked])):.2f}" in body_rows(table)[1]


def test_a_single_week_of_a_year_has_no_interval(made):
    summary = copy.deepcopy(made.summaries["ppo_lstm"])
    summary["weeks"][-1] = "2019-01-07"
    summary["calendar"].append(summary["calendar"][-1] | {"year": 2019, "sharpe": 0.0})
    section = years.by_year(["ppo_lstm"], {"ppo_lstm": summary}, TRIES)
    assert "too few weeks" in body_rows(parsed(section.body).found(tag="table")[0])[-1]


def test_served_and_unshrunk_stand_side_by_side(made):
    lines = body_rows(parsed(results.every_metric(SUMMARISED, made.summaries, TRIES).body).found(tag="table")[0])
    assert [line.split(" ")[0] for line in lines[:4]] == ["ppo_lstm", "ppo_lstm", "sac_patchtst", "sac_patchtst"]
    assert "served 20 % of the tilt" in lines[0]
    assert "unshrunk" in lines[1]
    assert "served 0 % of the tilt" in lines[2]
    assert len(lines) == 4 + len(BASELINES)


def test_costs_have_levels_break_even_and_an_interval_where_they_are_charged(made):
    section = conduct.trading(SUMMARISED, made.summaries, TRIES)
    heads = [cell.text for cell in parsed(section.body).found(tag="thead")[0].found(tag="th")]
    assert heads[1:6] == ["0 bps", "5 bps", "10 bps", "20 bps", "50 bps"]
    served = next(line for line in section.figures["costs-ppo_lstm"]["data"] if line["name"] == "served")
    assert served["x"] == [0, 5, 10, 20, 50]
    assert [bool(size) for size in served["error_y"]["array"]] == [False, False, True, False, False]
    assert served["y"] == sorted(served["y"], reverse=True)


def test_without_a_break_even_the_page_says_on_which_side_a_series_stays(made):
    changed = copy.deepcopy(made.summaries)
    for name, growth in (("policy", 0.05), ("unshrunk", -0.05)):
        series = changed["ppo_lstm"]["series"][name]
        series["metrics"]["break_even_bps"] = None
        series["cost_levels"]["0"]["cagr"] += growth
    rows = body_rows(parsed(conduct.trading(SUMMARISED, changed, TRIES).body).found(tag="table")[0])
    assert rows[0].endswith("ahead at any cost")
    assert rows[1].endswith("not ahead even without costs")
    own = next(row for row in rows if row.startswith("equal weight"))
    assert own.endswith("%")


def test_a_response_without_gradients_shows_permutations(made):
    found = made.summaries["ppo_lstm"]["response"] | {"integrated_gradients": None}
    figure = side_by_side.response("ppo_lstm", found, "features")
    assert [line["name"] for line in figure["data"]] == ["permutation"]
    assert sum(figure["data"][0]["x"]) == pytest.approx(1.0, abs=1e-3)
    assert figure["data"][0]["x"] == sorted(figure["data"][0]["x"])  # the strongest on top


def test_a_policy_that_responds_to_nothing_is_drawn_too(made):
    nothing = {"features": {"momentum": 0.0, "forecast": 0.0}, "stocks": {"S00": 0.0}}
    found = {"weeks": 52, "permutation": nothing, "integrated_gradients": None}
    assert side_by_side.response("ppo_lstm", found, "features")["data"][0]["x"] == [0.0, 0.0]


@pytest.mark.parametrize(
    ("real", "above"),
    [(9.0, 0.0), (0.0, 0.5), (-9.0, 1.0)],
)
def test_twelve_shuffles_cannot_prove_anything(made, real, above):
    changed = copy.deepcopy(made.summaries)
    changed["ppo_lstm"]["placebo"] |= {"unshrunk_sharpe": real, "share_above": above}
    shown = parsed(luck.placebo(SUMMARISED, changed, TRIES).body)
    assert "not distinguishable" in body_rows(shown.found(tag="table")[0])[0]
    assert "no p of 12 shuffles lies below 0.154" in shown.text
    assert "p times 2, the number of such tests, is at most 0.05, which so few shuffles cannot show" in shown.text


def test_forecasts_that_beat_all_or_none_of_many_shuffles_are_told_apart(made):
    changed = copy.deepcopy(made.summaries)
    placebo = changed["ppo_lstm"]["placebo"]
    placebo |= {"unshrunk_sharpe": 9.0, "share_above": 0.0, "draws": placebo["draws"] * 10}
    other = changed["sac_patchtst"]["placebo"]
    other |= {"unshrunk_sharpe": -9.0, "share_above": 1.0, "draws": other["draws"] * 10}
    first, second = body_rows(parsed(luck.placebo(SUMMARISED, changed, TRIES).body).found(tag="table")[0])
    assert "better than its shuffled forecasts" in first
    assert "worse than its shuffled forecasts" in second


def test_what_one_test_would_pass_is_not_said_where_many_are_made(made):
    changed = {}
    for number in range(6):
        one = copy.deepcopy(made.summaries["ppo_lstm"])
        one["placebo"] |= {"draws": one["placebo"]["draws"] * 10, "unshrunk_sharpe": 9.0 if number == 0 else 0.0}
        changed[f"a{number}"] = one
    lines = body_rows(parsed(luck.placebo(list(changed), changed, TRIES).body).found(tag="table")[0])
    assert "0.017 not distinguishable" in lines[0]  # 2 / 121, and six tests
