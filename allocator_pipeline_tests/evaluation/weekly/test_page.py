"""The page of a week: everything side by side, what is missing by name, and nothing that runs or loads."""

from __future__ import annotations

import copy
import json
import re

import pytest

from allocator_pipeline.delivery.mail import INLINE_BYTES
from allocator_pipeline.evaluation.weekly.page import nav_picture, weekly_page
from allocator_pipeline.evaluation.weekly.words import change, words
from allocator_pipeline_tests.evaluation.report.pages import parsed
from allocator_pipeline_tests.evaluation.weekly.conftest import HOSTILE, nothing


@pytest.fixture
def page(facts):
    return parsed(weekly_page(facts))


def section(page, key):
    (found,) = (node for node in page.found(tag="section") if node.attributes["id"] == key)
    return found


def row(node, name):
    (found,) = (line for line in node.found(tag="tr") if line.text.startswith(name))
    return [cell.text for cell in found.found() if cell.tag in ("th", "td")]


def test_equal_facts_give_equal_text_also_after_they_were_stored(facts):
    stored = json.loads(json.dumps(facts, sort_keys=True))
    assert weekly_page(facts) == weekly_page(copy.deepcopy(facts)) == weekly_page(stored)


def test_the_page_runs_and_loads_nothing_and_fits_into_a_mail(facts):
    html = weekly_page(facts)
    assert "<script" not in html
    assert not re.search(r"(?:src|href)=\"(?!#)", html)
    assert "url(" not in html
    assert len(html.encode()) < INLINE_BYTES


def test_what_was_not_written_by_us_is_escaped(facts):
    html = weekly_page(facts)
    assert HOSTILE not in html
    assert not any(tag in html for tag in ("<b>", "<i>"))
    assert "&lt;img src=x" in html


def test_allocators_and_baselines_stand_side_by_side(page):
    weights = section(page, "weights")
    heads = [cell.text for cell in weights.found(tag="thead")[0].found(tag="th")]
    assert heads == ["", "ppo_lstm", "equal weight"]
    assert row(weights, "S01")[1:] == ["20.0 %", "50.0 %"]
    assert row(weights, "decided by")[1] == "its champion"
    assert "momentum" in weights.found(tag="details")[0].text


def test_a_former_champion_in_the_place_of_a_damaged_one_is_told_with_the_reason(facts):
    assert "was not decided by its champion" not in " ".join(words(facts))
    facts["allocators"]["ppo_lstm"]["decision"]["fallback"] = "The champion v1 is refused: <i>torn</i>."
    assert "ppo_lstm was not decided by its champion. The champion v1 is refused: <i>torn</i>." in words(facts)
    page = parsed(weekly_page(facts))
    assert "The champion v1 is refused: <i>torn</i>." in section(page, "words").text


def test_orders_have_side_and_size(page):
    orders = section(page, "orders")
    assert "ppo_lstm: 2 orders, sells 1,500 USD, buys 4,000 USD" in orders.text
    assert row(orders, "S02")[1:] == ["sell", "1,500 USD"]
    assert "From the account's holdings at the closes of the decision." in orders.text


def test_the_last_known_week_shows_account_champion_challenger_and_baselines(page):
    result = section(page, "result")
    assert row(result, "ppo_lstm")[1:] == [
        "+1.23 %", "-1.77 %", "5.0 %", "+1.19 %", "+1.23 %", "+1.50 % v2018-11-19-cccccc-ft",
    ]  # fmt: skip
    assert row(result, "momentum")[1:3] == ["-4.00 %", "-7.00 %"]


def test_value_is_compared_over_the_same_weeks(page):
    value = section(page, "value")
    assert row(value, "ppo_lstm")[1:] == ["2019-01-07", "3", "105,000 USD", "+5.00 %", "+1.95 %", "+3.02 %", "absent"]
    assert row(value, "dpg_lstm")[1:] == ["2019-01-21", "1", "97,000 USD", "-3.00 %", "+3.00 %", "+1.00 %", "absent"]
    assert "This market has no prices of SPY." in value.text


def test_champions_have_their_badge_and_new_verdicts_their_record(page):
    gate = section(page, "gate")
    badge = "not proven after 47 tries its own: try 3, 3 of 60 places used in sequence 1"
    assert row(gate, "ppo_lstm")[1:] == ["v2017-12-26-aaaaaa", "2019-02-04", "yes", badge]
    assert row(gate, "dpg_lstm")[3:] == ["no", "not proven after 47 tries"]
    assert "promoted" in row(gate, "2 2019-02-04")
    assert "Better on 52 weeks." in gate.text


def test_what_does_not_exist_is_named_and_never_zero(page):
    assert "materialise decisions of dpg_lstm|2019-02-04." in section(page, "weights").text
    assert "sac_lstm: it has no champion." in section(page, "weights").text
    assert "HRP: There are no baseline weights of this week." in section(page, "weights").text
    assert "sac_lstm: it had not decided that week." in section(page, "result").text
    assert "dpg_lstm: no label yet, though it is due" in section(page, "result").text
    assert "materialise paper_account of sac_lstm|2019-01-21" in section(page, "value").text
    for key in ("weights", "orders", "result", "value"):
        for line in section(page, key).found(tag="tr"):
            assert not line.text.startswith("sac_lstm")


def test_before_anything_is_there_every_section_says_so(facts):
    empty = {"weeks": [], "sessions": [], "net": {}, "target": {}, "absent": {}}
    bare = {**facts, "allocators": {"ppo_lstm": nothing()}, "rivals": empty, "tries": 0, "warnings": []}
    page = parsed(weekly_page(bare))
    for key, asset in (
        ("weights", "target_weights"),
        ("orders", "decisions"),
        ("result", "labeled_experience"),
        ("value", "paper_account"),
        ("gate", "promoted_policies"),
    ):
        assert f"materialise {asset}" in section(page, key).text
    assert "No check failed" in section(page, "warnings").text
    assert "0 of 1 allocators have decided" in words(bare)[0]
    assert nav_picture(bare) is None


def test_tables_have_headings_and_pictures_words(page):
    for table in page.found(tag="table"):
        columns = len(table.found(tag="thead")[0].found(tag="th"))
        for line in table.found(tag="tbody")[0].found(tag="tr"):
            assert len([cell for cell in line.children if not isinstance(cell, str)]) == columns
    (picture,) = (node for node in page.walk() if node.attributes.get("role") == "img")
    assert len(picture.attributes["aria-label"]) > 15


def test_every_colour_of_the_drawing_is_defined(facts):
    html = weekly_page(facts)
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)[1]
    assert set(re.findall(r"var\((--[a-z0-9-]+)\)", html)) - {"--w"} <= set(re.findall(r"(--[a-z0-9-]+):", style))


def test_no_sharpe_ratio_stands_on_the_page_alone(facts):
    """A week says nothing about one; verdicts speak of a difference, with interval and tries, where they have one."""
    told = parsed(weekly_page(facts)).text
    assert re.findall(r"[^ ]+ [Ss]harpe [^ ]+", told.replace("Sharpe ratio less the champion's", "")) == []


def test_the_words_say_who_decided_what_it_paid_and_what_is_proven(facts):
    lines = words(facts)
    assert lines[0] == "1 of 3 allocators have decided the week of 2019-02-04."
    assert "sac_lstm has no weights: it has no champion." in lines
    assert "dpg_lstm has no weights: its champion has not decided it." in lines
    assert "ppo_lstm +1.23 %, equal weight +3.00 %, HRP +1.00 %." in " ".join(lines)
    assert (
        "Since the week of 2019-01-07, after costs: ppo_lstm +5.00 %, dpg_lstm -3.00 % (since 2019-01-21)" in lines[4]
    )
    assert "1 verdict took effect since the week before." in lines
    assert "No champion is proven after 47 tries." in lines
    assert lines[-1] == "1 warning about data."
    assert nav_picture(facts).startswith("![value")


def test_a_proven_champion_is_named(facts):
    facts["allocators"]["ppo_lstm"]["champion"]["badge"] |= {"verdict": "proven", "proof": 3}
    assert any(line.startswith("Proven: ppo_lstm; the other champions are not") for line in words(facts))
    for name in set(facts["allocators"]) - {"ppo_lstm"}:
        facts["allocators"][name]["champion"] = None
    assert any(line.startswith("Proven: ppo_lstm, after") for line in words(facts)), "there are no others"


@pytest.mark.parametrize(("value", "text"), [(-1e-9, "+0.00 %"), (0.0123, "+1.23 %"), (-0.5, "-50.00 %")])
def test_changes_have_a_sign(value, text):
    assert change(value) == text
