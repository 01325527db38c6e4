"""What the model card says, and that it never shows more than is known."""

from __future__ import annotations

import yaml

from allocator_pipeline.hub.card import model_card
from allocator_pipeline_tests.evaluation.conftest import VERSIONS, report_of, reports, states, verdicts
from allocator_pipeline_tests.registry.conftest import make_artifact

__all__ = ["report_of", "reports", "states", "verdicts"]


def manifest_of(**facts):
    manifest = make_artifact().manifest()
    known = {"recipe": "default", "first_week": "2005-01-03", "last_week": "2015-12-21", "weeks": 572}
    return manifest | {"facts": known | facts}


def test_a_judged_version(reports, verdicts):
    report = reports["ppo_lstm"]
    card = model_card(manifest_of(), report, [verdicts["ppo_lstm"][1]])
    head, body = card.split("---\n")[1:3]
    assert yaml.safe_load(head)["pipeline_tag"] == "reinforcement-learning"
    metrics = report["year_only"]["series"]["policy"]["metrics"]
    assert f"{metrics['sharpe']:.2f} [" in body
    for text in ("HRP", "equal weight", "2005-01-03 to 2015-12-21", "Intended use", "Limits", "not investment advice"):
        assert text in body
    assert "Net Sharpe ratio is not above that of HRP." in body
    assert "Brackets hold 95 % intervals. No try counted yet." in body
    assert "News is simulated." in body


def test_an_unjudged_version_claims_nothing():
    card = model_card(manifest_of(), None, [])
    assert "nothing is known of it out of sample" in card
    assert "Badge: none" in card
    assert "Sharpe ratio |" not in card


def test_the_badge_is_shown(reports, verdicts):
    badge = {"verdict": "not_proven", "try": 3, "sequence": 1, "position": 2, "proof": None}
    item = verdicts["ppo_lstm"][1] | {"evidence": {"badge": badge}}
    assert "| kept | not proven (try 3; 2 of 60 places used in sequence 1) |" in model_card(manifest_of(), None, [item])


def test_text_from_elsewhere_cannot_break_the_table():
    item = {"effective_week": "2016-01-04", "outcome": "kept", "reason": "a | b\n\n# c", "evidence": {}}
    assert "| a \\| b # c |" in model_card(manifest_of(), None, [item])


def test_equal_inputs_give_an_equal_card(reports):
    assert model_card(manifest_of(), reports["ppo_lstm"], []) == model_card(manifest_of(), reports["ppo_lstm"], [])


def test_a_fine_tune_names_its_parent():
    manifest = make_artifact(parent=VERSIONS[2016]).manifest()
    card = model_card(manifest, None, [])
    assert VERSIONS[2016] in card
    assert "not stated" in card
