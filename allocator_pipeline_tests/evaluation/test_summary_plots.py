"""Pictures and tables of summaries: well-formed, deterministic, and each best number beside its interval."""

from __future__ import annotations

import base64
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from allocator_pipeline.evaluation.comparison import evaluation_summary
from allocator_pipeline.evaluation.interval_plot import differences_picture
from allocator_pipeline.evaluation.plots import line_picture
from allocator_pipeline.evaluation.report.estimates import Tries
from allocator_pipeline.evaluation.summary_plots import sentences, significance_table, summary_pictures
from allocator_pipeline_tests.evaluation.policies import summary_of

SVG = "{http://www.w3.org/2000/svg}"
TRIES = Tries(12)
PICTURES = ("growth", "drawdown", "rolling_sharpe", "weights", "costs_paid")


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


def test_growth_shows_bands_of_seeds_behind_policy_and_unshrunk(summary):
    picture = drawn(summary_pictures(summary, TRIES)["growth"])
    bands, lines = picture.findall(f"{SVG}polygon"), picture.findall(f"{SVG}polyline")
    assert (len(bands), len(lines)) == (2, 4)
    assert [band.get("fill") for band in bands] == [line.get("stroke") for line in lines[:2]]


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
    assert shown["calendar_years"].count("\n") == 4 + 2
    assert "v2016-12-27-aaa016 | 50 %" in shown["calendar_years"]
    sharpe = summary["series"]["policy"]["metrics"]["sharpe"]
    interval = summary["series"]["policy"]["interval"]
    assert f"| policy | {sharpe:.2f} [{interval['low']:.2f},{interval['high']:.2f}]" in shown["results"]
    level = summary["series"]["policy"]["cost_levels"]["50"]["sharpe"]
    assert re.search(rf"\| policy \|.*\| {level:.2f} \|", shown["cost_levels"])
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
    bars = [line for line in svg.findall("{*}line") if line.get("stroke-width")]
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
