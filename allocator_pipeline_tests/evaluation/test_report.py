"""The HTML report: whole, self-contained, safe, deterministic, and saying what it has to say."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

from allocator_pipeline.config import BASELINES, CASH, PLANNED_ALLOCATORS, CostConfig
from allocator_pipeline.errors import NotEnoughDataError
from allocator_pipeline.evaluation.forecast_summary import forecast_summary
from allocator_pipeline.evaluation.page import page
from allocator_pipeline.evaluation.report import html_report
from allocator_pipeline.evaluation.summary import LABELS
from allocator_pipeline_tests.evaluation.conftest import VERSIONS, Tilted
from allocator_pipeline_tests.evaluation.forecasting import YEAR, made_up_baselines, made_up_outcomes, made_up_panel

VOID = {"meta", "br"}


@pytest.fixture(scope="module")
def panel():
    panels = {name: {YEAR: made_up_panel(skill)} for name, skill in (("lstm", 0.1), ("patchtst", 0.0))}
    return forecast_summary(panels, made_up_outcomes(), made_up_baselines(), CostConfig(), {})


@pytest.fixture(scope="module")
def decisions():
    target = {"S01": 0.2, "S02": 0.18, "<img src=x onerror=alert(1)>": 0.1, CASH: 0.52}
    return {"ppo_lstm": {"week": "2019-01-07", "version": VERSIONS[2017], "target": target, "turnover": 0.04}}


@pytest.fixture(scope="module")
def html(reports, verdicts, panel, decisions):
    return html_report(reports, verdicts, panel, decisions)


class Structure(HTMLParser):
    """Checks that tags nest, and collects ids, attributes that load something, and visible text."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.loads, self.text = [], [], [], []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.ids += [values["id"]] if "id" in values else []
        self.loads += [
            value for name, value in attrs if name in ("src", "href", "action") and not value.startswith("#")
        ]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.text.append(data)


@pytest.fixture(scope="module")
def structure(html):
    parser = Structure()
    parser.feed(html)
    parser.close()
    assert parser.open == []
    return parser


def figures_of(html):
    return json.loads(re.search(r'<script type="application/json" id="figures">(.*?)</script>', html, re.DOTALL)[1])


def test_equal_inputs_give_equal_bytes(html, reports, verdicts, panel, decisions):
    assert html == html_report(reports, verdicts, panel, decisions)


def test_page_is_self_contained(html, structure):
    assert structure.loads == []
    assert "default-src 'none'" in html
    assert html.count("plotly.js v") == 1
    assert not re.search(r"@import|url\(", re.search(r"<style>(.*?)</style>", html, re.DOTALL)[1])


def test_ids_are_unique_and_every_figure_has_its_place(html, structure):
    assert len(structure.ids) == len(set(structure.ids))
    figures = figures_of(html)
    assert set(figures) == {"growth", "differences", "forecasts", *(f"weights-{name}" for name in PLANNED_ALLOCATORS)}
    assert set(figures) <= set(structure.ids)


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


def test_what_was_not_written_by_us_is_escaped(html, structure, reports, verdicts, panel, decisions):
    assert "<img" not in html.split("<script>", 1)[0]
    assert any("onerror" in text for text in structure.text)
    closing = page("t", "l", [], {"f": {"data": [{"name": "</script><script>alert(1)"}], "layout": {}}})
    assert closing.count("</script>") == 3 + closing.count("</script><script>alert")
    assert "</script><script>alert" not in closing
    hostile = {name: report | {"notes": ["<b>bold</b>"], "market": "<i>"} for name, report in reports.items()}
    assert "<b>bold" not in html_report(hostile, verdicts, panel, decisions)


def test_report_says_what_it_carries(structure):
    text = re.sub(r"\s+", " ", " ".join(structure.text))
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
        "Net sharpe 0.1 is not above the 0.2 of hrp.",
        "It is the first policy judged.",
        "These are 28 comparisons at 95 %",
        "Rank IC",
        f"champion now {VERSIONS[2016]}",
    ):
        assert statement in text, statement


def test_a_fixed_universe_admits_what_it_flatters(reports, verdicts, panel, decisions):
    fixed = {name: report | {"universe": "fixed"} for name, report in reports.items()}
    assert "flattered" in html_report(fixed, verdicts, panel, decisions)


def test_drawn_wealth_ends_where_the_report_does(html, reports):
    lines = {line["name"]: line for line in figures_of(html)["growth"]["data"] if "yaxis" not in line}
    series = reports["sac_lstm"]["walk_forward"]["series"]["policy"]
    assert lines["sac_lstm"]["y"][0] == 1.0
    assert lines["sac_lstm"]["y"][-1] == pytest.approx(series["facts"]["final_wealth"], rel=1e-4)
    assert lines["sac_lstm"]["x"][-1] == reports["sac_lstm"]["last_exit"]
    assert len(lines["sac_lstm"]["x"]) == len(lines["sac_lstm"]["y"])


def test_lesser_baselines_are_in_the_table_and_wait_in_the_charts_legend(report_of):
    rivals = {name: Tilted((number,)) for number, name in enumerate(BASELINES)}
    page_of_all = html_report({"ppo_lstm": report_of(baselines=rivals)}, {}, None, {})
    lines = figures_of(page_of_all)["growth"]["data"]
    shown = {line["name"] for line in lines if line["visible"] is True}
    assert shown == {"ppo_lstm", "ppo_lstm ref.", "equal weight", "HRP"}
    assert {line["name"] for line in lines if line["visible"] == "legendonly"} == set(LABELS.values()) - shown
    waiting = [line["line"]["color"] for line in lines if line["visible"] == "legendonly" and "yaxis" not in line]
    assert len(set(waiting)) == len(waiting) == len(BASELINES) - 2
    assert all(f"<strong>{label}</strong>" in page_of_all for label in LABELS.values())
    style = re.search(r"<style>(.*?)</style>", page_of_all, re.DOTALL)[1]
    assert all(colour[4:-1] + ":" in style for colour in waiting)


def test_one_allocator_without_verdicts_forecasts_and_decisions_still_has_a_report(reports):
    html = html_report({"ppo_lstm": reports["ppo_lstm"]}, {}, None, {})
    for words in ("Nothing has been judged yet", "Nothing has been decided yet", "No forecasts have been judged yet"):
        assert words in html
    assert "waiting" in html


def test_few_weeks_are_said_to_be_few(report_of, states):
    short = report_of(
        policies={2017: (VERSIONS[2017], Tilted((1,)))}, reference={}, states=states.between(last="2018-03-26")
    )
    html = html_report({"ppo_lstm": short}, {}, None, {})
    assert "too few weeks" in html
    assert figures_of(html)["differences"]["data"][0]["x"] == []


def test_no_report_is_an_error():
    with pytest.raises(NotEnoughDataError, match="no report"):
        html_report({}, {}, None, {})


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
