"""Markdown for the Dagster UI: tables that stay tables, pictures that are well-formed and draw what they are given."""

from __future__ import annotations

import base64
import math
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd

from allocator_pipeline.config import BASELINES
from allocator_pipeline.evaluation.growth import cagr_interval
from allocator_pipeline.evaluation.plots import (
    POINTS,
    drawdown_picture,
    growth_picture,
    line_picture,
    line_svg,
    markdown_table,
    report_table,
)
from allocator_pipeline.evaluation.report.estimates import Tries
from allocator_pipeline_tests.evaluation.conftest import Tilted

SVG = "{http://www.w3.org/2000/svg}"


def drawn(markdown):
    payload = re.fullmatch(r"!\[[^\]]*\]\(data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)\)", markdown)[1]
    return ElementTree.fromstring(base64.b64decode(payload))  # noqa: S314 - our own bytes


def points(line):
    return np.array([[float(number) for number in pair.split(",")] for pair in line.get("points").split()])


def test_markdown_table_formats_and_escapes():
    days = pd.to_datetime(["2024-01-05 00:00", "2024-01-05 16:00"])
    table = pd.DataFrame({"a|b": ["x|y", "line\nbreak"], "n": [1, 2], "f": [0.123456, math.nan], "at": days})
    assert markdown_table(table, 2).splitlines() == [
        "| a\\|b | n | f | at |",
        "| --- | --- | --- | --- |",
        "| x\\|y | 1 | 0.12 | 2024-01-05 |",
        "| line break | 2 |  | 2024-01-05 16:00:00 |",
    ]


def test_report_table_has_a_row_for_every_series_and_intervals(reports):
    report = reports["ppo_lstm"]
    lines = report_table(report, Tries(12)).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:6]] == ["| policy", "| reference", "| equal weight", "| HRP"]
    assert "Sharpe less HRP" in lines[0]
    growth = cagr_interval(report["walk_forward"]["series"]["policy"]["weekly"]["net"])
    assert f"% [{100 * growth['low']:.1f},{100 * growth['high']:.1f}]" in lines[2]
    assert "after 12 tries; equal weight " in lines[-1]
    assert len(lines) == 6 + 2
    year = report_table(report, Tries(12), "year_only").splitlines()
    assert len(year) == 5 + 4
    assert year[-3].startswith("Intervals of so few weeks are too narrow")


def test_pictures_draw_every_series_from_one_on(reports):
    picture = drawn(growth_picture(reports["ppo_lstm"]))
    lines = picture.findall(f"{SVG}polyline")
    assert len(lines) == 4
    assert len({tuple(points(line)[0]) for line in lines}) == 1  # all start at wealth 1
    texts = [text.text for text in picture.findall(f"{SVG}text")]
    assert {"policy", "reference", "equal weight", "HRP", "2016-01-04", "2019-01-07"} <= set(texts)
    assert len(drawn(drawdown_picture(reports["ppo_lstm"], "year_only")).findall(f"{SVG}polyline")) == 3


def test_pictures_leave_out_lesser_baselines_which_the_table_has(report_of):
    report = report_of(baselines={name: Tilted((number,)) for number, name in enumerate(BASELINES)})
    for picture in (growth_picture(report), drawdown_picture(report)):
        assert len(drawn(picture).findall(f"{SVG}polyline")) == 4
    assert len(report_table(report, Tries(0)).splitlines()) == 2 + 2 + len(BASELINES) + 2


def test_line_is_placed_to_scale():
    line = points(drawn(line_picture({"x": [0.0, 5.0, 10.0]}, ("a", "b"), "t")).find(f"{SVG}polyline"))
    assert np.allclose(line[1], (line[0] + line[2]) / 2)
    assert line[0][1] > line[2][1]  # up is up
    log = points(drawn(line_picture({"x": [1.0, 10.0, 100.0]}, ("a", "b"), "t", log=True)).find(f"{SVG}polyline"))
    assert np.allclose(log[1], (log[0] + log[2]) / 2, atol=0.1)


def test_long_lines_are_thinned_but_keep_their_ends():
    line = points(drawn(line_picture({"x": np.arange(5000.0)}, ("a", "b"), "t")).find(f"{SVG}polyline"))
    assert len(line) == POINTS
    assert len(line_picture({"x": np.sin(np.arange(5000.0))}, ("a", "b"), "t")) < 6000


def test_flat_lines_and_hostile_names_are_drawn_safely():
    picture = line_picture({"<script>&": [1.0, 1.0]}, ("a", "b"), "x | <y>")
    assert "<script>&" in [text.text for text in drawn(picture).findall(f"{SVG}text")]
    assert picture == line_picture({"<script>&": [1.0, 1.0]}, ("a", "b"), "x | <y>")


def test_a_line_is_drawn_where_it_has_values():
    picture = drawn(line_picture({"a": [1.0, 2.0, 3.0], "b": [math.nan, 1.0, math.nan]}, ("x", "y"), "t"))
    whole, part = picture.findall(f"{SVG}polyline")
    assert len(points(whole)) == 3
    assert points(part)[0, 0] == points(whole)[1, 0]


def test_a_page_gives_a_picture_its_own_colours_and_key():
    drawing = line_svg({"a": [1.0, 2.0]}, ("x", "y"), "t", colours={"a": "var(--hrp)"})
    picture = ElementTree.fromstring(drawing)  # noqa: S314 - our own bytes
    assert picture.find(f"{SVG}polyline").get("stroke") == "var(--hrp)"
    assert "#" not in drawing.replace("http://www.w3.org/2000/svg", "")
    assert "a" not in {text.text for text in picture.findall(f"{SVG}text")}
