"""Pictures and tables of summaries: well-formed, deterministic, and each best number beside its interval."""

from __future__ import annotations

import base64
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from allocator_pipeline.defs.metadata import series_numbers
from allocator_pipeline.evaluation.comparison import evaluation_summary
from allocator_pipeline.evaluation.cost_plot import sharpe_by_cost
from allocator_pipeline.evaluation.growth import cagr_interval
from allocator_pipeline.evaluation.interval_plot import differences_picture
from allocator_pipeline.evaluation.periods import rolling_interval
from allocator_pipeline.evaluation.plots import line_picture
from allocator_pipeline.evaluation.report.estimates import Tries
from allocator_pipeline.evaluation.response_plot import response_picture
from allocator_pipeline.evaluation.summary_plots import sentences, significance_table, summary_pictures
from allocator_pipeline_tests.evaluation.conftest import VERSIONS
from allocator_pipeline_tests.evaluation.policies import made_up, summary_of

SVG = "{http://www.w3.org/2000/svg}"
TRIES = Tries(12)
PICTURES = (
    "growth",
    "drawdown",
    "rolling_sharpe",
    "weights",
    "turnover_by_week",
    "costs_paid",
    "cost_levels",
    "response_by_feature",
    "response_by_stock",
    "placebo",
)


def drawn(picture):
    """Return the SVG inside a markdown image, which a caption may follow."""
    found = re.match(r"!\[[^\]]*\]\(data:[^)]*;base64,([^)]*)\)", picture)
    return ElementTree.fromstring(base64.b64decode(found[1]))  # noqa: S314


@pytest.fixture(scope="module")
def summary(states):
    return summary_of(states)


def test_each_picture_is_an_image_and_the_rest_are_words_and_tables(summary):
    shown = summary_pictures(summary, TRIES)
    for name in PICTURES:
        assert drawn(shown[name]).tag == f"{SVG}svg"
    assert shown == summary_pictures(summary, TRIES)
    for name in set(shown) - set(PICTURES):
        assert "![" not in shown[name]
    assert max(len(text) for text in shown.values()) < 60_000
    assert sum(len(text) for text in shown.values()) < 150_000  # all of it is kept in the event log


def test_growth_shows_bands_of_seeds_behind_policy_and_unshrunk(summary):
    picture = drawn(summary_pictures(summary, TRIES)["growth"])
    bands, lines = picture.findall(f"{SVG}polygon"), picture.findall(f"{SVG}polyline")
    assert (len(bands), len(lines)) == (2, 4)
    assert [band.get("fill") for band in bands] == [line.get("stroke") for line in lines[:2]]
    assert "band: 3 members of the ensemble, no whole recipe" in said(picture)


def said(picture):
    """Return the letters of a picture."""
    return " ".join(text.text for text in picture.findall(f"{SVG}text"))


def areas(picture):
    return [band.get("points") for band in picture.findall(f"{SVG}polygon")]


def test_the_band_is_that_of_whole_recipes_where_there_are_any(states, summary):
    def replicate(seed):
        return {y: (version, made_up(states, 10 * seed + y)) for y, version in VERSIONS.items()}

    replicated = summary_of(states, replicates={1: replicate(1), 2: replicate(2)})
    for name in ("growth", "drawdown"):
        picture = drawn(summary_pictures(replicated, TRIES)[name])
        assert "band: 3 whole recipes" in said(picture)
        assert areas(picture) != areas(drawn(summary_pictures(summary, TRIES)[name]))


def test_the_rolling_sharpe_ratio_has_an_interval(summary):
    picture = drawn(summary_pictures(summary, TRIES)["rolling_sharpe"])
    (band,) = picture.findall(f"{SVG}polygon")
    low, high = rolling_interval(np.array(summary["rolling"]["equal_weight"]))
    assert high - low == pytest.approx(4 * np.ones(len(low)), abs=0.3)  # so little does a year tell
    assert {f"{low.min():.3g}", f"{high.max():.3g}"} <= set(said(picture).split())
    assert "95 % interval of equal weight's" in said(picture)
    assert len(band.get("points").split()) >= 2 * min(len(low), 100)


def test_the_turnover_is_the_mean_of_a_quarter(summary):
    picture = drawn(summary_pictures(summary, TRIES)["turnover_by_week"])
    weekly = np.array(summary["series"]["unshrunk"]["weekly"]["turnover"])
    highest = max(weekly[k : k + 13].mean() for k in range(len(weekly) - 12))
    assert f"{highest:.3g}" in said(picture).split()
    assert summary["weeks"][12] in said(picture)
    assert len(picture.findall(f"{SVG}polyline")) == 4


def test_every_cost_level_has_the_interval_of_what_it_would_have_earned(summary):
    levels = sharpe_by_cost(summary)
    series = summary["series"]["policy"]
    assert levels["policy"][10.0][1] == series["interval"]
    gross, turnover = (np.array(series["weekly"][item]) for item in ("gross", "turnover"))
    net = (1 + gross) * (1 - turnover * 50e-4) - 1
    sharpe, interval = levels["policy"][50.0]
    assert sharpe == pytest.approx(interval["estimate"], abs=1e-9)
    assert interval["estimate"] == pytest.approx(np.sqrt(52) * net.mean() / net.std(ddof=1), abs=0.01)
    picture = drawn(summary_pictures(summary, TRIES)["cost_levels"])
    assert len(picture.findall(f"{SVG}polyline")) == 4
    bars = picture.findall(f"{SVG}line")
    assert len(bars) == len(levels["policy"]) == 5
    assert all(float(bar.get("y1")) > float(bar.get("y2")) for bar in bars)


def test_a_cost_table_has_no_sharpe_ratio_without_interval(summary):
    table = summary_pictures(summary, TRIES)["cost_levels"].split("\n\n")[1]
    cells = [cell for line in table.splitlines()[2:] for cell in line.split(" | ")[1:]]
    assert len(cells) == 5 * len(summary["series"])
    assert all(re.search(r"-?\d\.\d\d \[-?\d\.\d\d,-?\d\.\d\d\]", cell) for cell in cells)


def test_every_placebo_is_in_the_histogram_and_the_true_forecasts_stand_beside(summary):
    draws = [{"unshrunk_sharpe": value, "sharpe": 0.0} for value in [0.0] * 10 + [1.0] * 20]
    changed = summary | {"placebo": summary["placebo"] | {"draws": draws}}
    picture = drawn(summary_pictures(changed, TRIES)["placebo"])
    bars = picture.findall(f"{SVG}rect")[1:]
    few, many = (float(bar.get("height")) for bar in bars)
    assert many == pytest.approx(2 * few)
    assert float(bars[0].get("x")) < float(bars[1].get("x"))
    real, interval, *others = picture.findall(f"{SVG}line")
    assert float(interval.get("x1")) < float(real.get("x1")) < float(interval.get("x2"))
    assert len(others) == 2
    assert "30 draws" in said(picture)


def test_responses_are_bars_in_proportion(summary):
    found = summary["response"]
    picture = drawn(summary_pictures(summary, TRIES)["response_by_feature"])
    bars = [float(bar.get("width")) for bar in picture.findall(f"{SVG}rect")[1:]]
    moved = found["permutation"]["features"]
    order = sorted(moved, key=moved.get, reverse=True)
    np.testing.assert_allclose(
        np.array(bars[::2]) / bars[0], [moved[name] / moved[order[0]] for name in order], atol=0.01
    )
    alone = response_picture(found | {"integrated_gradients": None}, "features")
    assert len(drawn(alone).findall(f"{SVG}rect")) == 1 + len(moved)
    names = said(picture)
    assert all(name in names for name in order)


def test_bands_stretch_the_axis_and_go_there_and_back():
    band = {"a": (np.array([0.0, 1.0]), np.array([5.0, 8.0]))}
    picture = drawn(line_picture({}, ("2020", "2021"), "t", bands=band))
    (area,) = picture.findall(f"{SVG}polygon")
    assert len(area.get("points").split()) == 4
    assert area.get("fill-opacity") == "0.85"
    assert {"0", "8"} <= {text.text for text in picture.findall(f"{SVG}text")}


def test_weights_stack_up_to_one(summary):
    total = np.sum(list(summary["weights"].values()), axis=0)
    np.testing.assert_allclose(total, 1.0, atol=1e-5)
    picture = drawn(summary_pictures(summary, TRIES)["weights"])
    assert len(picture.findall(f"{SVG}polygon")) == 8  # six stocks, the others, cash


def test_tables_say_what_the_summary_says(summary):
    shown = summary_pictures(summary, TRIES)
    assert shown["calendar_years"].count("\n") == 4 + 4
    assert "\n\nIntervals of so few weeks are too narrow" in shown["calendar_years"]
    assert "v2016-12-27-aaa016 | 50 %" in shown["calendar_years"]
    sharpe = summary["series"]["policy"]["metrics"]["sharpe"]
    interval = summary["series"]["policy"]["interval"]
    assert f"| policy | {sharpe:.2f} [{interval['low']:.2f},{interval['high']:.2f}]" in shown["results"]
    level = summary["series"]["policy"]["cost_levels"]["50"]["sharpe"]
    assert re.search(rf"\| policy \|.*\| {level:.2f} \[", shown["cost_levels"])
    growth = cagr_interval(summary["series"]["unshrunk"]["weekly"]["net"])
    between = f"[{100 * growth['low']:.1f},{100 * growth['high']:.1f}]"
    assert f"| {100 * growth['estimate']:.1f} % {between} |" in shown["results"]
    moved = summary["response"]["permutation"]["features"]
    order = sorted(moved, key=moved.get, reverse=True)
    assert re.findall(rf"^\| ({'|'.join(moved)}) \|", shown["response"], re.M) == order
    assert "of 3 draws have an unshrunk Sharpe ratio" in shown["placebo"]


def test_a_short_walk_has_no_rolling_picture(summary):
    short = summary | {"rolling": {"weeks": [], "window": 52, "policy": []}}
    assert summary_pictures(short, TRIES)["rolling_sharpe"].startswith("Fewer than 52 weeks")


def test_the_significance_table_has_a_line_for_every_pair(summary):
    compared = evaluation_summary({"ppo_lstm": summary})
    lines = significance_table(compared).splitlines()
    assert lines[-2:] == ["", f"Policies after {compared['trials']} tries."]
    for line, row in zip(lines[2:-2], compared["pairs"], strict=True):
        assert row["words"] in line
        assert f"{row['ledoit_wolf']['p_value']:.3f}" in line
    assert sentences(["a", "b"]) == "- a\n- b"


def test_every_difference_is_drawn_between_the_ends_of_its_interval(summary):
    compared = evaluation_summary({"ppo_lstm": summary})
    picture = differences_picture(compared)
    svg = drawn(picture)
    rows = [row for row in compared["pairs"] if row["bootstrap"] and row["verdict"] != "tie"]
    points = svg.findall("{*}circle")
    bars = [line for line in svg.findall("{*}line") if line.get("stroke-width") == "2"]
    assert len(points) == len(bars) == len(rows) > 0
    for point, bar in zip(points, bars, strict=True):
        assert float(bar.get("x1")) <= float(point.get("cx")) <= float(bar.get("x2"))
    ratio = [row["bootstrap"]["estimate"] for row in rows]
    places = [float(point.get("cx")) for point in points]
    assert np.corrcoef(ratio, places)[0, 1] > 0.999
    assert picture.endswith(f"after {compared['trials']} tries; an interval that holds zero shows no difference.")
    nothing = differences_picture({**compared, "pairs": []})
    assert nothing.startswith("Nothing differs")


def test_nothing_that_shows_a_sharpe_ratio_is_without_interval_tries_and_baselines(summary):
    spoken = {"rolling_sharpe", "calendar_years", "results", "cost_levels", "other_seeds", "seeds", "placebo"}
    shown = summary_pictures(summary, TRIES)
    for name, text in shown.items():
        words = re.sub(r"base64,[^)]*", "", text)
        assert ("sharpe" in words.lower()) == (name in spoken), name
        if name in spoken:
            interval = summary["series"]["policy"]["interval"]
            hrp = summary["series"]["hrp"]["metrics"]["sharpe"]
            assert f"[{interval['low']:.2f} to {interval['high']:.2f}], after 12 tries; equal weight " in words, name
            assert words.endswith(f", HRP {hrp:.2f}."), name


def test_no_picture_has_the_name_of_a_number_that_would_hide_it(summary):
    assert not set(summary_pictures(summary, TRIES)) & set(series_numbers(summary["series"], TRIES))
