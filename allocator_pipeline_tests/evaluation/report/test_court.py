"""Champions, badges and the record."""

from __future__ import annotations

import pytest

from allocator_pipeline.evaluation.report.court import badges, champion_of, champions, record, tries_so_far
from allocator_pipeline.evaluation.report.estimates import Tries
from allocator_pipeline_tests.evaluation.conftest import VERSIONS
from allocator_pipeline_tests.evaluation.report.pages import parsed


def test_the_badge_shown_is_the_champions_own(judged):
    champion = champion_of(judged["ppo_lstm"])
    assert (champion.version, champion.since) == (VERSIONS[2016], "2018-01-08")
    assert champion.badge["try"] == 3  # not 9: that is of the candidate that was not promoted
    assert champion.words(Tries(12)) == (
        "not proven after 12 tries (its own: try 3, 3 of 60 places used in sequence 1)"
    )
    assert champion_of([]) is None


@pytest.mark.parametrize(
    ("verdict", "words", "aside"),
    [
        ("proven", "proven (try 3, 3 of 60 places used in sequence 1)", ""),
        ("not_proven", "not proven after 12 tries", ""),
        ("tie", "not proven after 12 tries", "a tie with a baseline"),
        ("failed", "not proven after 12 tries", "its training failed"),
        ("none", "not proven after 12 tries", "not put to the test"),
    ],
)
def test_every_badge_in_words(judged, badge, verdict, words, aside):
    first, second = judged["ppo_lstm"]
    histories = {"ppo_lstm": [first | {"evidence": {"badge": badge(verdict)}}, second]}
    assert champion_of(histories["ppo_lstm"]).words(Tries(12)).startswith(words)
    shown = parsed(champions(histories, Tries(12)).body)
    (mark,) = shown.found(kind="badge")
    assert mark.text == words.replace(", 3 of 60 places used in sequence 1", "")
    assert aside in shown.text
    places = "its own: try 3, 3 of 60 places used in sequence 1"
    assert (places in shown.text) == (champion_of(histories["ppo_lstm"]).badge["try"] is not None)
    assert badges(histories, Tries(12))[0].startswith(f"ppo_lstm: champion {VERSIONS[2016]}, {words}")


def test_verdicts_without_badges_prove_nothing(verdicts):
    champion = champion_of(verdicts["ppo_lstm"])
    assert champion.badge is None
    assert champion.words(Tries(0)) == "not proven, no try counted yet"
    assert "not asked" in champions(verdicts, Tries(0)).body


def test_a_version_proven_once_stays_proven_and_a_tie_has_no_threshold(judged, badge):
    first, _ = judged["ppo_lstm"]
    later = badge("tie", 7) | {"proof": 1, "position": 6}
    later["against"] = {name: each | {"threshold": None} for name, each in later["against"].items()}
    again = first | {"number": 2, "outcome": "kept", "promoted": False, "evidence": {"badge": later}}
    history = [first | {"evidence": {"badge": badge("proven", 1)}}, again]
    assert champion_of(history).proven
    shown = parsed(champions({"ppo_lstm": history}, Tries(12)).body).text
    assert "proven (try 1) its own: try 7, 6 of 60 places used in sequence 1; a tie with a baseline" in shown
    assert "no threshold: a tie cannot be proven" in shown


def test_tries_are_the_ledgers_or_the_verdicts(judged, verdicts, comparison):
    assert tries_so_far(comparison, judged).count == 12
    assert tries_so_far(None, judged).count == 9
    assert tries_so_far(None, verdicts).count == 0
    empty = comparison | {"tries": {"count": 0, "sequence": 0, "position": 0, "by_allocator": {}}, "trials": 6}
    assert tries_so_far(empty, verdicts).count == 6


def test_the_record_shows_every_verdict_newest_first_with_duel_and_badge(judged):
    shown = parsed(record(judged, Tries(12)).body)
    assert "not proven after 12 tries" in shown.found(tag="summary")[0].text
    rows = shown.found(tag="tbody")[0].found(tag="tr")
    assert [row.found(tag="th")[0].text for row in rows] == ["2", "1"]
    assert "tie after 9 tries" in rows[0].text
    assert "+0.03 -0.12 to +0.20 p 0.61" in rows[0].text
    assert "Net Sharpe ratio is not above that of HRP." in rows[0].text
