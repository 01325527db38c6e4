"""The page and the pictures of the forecast panel."""

from __future__ import annotations

import base64
import json
import re

import pytest

from allocator_pipeline.config import CostConfig
from allocator_pipeline.evaluation.forecast_page import forecast_page
from allocator_pipeline.evaluation.forecast_plots import comparison_table, growth_picture, rank_ic_picture
from allocator_pipeline.evaluation.forecast_summary import forecast_summary
from allocator_pipeline_tests.evaluation.forecasting import YEAR, made_up_baselines, made_up_outcomes, made_up_panel

EVIL = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def summary():
    panels = {name: {YEAR: made_up_panel(skill)} for name, skill in (("lstm", 0.1), (EVIL, 0.0))}
    return forecast_summary(panels, made_up_outcomes(), made_up_baselines(), CostConfig(), {})


def test_the_page_is_whole_deterministic_and_safe(summary):
    html = forecast_page(summary, "made up")
    assert html == forecast_page(json.loads(json.dumps(summary)), "made up")
    assert EVIL not in html
    figures = json.loads(re.search(r'<script type="application/json" id="figures">(.*?)</script>', html, re.DOTALL)[1])
    places = re.findall(r'<div id="([a-z]+)" role="img"', html)
    assert sorted(figures) == sorted(places) == ["correlations", "coverage", "growth", "losses"]
    ids = re.findall(r'id="([a-z]+)"', html.split("<script>", 1)[0])
    assert len(ids) == len(set(ids))
    assert all(re.search(rf"--{name}:", html) for name in re.findall(r"var\(--([a-z0-9-]+)\)", json.dumps(figures)))
    assert "These are 20 comparisons" in html


def test_what_the_source_says_about_its_data_stands_above_the_words(summary):
    html = forecast_page(summary, "made up", ["Only survivors.", EVIL])
    assert html.index("Only survivors.") < html.index("above zero")
    assert EVIL not in html


def test_figures_show_every_forecaster(summary):
    html = forecast_page(summary, "made up")
    figures = json.loads(re.search(r'<script type="application/json" id="figures">(.*?)</script>', html, re.DOTALL)[1])
    for key in ("correlations", "coverage", "losses"):
        assert [trace["name"] for trace in figures[key]["data"]] == [EVIL, "lstm"]
    assert [trace["name"] for trace in figures["growth"]["data"]] == [EVIL, "lstm", "equal weight", "HRP"]
    assert len(figures["coverage"]["data"][0]["x"]) == 7


def test_nobody_judged_is_a_page_too():
    summary = forecast_summary({"lightgbm": {}}, made_up_outcomes(), {}, CostConfig(), {"lightgbm": "not installed."})
    html = forecast_page(summary, "made up")
    assert "lightgbm was not judged: not installed." in html


def test_pictures_for_the_ui_are_pictures(summary):
    one = summary["forecasters"]["lstm"]
    for text in (growth_picture(one, one["weekly"]["net"]), rank_ic_picture("lstm", made_up_panel(0.1))):
        svg = base64.b64decode(re.search(r"base64,([^)]+)\)", text)[1]).decode()
        assert svg.startswith("<svg")
        assert "polyline" in svg
    assert rank_ic_picture("lstm", made_up_panel(0.1).iloc[:0]) == "No week has a rank correlation."
    assert comparison_table(one).count("\n") == 1 + 14
