"""Rows, words and the terminal's table."""

from __future__ import annotations

import copy

import pytest

from allocator_pipeline.config import BASELINES
from allocator_pipeline.errors import CorruptArtifactError, NotEnoughDataError
from allocator_pipeline.evaluation.summary import (
    LABELS,
    compared_with,
    findings,
    format_table,
    in_order,
    in_words,
    paired_with,
    plus,
    rows,
    summary_table,
    verdict_on,
)
from allocator_pipeline_tests.evaluation.conftest import VERSIONS


def difference(low, high):
    return {"estimate": (low + high) / 2, "low": low, "high": high}


def test_rows_are_candidates_then_references_then_each_baseline_once(reports, verdicts):
    found = [(row.label, row.role) for row in rows(reports, verdicts)]
    assert found == [
        ("ppo_lstm", "candidate"),
        ("ppo_patchtst", "candidate"),
        ("sac_lstm", "candidate"),
        ("sac_patchtst", "candidate"),
        ("ppo_lstm ref.", "reference"),
        ("sac_lstm ref.", "reference"),
        ("equal weight", "baseline"),
        ("HRP", "baseline"),
    ]


def test_baselines_of_other_weeks_get_rows_of_their_own(report_of, reports, verdicts):
    from allocator_pipeline_tests.evaluation.conftest import Tilted

    earlier = report_of(year=2017, policies={year: (VERSIONS[year], Tilted((1,))) for year in (2015, 2016)})
    labels = [row.label for row in rows(reports | {"ppo_lstm": earlier}, verdicts) if row.role == "baseline"]
    assert labels == ["equal weight 16-17", "HRP 16-17", "equal weight 16-18", "HRP 16-18"]


def test_every_baseline_has_a_short_name_of_its_own():
    assert list(LABELS) == list(BASELINES)
    assert len(set(LABELS.values())) == len(BASELINES)
    assert max(map(len, LABELS.values())) <= len("ppo_patchtst")  # what leaves the table room in 140 columns


def test_a_report_of_another_version_is_not_shown(reports, verdicts):
    with pytest.raises(CorruptArtifactError, match="format 1"):
        summary_table(reports | {"ppo_lstm": reports["ppo_lstm"] | {"format": 1}}, verdicts)


def test_table_gives_the_verdicts_and_fits_140_columns(report_of, reports, verdicts):
    table = summary_table(reports, verdicts)
    assert list(table["gate"]) == ["keep", "waiting", "waiting", "waiting", "-", "-", "-", "-"]
    assert table["version"].iloc[0] == VERSIONS[2017]
    wide = copy.deepcopy(reports)
    for report in wide.values():
        for series in report["walk_forward"]["series"].values():
            series["metrics"] |= {"sharpe": -1.234, "max_drawdown": -0.7654, "cagr": -0.1234, "turnover": 0.9999}
            series["interval"] = {"low": -2.345, "high": -0.123}
            series["against"] = {name: difference(-2.345, -0.123) for name in series["against"]}
    wide["ppo_patchtst"]["first_week"] = "2015-01-05"  # a second range of weeks makes the labels longer
    text = format_table(summary_table(wide, verdicts))
    assert max(len(line) for line in text.splitlines()) <= 140
    assert len({len(line.rstrip()) for line in text.splitlines()}) == 1


def test_sharpe_and_differences_stand_beside_their_intervals(reports, verdicts):
    cells = summary_table(reports, verdicts).iloc[0]
    series = reports["ppo_lstm"]["walk_forward"]["series"]["policy"]
    low, high = series["interval"]["low"], series["interval"]["high"]
    assert cells["Sharpe [95 %]"] == f"{series['metrics']['sharpe']:.2f} [{low:.2f},{high:.2f}]"
    assert cells["Sharpe - HRP"].startswith(plus(series["against"]["hrp"]["estimate"]) + " [")


def test_no_report_is_an_error():
    with pytest.raises(NotEnoughDataError, match="no report"):
        summary_table({}, {})


def test_the_verdict_shown_is_the_one_on_the_report_shown(reports, verdicts):
    report = reports["ppo_lstm"]
    assert verdict_on(report, verdicts["ppo_lstm"])["number"] == 2
    assert verdict_on(report | {"year": 2017}, verdicts["ppo_lstm"]) is None  # of that year, but of another candidate
    assert verdict_on(report, []) is None


@pytest.mark.parametrize(
    ("item", "kind", "words"),
    [
        (difference(0.01, 0.5), "above", "above HRP, more than chance explains"),
        (difference(-0.5, -0.01), "below", "below HRP, more than chance explains"),
        (difference(-0.1, 0.5), "same", "not distinguishable from HRP"),
        (difference(0.0, 0.0), "tie", "identical to HRP in every week"),
        (None, "unknown", "too few weeks to compare with HRP"),
    ],
)
def test_significance_in_words(item, kind, words):
    assert paired_with(item) == kind
    assert compared_with(item) == (kind if kind != "tie" else "same")
    assert in_words(item, "hrp") == words


def test_findings_name_everyone_once_and_count_the_comparisons(reports):
    changed = copy.deepcopy(reports)
    against = [changed[name]["walk_forward"]["series"]["policy"]["against"] for name in changed]
    for item in against:
        item["equal_weight"] = difference(-0.1, 0.1)
        item["hrp"] = None
    against[0]["equal_weight"] = difference(0.1, 0.2)
    against[1]["equal_weight"] = difference(-0.2, -0.1)
    assert findings(changed) == [
        "Against equal weight: ppo_lstm is above by more than chance explains; ppo_patchtst is below by more than "
        "chance explains; sac_lstm and sac_patchtst cannot be told apart from it.",
        "Against HRP: ppo_lstm, ppo_patchtst, sac_lstm and sac_patchtst have too few weeks to be compared.",
        "These are 4 comparisons at 95 %: if nothing differed at all, about 0.2 of them would still seem to.",
    ]


def test_nothing_rounds_to_minus_zero():
    assert [plus(value) for value in (-0.004, 0.0, -0.006, 1.5)] == ["+0.00", "+0.00", "-0.01", "+1.50"]


def test_what_comes_back_from_the_store_is_shown_in_the_usual_order():
    stored = {"buy_and_hold": 1, "equal_weight": 2, "hrp": 3, "policy": 4, "dpg_lstm": 5, "ppo_lstm": 6}
    assert list(in_order(stored)) == ["policy", "ppo_lstm", "dpg_lstm", "equal_weight", "hrp", "buy_and_hold"]


def test_what_repeats_or_ties_is_not_counted_as_a_comparison(reports):
    names = ["ppo_lstm", "ppo_patchtst", "sac_lstm"]
    changed = {name: copy.deepcopy(reports["ppo_lstm"]) for name in names}
    policies = [changed[name]["walk_forward"]["series"]["policy"] for name in names]
    policies[2]["weekly"]["net"] = [net + 1e-3 for net in policies[2]["weekly"]["net"]]
    for policy in policies:
        policy["against"] = {"equal_weight": difference(0.0, 0.0), "hrp": difference(-0.1, 0.1)}
    policies[2]["against"]["equal_weight"] = difference(0.1, 0.2)
    assert findings(changed) == [
        "Against equal weight: ppo_lstm and ppo_patchtst are identical to it in every week; sac_lstm is above by more "
        "than chance explains.",
        "Against HRP: ppo_lstm, ppo_patchtst and sac_lstm cannot be told apart from it.",
        "These are 3 comparisons at 95 % (1 more repeats another's returns, 2 are ties): if nothing differed at all, "
        "about 0.2 of them would still seem to.",
    ]


def test_verdicts_by_two_tests_go_before_an_interval(reports):
    weeks = {key: reports["ppo_lstm"][key] for key in ("first_week", "last_week")}
    pair = {"allocator": "ppo_lstm", "baseline": "hrp", "verdict": "below"}
    told = "\n".join(findings(reports, weeks | {"pairs": [pair]}))
    assert "Against HRP: ppo_lstm is below by more than chance explains; " in told
    stale = "\n".join(findings(reports, {"first_week": "2001-01-01", "last_week": "2002-01-07", "pairs": [pair]}))
    assert stale == "\n".join(findings(reports))
