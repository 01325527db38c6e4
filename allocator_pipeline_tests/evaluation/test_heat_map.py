"""Shares as coloured cells: equal input gives equal text, nothing due is grey, names cannot break out."""

import numpy as np
import pandas as pd

from allocator_pipeline.evaluation.heat_map import COLOURS, NOTHING, ROWS, heat_picture, heat_svg


def shares(values, index, columns=("2019", "2020")) -> pd.DataFrame:
    return pd.DataFrame(values, index=list(index), columns=list(columns))


def test_each_cell_has_the_colour_of_its_share():
    svg = heat_svg(shares([[1.0, 0.995], [0.95, 0.0], [np.nan, 1.0]], "ABC"), "coverage")
    whole, most, some, little = (colour for _, colour in COLOURS)
    for colour, count in ((whole, 2), (most, 1), (some, 1), (little, 1), (NOTHING, 1)):
        assert svg.count(f'fill="{colour}"') == count
    assert "A 2020: 99.5 %" in svg
    assert "C 2019: nothing due" in svg
    assert svg == heat_svg(shares([[1.0, 0.995], [0.95, 0.0], [np.nan, 1.0]], "ABC"), "coverage")


def test_of_many_rows_those_with_the_least_are_drawn():
    many = shares(np.linspace(0, 1, 2 * 500).reshape(500, 2), [f"S{number:03d}" for number in range(500)])
    svg = heat_svg(many, "coverage")
    assert f"the {ROWS} of 500 with the least" in svg
    assert "S000" in svg
    assert "S499" not in svg
    assert len(heat_picture(many, "coverage")) < 60_000


def test_names_cannot_leave_their_place():
    svg = heat_svg(shares([[1.0, 1.0]], ["<script>&"]), 'a "title" <b>')
    assert "<script>" not in svg
    assert "<b>" not in svg


def test_a_page_draws_on_its_own_paper():
    assert "#ffffff" in heat_svg(shares([[1.0, 1.0]], "A"), "x")
    assert "#ffffff" not in heat_svg(shares([[1.0, 1.0]], "A"), "x", themed=True)
