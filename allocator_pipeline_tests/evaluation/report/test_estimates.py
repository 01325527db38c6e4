"""No Sharpe ratio stands alone: not as a type, not on the page, not in a chart."""

from __future__ import annotations

import re

import pytest

from allocator_pipeline.errors import NotEnoughDataError
from allocator_pipeline.evaluation.growth import cagr_interval
from allocator_pipeline.evaluation.report.estimates import (
    FIXED_RECIPE,
    FIXED_RULE,
    Sharpe,
    Tries,
    difference,
    growth,
    growth_text,
    sharpe_of,
)
from allocator_pipeline_tests.evaluation.report.pages import figures_of, parsed

NUMBER = re.compile(r"[-+]?\d+\.\d")
TOLD = re.compile(r"Sharpe[^.;<]{0,60}?[-+]?\d+\.\d")
COMPANY = re.compile(r"95 %|\[|\btr(y|ies)\b|splits")
"""What a sentence with a Sharpe ratio has to say as well: an interval, the tries or the odds."""


def alone(cell):
    """Tell what a cell with a Sharpe ratio or a difference of two lacks."""
    lacks = []
    for shown in cell.found(kind="sharpe"):
        lacks += [kind for kind in ("interval", "tries", "baselines") if not _says(shown, kind)]
    for shown in cell.found(kind="difference"):
        lacks += ["interval"] if not _says(shown, "interval") else []
        lacks += ["tries"] if not _says(cell.parent, "tries") else []
    if NUMBER.search(cell.text) and not (cell.found(kind="sharpe") or cell.found(kind="difference")):
        lacks.append("everything")
    return lacks


def _says(node, kind):
    return any(one.text for one in node.found(kind=kind))


def sharpe_cells(page):
    """Yield the cells below a heading that speaks of a Sharpe ratio."""
    for table in page.found(tag="table"):
        heads = [cell.text for cell in table.found(tag="thead")[0].found(tag="th")]
        for row in table.found(tag="tbody")[0].found(tag="tr"):
            cells = [cell for cell in row.children if not isinstance(cell, str)]
            for head, cell in zip(heads, cells, strict=True):
                if ("Sharpe" in head and "deflated" not in head) or head.startswith("less "):
                    yield head, cell


def test_no_sharpe_ratio_in_a_table_stands_alone(page):
    cells = list(sharpe_cells(page))
    assert len(cells) > 60
    assert {head: alone(cell) for head, cell in cells if alone(cell)} == {}
    shown = [node for node in page.found(kind="sharpe") if not node.within("record")]
    headed = {id(node) for _, cell in cells for node in cell.found(kind="sharpe")}
    assert {id(node) for node in shown} == headed  # every one has a heading that says what it is


def test_the_walk_finds_a_sharpe_ratio_that_stands_alone(html):
    company = re.compile(r'<small class="interval">[^<]*</small>')
    robbed = parsed(company.sub("", html, count=1))
    assert any(alone(cell) for _, cell in sharpe_cells(robbed))


def test_no_sentence_gives_a_sharpe_ratio_alone(page):
    told = []
    for node in page.walk():
        if node.tag in ("p", "li", "summary") and not node.within("record", "sharpe"):
            told += [sentence for sentence in re.split(r"(?<=[.:]) (?=[A-Z])", node.text) if TOLD.search(sentence)]
    assert told
    assert [sentence for sentence in told if not COMPANY.search(sentence)] == []


def test_no_chart_of_sharpe_ratios_stands_alone(html, page):
    places = {node.attributes["id"]: node for node in page.walk() if node.attributes.get("role") == "img"}
    seen = []
    for key, figure in figures_of(html).items():
        titles = [
            axis["title"]["text"] for name, axis in figure["layout"].items() if "axis" in name and "title" in axis
        ]
        if not any("Sharpe" in title for title in titles):
            continue
        seen.append(key)
        around = places[key].parent
        while "sharpes" not in around.classes:
            around = around.parent
            assert around is not None, key
        assert _says(around, "interval"), key
        assert _says(around, "tries"), key
        names = " ".join(line.get("name", "") for line in figure["data"])
        assert "equal weight" in names, key
        assert "HRP" in names, key
        drawn = any("error_x" in line or "error_y" in line or line.get("fill") == "tonexty" for line in figure["data"])
        assert drawn, f"{key} draws no interval"
    assert {"differences", "rolling-sharpe", "placebos", "costs-ppo_lstm"} <= set(seen)


def test_a_sharpe_ratio_cannot_be_built_without_its_company():
    with pytest.raises(TypeError):
        Sharpe(1.0)
    with pytest.raises(TypeError):
        Sharpe(1.0, {"low": 0.2, "high": 1.8}, baselines={"hrp": 0.9})
    with pytest.raises(NotEnoughDataError, match="stands alone"):
        Sharpe(1.0, {"low": 0.2, "high": 1.8}, Tries(3), {})


def test_a_sharpe_ratio_is_shown_in_its_company():
    shown = parsed(Sharpe(1.0, {"low": 0.2, "high": 1.8}, Tries(12), {"hrp": 0.9}).html())
    assert shown.text == "1.00 0.20 to 1.80 , after 12 tries HRP 0.90"
    over = parsed(Sharpe(1.0, {"low": 0.9, "high": 1.1}, Tries(1), {"hrp": 0.9}, "4 seeds").html())
    assert "0.90 to 1.10 over 4 seeds , after 1 try" in over.text
    assert "too few weeks" in Sharpe(1.0, None, Tries(0), {"hrp": 0.9}).html()


def test_text_and_numbers_tell_what_the_page_does():
    sharpe = Sharpe(1.0, {"low": 0.2, "high": 1.8}, Tries(12), {"equal_weight": 0.8, "hrp": 0.9})
    assert sharpe.text() == "1.00 [0.20 to 1.80], after 12 tries; equal weight 0.80, HRP 0.90"
    ends, beside = {"sharpe_low": 0.2, "sharpe_high": 1.8}, {"sharpe_equal_weight": 0.8, "sharpe_hrp": 0.9}
    assert sharpe.numbers() == {"sharpe": 1.0, "tries": 12.0, **ends, **beside}
    assert Sharpe(1.0, None, Tries(12), {"hrp": 0.9}).numbers() == {}


def test_the_reference_recipe_is_not_counted(reports):
    series = reports["ppo_lstm"]["walk_forward"]["series"]
    assert sharpe_of("reference", series, Tries(5)).tries == FIXED_RECIPE
    assert "after 5 tries" in sharpe_of("policy", series, Tries(5)).text()


def test_a_baseline_is_shown_beside_the_other_and_was_never_tried(made):
    series = made.summaries["ppo_lstm"]["series"]
    assert set(sharpe_of("policy", series, Tries(5)).baselines) == {"equal_weight", "hrp"}
    own = sharpe_of("hrp", series, Tries(5))
    assert set(own.baselines) == {"equal_weight"}
    assert own.tries == FIXED_RULE
    with pytest.raises(NotEnoughDataError):
        sharpe_of("policy", {"policy": series["policy"]}, Tries(5))


@pytest.mark.parametrize(
    ("count", "words"),
    [(None, "a fixed rule"), (0, "no try counted yet"), (1, "after 1 try"), (12, "after 12 tries")],
)
def test_tries_in_words(count, words):
    assert Tries(count).words() == words


def test_a_difference_has_its_interval_or_says_why_not():
    assert parsed(difference({"estimate": -0.001, "low": -0.2, "high": 0.3})).text == "+0.00 -0.20 to +0.30"
    assert "too few weeks" in difference(None)


def test_every_growth_rate_of_a_series_has_its_interval(page, made):
    cells = []
    for table in page.found(tag="table"):
        heads = [cell.text for cell in table.found(tag="thead")[0].found(tag="th")]
        for row in table.found(tag="tbody")[0].found(tag="tr"):
            shown = [cell for cell in row.children if not isinstance(cell, str)]
            cells += [cell for head, cell in zip(heads, shown, strict=True) if head == "CAGR, 95 %"]
    assert len(cells) > 20
    assert all(_says(cell, "interval") for cell in cells)
    series = made.summaries["ppo_lstm"]["series"]["unshrunk"]
    item = cagr_interval(series["weekly"]["net"])
    assert growth_text(series) == (
        f"{100 * series['metrics']['cagr']:.1f} % [{100 * item['low']:.1f},{100 * item['high']:.1f}]"
    )
    short = series | {"weekly": {"net": series["weekly"]["net"][:20]}}
    assert "too few weeks" in growth(short)
    assert growth_text(short).endswith("[n/a]")
