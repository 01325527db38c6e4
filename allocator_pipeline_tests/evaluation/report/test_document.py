"""The HTML report: whole, self-contained, safe, deterministic, and saying what it has to say."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest

from allocator_pipeline.config import PLANNED_ALLOCATORS
from allocator_pipeline.errors import NotEnoughDataError
from allocator_pipeline.evaluation.page import page as whole_page
from allocator_pipeline.evaluation.page_style import CSS
from allocator_pipeline.evaluation.report.document import html_report
from allocator_pipeline_tests.evaluation.conftest import VERSIONS
from allocator_pipeline_tests.evaluation.report.conftest import SUMMARISED
from allocator_pipeline_tests.evaluation.report.pages import figures_of, parsed

MISSING = sorted(set(PLANNED_ALLOCATORS) - set(SUMMARISED))


@pytest.fixture
def inputs(reports, judged, panel, decisions, made, comparison):
    return (reports, judged, panel, decisions, made.summaries, comparison)


def test_equal_inputs_give_equal_bytes(html, inputs):
    assert html == html_report(*json.loads(json.dumps(inputs)))


def test_page_is_self_contained(html, page):
    loads = [node.attributes.get(name) for node in page.walk() for name in ("src", "href", "action")]
    assert [value for value in loads if value and not value.startswith("#")] == []
    assert "default-src 'none'" in html
    assert html.count("plotly.js v") == 1
    assert not re.search(r"@import|url\(", re.search(r"<style>(.*?)</style>", html, re.DOTALL)[1])


def test_the_page_stays_small(html):
    assert len(html.encode()) < 8e6


def test_ids_are_unique_and_every_figure_has_its_place(html, page):
    ids = [node.attributes["id"] for node in page.walk() if "id" in node.attributes]
    assert len(ids) == len(set(ids))
    figures = figures_of(html)
    each = ("seeds", "costs", "response-features", "response-stocks")
    assert set(figures) == {
        *("growth", "differences", "forecasts", "rolling-sharpe", "trading", "placebos"),
        *(f"weights-{name}" for name in PLANNED_ALLOCATORS),
        *(f"{kind}-{name}" for kind in each for name in SUMMARISED),
        "recipes-ppo_lstm",
    }
    assert set(figures) <= set(ids)


def test_the_contents_lead_to_every_section(page):
    (nav,) = page.found(tag="nav")
    assert [node.attributes["href"][1:] for node in nav.found(tag="a")] == [
        node.attributes["id"] for node in page.found(tag="section")
    ]


def test_every_table_has_headings_and_every_picture_words(page):
    for table in page.found(tag="table"):
        head, body = table.found(tag="thead")[0], table.found(tag="tbody")[0]
        assert all(cell.attributes["scope"] == "col" for cell in head.found(tag="th"))
        columns = len(head.found(tag="th"))
        for row in body.found(tag="tr"):
            cells = [cell for cell in row.children if not isinstance(cell, str)]
            assert len(cells) == columns
            assert [cell.attributes.get("scope") for cell in cells] == ["row"] + [None] * (columns - 1)
            assert cells[0].text
    pictures = [node for node in page.walk() if node.attributes.get("role") == "img"]
    assert pictures
    assert all(len(node.attributes["aria-label"]) > 15 for node in pictures)


def test_figures_are_valid_plotly(html):
    from plotly.graph_objects import Figure

    themed = json.loads(re.sub(r"var\(--[a-z0-9-]+\)", "#123456", json.dumps(figures_of(html))))
    for figure in themed.values():
        figure["layout"]["font"]["family"] = "sans-serif"
        Figure(figure)


def test_every_colour_is_defined_in_both_themes(html):
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)[1]
    light, dark = style.split("prefers-color-scheme: dark")
    defined = set(re.findall(r"(--[a-z0-9-]+):", light))
    used = set(re.findall(r"var\((--[a-z0-9-]+)\)", style + json.dumps(figures_of(html)))) - {"--w"}
    assert used <= defined
    symbols = {f"--s{i}" for i in range(20)}  # middle tones that serve both themes
    assert defined - symbols <= set(re.findall(r"(--[a-z0-9-]+):", dark))


def test_what_was_not_written_by_us_is_escaped(html, page, inputs):
    assert "<img" not in html.split("<script>", 1)[0]
    assert "onerror" in page.text
    closing = whole_page("t", "l", [], {"f": {"data": [{"name": "</script><script>alert(1)"}], "layout": {}}})
    assert closing.count("</script>") == 4 + closing.count("</script><script>alert")
    assert "</script><script>alert" not in closing
    hostile = {name: report | {"notes": ["<b>bold</b>"], "market": "<i>"} for name, report in inputs[0].items()}
    told = inputs[5] | {"words": ["<b>bold</b>"]}
    assert "<b>bold" not in html_report(hostile, *inputs[1:5], told)


def test_report_says_what_it_carries(page):
    text = page.text
    for statement in (
        "Survivorship: none.",
        "News is simulated.",
        "Point in time",
        "open of the first session",
        "not investment advice",
        "10 basis points",
        "157 weeks",
        "95 %",
        "comparisons at 95 %",
        "equal weight",
        "HRP",
        "Week of 2019-01-07",
        "Net Sharpe ratio is not above that of HRP.",
        "It is the first policy judged.",
        "These are 20 comparisons at 95 %",
        "Rank IC",
        f"champion now {VERSIONS[2016]}, not proven after 12 tries",
    ):
        assert statement in text, statement


def test_the_badge_stands_by_the_weights_of_a_champion_only(inputs):
    champion = {"ppo_lstm": inputs[3]["ppo_lstm"] | {"version": VERSIONS[2016]}}
    for decisions, badges in ((champion, 1), (inputs[3], 0)):  # the latter was decided by one that is champion no more
        shown = parsed(html_report(*inputs[:3], decisions, *inputs[4:]))
        (section,) = (node for node in shown.found(tag="section") if node.attributes["id"] == "decision")
        assert section.text.count("not proven after 12 tries") == badges


def test_a_fixed_universe_admits_what_it_flatters(inputs):
    fixed = {name: report | {"universe": "fixed"} for name, report in inputs[0].items()}
    assert "flattered" in html_report(fixed, *inputs[1:])


def test_drawn_wealth_ends_where_the_report_does(html, reports):
    lines = {line["name"]: line for line in figures_of(html)["growth"]["data"] if "yaxis" not in line}
    series = reports["sac_lstm"]["walk_forward"]["series"]["policy"]
    assert lines["sac_lstm"]["y"][0] == 1.0
    assert lines["sac_lstm"]["y"][-1] == pytest.approx(series["facts"]["final_wealth"], rel=1e-4)
    assert lines["sac_lstm"]["x"][-1] == reports["sac_lstm"]["last_exit"]
    assert len(lines["sac_lstm"]["x"]) == len(lines["sac_lstm"]["y"])


def test_without_summaries_the_page_says_what_to_materialise(reports):
    bare = parsed(html_report({"ppo_lstm": reports["ppo_lstm"]}, {}, None, {}, {}, None))
    for words in ("Nothing has been judged yet", "Nothing has been decided yet", "No forecasts have been judged yet"):
        assert words in bare.text
    assert "waiting" in bare.text
    sections = {node.attributes["id"]: node.text for node in bare.found(tag="section")}
    for key in ("seeds", "rolling", "years", "metrics", "costs", "response", "placebo"):
        assert "materialise allocator_summary of ppo_lstm" in sections[key], key
    assert "materialise evaluation_summary" in sections["significance"]
    assert "materialise promoted_policies" in sections["champions"]


def test_allocators_without_a_summary_are_named_beside_the_others(page):
    sections = {node.attributes["id"]: node.text for node in page.found(tag="section")}
    for key in ("seeds", "rolling", "years", "metrics", "costs", "response", "placebo"):
        assert f"materialise allocator_summary of {', '.join(sorted(MISSING))}" in sections[key], key


def test_few_weeks_are_said_to_be_few(report_of, states):
    from allocator_pipeline_tests.evaluation.conftest import Tilted

    short = report_of(
        policies={2017: (VERSIONS[2017], Tilted((1,)))}, reference={}, states=states.between(last="2018-03-26")
    )
    html = html_report({"ppo_lstm": short}, {}, None, {}, {}, None)
    assert "too few weeks" in html
    assert figures_of(html)["differences"]["data"][0]["x"] == []


def test_no_report_is_an_error():
    with pytest.raises(NotEnoughDataError, match="no report"):
        html_report({}, {}, None, {}, {}, None)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
def test_a_real_browser_draws_every_chart(html, tmp_path):
    file = tmp_path / "report.html"
    file.write_text(html)
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=8000", "--dump-dom", file.as_uri()]
    page_drawn = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    for key in figures_of(html):
        assert re.search(rf'id="{key}"[^>]*class="[^"]*js-plotly-plot', page_drawn), key


def test_no_badge_makes_a_table_wider_than_its_box(page):
    """What is long stands below the mark, in letters that may wrap."""
    marks = [mark for table in page.found(tag="table") for mark in table.found(kind="badge")]
    assert len(marks) > 6
    assert max(len(mark.text) for mark in marks) <= len("not proven after 1000 tries")
    rules = dict(re.findall(r"^(\.[a-z]+) { ([^}]*)}", CSS, flags=re.MULTILINE))
    for name in (".badge", ".place"):
        assert "white-space:normal" in rules[name]
    places = [place.text for place in page.found(kind="place")]
    assert any("places used in sequence 1" in place for place in places)
